"""Words that values of protected attributes consist of, in the languages and scripts that data have them in.

A *sure* word tells the attribute by itself. A *doubtful* one has another sense, too, under which it stands: ``white`` is a
colour, ``single`` a room. Doubtful words of one sense among themselves tell nothing, nor do those of two senses that meet
elsewhere (``moderate`` and ``green``): :data:`TELLING_SENSES` has the others. A sure word that is *ambiguous* (``miss``) needs more
than "other" beside it. Words *beside* them say nothing, whatever the attribute. All are folded by
:func:`predict_age.letters.fold`. A phrase's words are joined by "_".
"""

from __future__ import annotations

from predict_age.letters import fold

_SURE = {
    "gender": (
        "male female males females man men woman women girl girls boy boys cisgender nonbinary non_binary transgender "
        "hermaphroditic undifferentiated mr mrs ms miss weiblich mannlich maennlich frau frauen herr manner maenner "
        "monsieur madame mademoiselle mlle mme femme femmes homme hommes feminin feminine masculin masculine mujer mujeres "
        "hombre hombres varon varones femenino masculino senor senora senorita signor signora femmina maschio donna uomo "
        "mulher homem feminino vrouw vrouwen kvinna kvinnor kvinde kvinne kobieta kobiety mezczyzna mezczyzni mies nainen "
        "muz zena zensky muzsky ferfi zenski muski moski kadin erkek barbat femeie мужской женский мужчина женщина мужчины "
        "женщины муж жен чоловік жінка чоловіча жіноча мъж жена мушки женски "
        "男 女 男性 女性 男士 女士 男子 女子 남 여 남성 여성 남자 여자 ذكر أنثى "
        "انثى رجل امرأة זכר נקבה גבר אישה άνδρας γυναίκα άντρας άρρεν θήλυ पुरुष महिला स्त्री ชาย หญิง laki_laki perempuan "
        "pria wanita lelaki mwanamume mwanamke"
    ),
    "family": (
        "married nevermarried never_married nevmarr separtd divrcd previously_married unmarried divorced divorcee divorcees "
        "widow widowed widower widows spouse husband wife cohabiting cohabitation cohabitating civil_partnership "
        "civil_partner civil_union registered_partnership living_with_partner living_together domestic_partnership "
        "own_child not_in_family div sep_div mar_wid pregnant pregnancy pregnancies schwanger enceinte embarazada gravida "
        "verheiratet ledig geschieden verwitwet eingetragene_lebenspartnerschaft marie mariee maries celibataire divorce "
        "veuf veuve pacse pacsee concubinage casado casada soltero soltera divorciado divorciada viudo viuda solteiro "
        "solteira viuvo viuva uniao_estavel union_libre sposato sposata coniugato coniugata celibe nubile divorziato "
        "divorziata vedovo vedova gehuwd ongehuwd getrouwd ongetrouwd verweduwd samenwonend ogift ugift skild fraskilt anka "
        "ankling samboende naimisissa naimaton eronnut leski zonaty zamezna kawaler panna rozwiedziony rozwiedziona wdowiec "
        "wdowa zenaty vdana svobodny svobodna rozvedeny rozvedena ovdovely ovdovela nos ferjezett notlen hajadon elvalt "
        "ozvegy evli bekar bosanmis dul женат замужем холост разведен "
        "разведена вдовец вдова 已婚 未婚 离异 離異 离婚 離婚 丧偶 喪偶 既婚 死別 "
        "離別 기혼 미혼 이혼 사별 متزوج متزوجة أعزب عزباء مطلق مطلقة أرمل أرملة נשוי נשואה רווק רווקה גרוש גרושה אלמן אלמנה "
        "παντρεμένος άγαμος διαζευγμένος विवाहित अविवाहित तलाकशुदा kawin belum_kawin cerai"
    ),
    "religion": (
        "protestant protestants protestantism catholic catholics catholicism romancatholic jewish jew jews judaism muslim "
        "muslims moslem islam islamic hindu hindus hinduism buddhist buddhists buddhism sikh sikhs sikhism jain jainism "
        "christian christians christianity orthodox_christian eastern_orthodox greek_orthodox russian_orthodox atheist "
        "atheism agnostic evangelical baptist methodist lutheran presbyterian anglican episcopalian mormon pentecostal "
        "quaker taoist taoism shinto confucian bahai church_of_england no_religion eastern_religions religious nonreligious "
        "unaffiliated inter_nondenominational nondenominational katholisch evangelisch muslimisch konfessionslos judisch "
        "juedisch katholik protestantisch catholique musulman musulmane juif juive bouddhiste hindouiste sans_religion "
        "catolico catolica musulmano ateo ateu agnostico cristiano cristiana judio evangelico evangelica cattolico "
        "cattolica ebreo katholiek moslim joods geen_religie hervormd gereformeerd katolik protestan budha katolicki "
        "православие православный ислам мусульманин буддизм иудаизм "
        "католик атеист католицизм 仏教 キリスト教 神道 佛教 基督教 伊斯兰教 道教 "
        "天主教 불교 기독교 천주교 개신교 مسلم مسيحي يهودي יהודי מוסלמי נוצרי मुस्लिम हिन्दू हिंदू सिख ईसाई"
    ),
    "ethnic origin": (
        "hispanic hispanics nonhispanic hisp hispan africanamerican pacificislander amindian latino latina latinx latinos "
        "caucasian cauc african_american afro_american afro_caribbean afroam afam american_indian amer_indian alaska_native "
        "native_american native_hawaiian pacific_islander pac_islander eskimo inuit nonwhite non_white nonblack non_black "
        "mestizo mulatto multiracial multi_racial biracial two_or_more_races mixed_race white_british black_british "
        "white_irish black_african black_caribbean asian_british south_asian east_asian mexican_american puerto_rican "
        "chicano pakistani bangladeshi maori aboriginal torres_strait_islander indigenous first_nations metis indigena "
        "pardo parda mestico gypsy romani sinti race races ethnicity minority_races desi"
    ),
    "sexual orientation": (
        "gay lesbian bisexual bisexuals homosexual heterosexual homosexuals heterosexuals queer asexual pansexual lgbt "
        "lgbtq lgbtqi heterosexuell homosexuell bisexuell lesbisch schwul heterosexuel heterosexuelle homosexuel "
        "homosexuelle lesbienne bisexuel heterosexuales heterosessuale omosessuale heteroseksueel homoseksueel "
        "гетеросексуал гомосексуал 同性恋 异性恋 双性恋"
    ),
    "opinion": (
        "democrat democrats democratic republican republicans libertarian liberal_democrat liberal_democrats lib_dem snp "
        "ukip tory tories plaid_cymru near_dem near_rep str_democrat str_republican extremely_liberal slightly_liberal "
        "very_liberal extremely_conservative cdu csu spd fdp afd grune gruene bundnis_90 die_linke socialist socialists "
        "communist whig federalist lib_sdp_alliance sdp psoe podemos ciudadanos lrem rassemblement_national front_national "
        "pvda groenlinks pvv vvd d66 forza_italia lega partito_democratico union_member labor_union trade_union nonunion "
        "non_union unionized unionised non_unionized gewerkschaftsmitglied syndique syndiquee sozialdemokrat christdemokrat "
        "veteran nonveteran non_veteran demokrat"
    ),
    "disability": (
        "disability disabilities handicap handicapped impairment impairments impaired wheelchair deaf schwerbehindert "
        "behindert behinderung nichtbehindert handicape handicapee discapacitado discapacitada discapacidad disabile "
        "invalide gehandicapt инвалид инвалидность disabled nondisabled abled able_bodied chronically_ill hiv_positive"
    ),
    "national origin": (
        "us_citizen u_s_citizen non_citizen noncitizen not_a_citizen noncitizens foreign_born foreignborn native_born "
        "nativeborn us_born born_in_the_us born_abroad naturalized naturalised naturalization permanent_resident "
        "resident_alien immigrant immigrants refugee refugees asylum_seeker foreign_national foreigner foreigners auslander "
        "auslaender auslandisch auslandische etranger etrangere extranjero extranjera straniero straniera buitenlander "
        "inlander иностранец"
    ),
}
_DOUBTFUL = {  # attribute: sense: words
    "gender": {
        "titles": "master dr rev prof col major capt sir lady don jonkheer countess sr sra",
        "ages": "child children",
        "many": "trans diverse divers genderqueer gender_fluid self_describe",
        "countries": "nam",
    },
    "family": {
        "rooms": "single singles bachelor couple partnered child relative",
        "things": "separated separate getrennt gescheiden partner partnership relationship sep dep mar wid",
        "presents": "gift",
    },
    "religion": {
        "dress": "orthodox reformed",
    },
    "ethnic origin": {
        "colours": (
            "black blacks white whites brown yellow coloured colored noir noire blanc blanche branco branca preto "
            "preta amarelo amarela schwarz weiss negro blanco blk wht"
        ),
        "mixtures": "mixed",
        "places": (
            "asian asians indian african american amer chinese mexican caribbean european arab middle_eastern japanese "
            "korean filipino islander british irish roma "
            "asiatique asiatico asiatica asiatisch asiat africain africaine africano africana afrikanisch"
        ),
    },
    "sexual orientation": {
        "lines": "straight",
        "chemistry": "hetero homo bi",
    },
    "opinion": {
        "attitudes": "liberal liberals conservative conservatives moderate moderates progressive",
        "businesses": "independent independents ind indep",
        "economy": "labour",
        "colours": "green greens",
        "letters": "pp vox ps pd",
        "groups": "union covered",
    },
    "disability": {
        "tests": "blind",
    },
    "national origin": {
        "origins": "native natives foreign domestic national",
        "brands": "citizen citizens",
        "languages": "deutsch deutsche deutscher francais francaise espanol espanola italiano italiana nederlander",
    },
}
_AMBIGUOUS = (  # sure words that are something else where "other" alone stands beside them
    "miss ms race races div marie maries anka nos dul panna lega whig quaker evli metis desi jain muz mies donna inlander pria "
    "veuve union_libre minority_races"
)
# Words that others are folded to, by the sure word that they mean: nő is no "no".
BEFORE_FOLDING = {"nő": "woman", "nők": "women", "nữ": "woman"}
# Senses of doubtful words that together are those of the attribute, with the fewest different values.
TELLING_SENSES: dict[str, tuple[tuple[frozenset[str], int], ...]] = {
    "gender": ((frozenset(["titles", "many"]), 2), (frozenset(["countries", "many"]), 2)),
    "family": ((frozenset(["rooms", "things"]), 3),),
    "ethnic origin": ((frozenset(["colours", "places"]), 2),),
    "sexual orientation": ((frozenset(["lines", "chemistry"]), 2),),
    "opinion": (
        (frozenset(["attitudes", "economy"]), 2),
        (frozenset(["attitudes", "businesses"]), 3),
        (frozenset(["economy", "colours"]), 3),
    ),
    "national origin": ((frozenset(["origins", "brands"]), 2), (frozenset(["origins", "languages"]), 2)),
}
_BESIDE = (
    "a an and are east west north south previously as at be been born but by civ af absent currently etc from has have i im "
    "in including include incl is it la le les legal legally living lebend zusammenlebend more near now of or person people "
    "present registered some state status the these they this to two was with without un une el los der die das den des ein "
    "eine et en und y e o s n not no non never none nicht kein keine sans sin senza geen other others member members party "
    "rep dem str strong weak lean leaning leans us uk eu u alone all any background ancestry descent citizenship roman "
    "romisch greek eastern church self extremely slightly slghtly extrmly very eingetragen estado etat labor trade died "
    "religion religions race ethnicity yes ja oui si middle road describe не на да или в"
)
# Values that say nothing, and words that such values begin with.
_SILENT = (
    "unknown other others na nan none null missing refused unbekannt sonstige sonstiges autre autres inconnu otro otra "
    "outro outra 其他 기타"
)
_SILENT_BEGINNINGS = (
    "prefer",
    "not stated",
    "not given",
    "not available",
    "not reported",
    "not applicable",
    "not answered",
    "no answer",
    "no information",
    "no data",
    "keine angabe",
    "weiss nicht",
    "don t know",
    "dont know",
    "do not know",
    "cannot",
    "can t",
    "could not",
    "refus",
    "unknown",
    "missing",
    "decline",
    "nao informado",
    "nao sabe",
    "no contesta",
    "no sabe",
    "ne sait",
    "ns nc",
    "sans reponse",
    "не указан",
    "нет ответа",
)


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(fold(word).split("_")) for word in text.split())


SURE = {attribute: _phrases(words) for attribute, words in _SURE.items()}
DOUBTFUL = {
    attribute: {phrase: sense for sense, words in senses.items() for phrase in _phrases(words)}
    for attribute, senses in _DOUBTFUL.items()
}
AMBIGUOUS = _phrases(_AMBIGUOUS)
BESIDE = frozenset(word for phrase in _phrases(_BESIDE) for word in phrase)
SILENT = frozenset(fold(word) for word in _SILENT.split())
SILENT_BEGINNINGS = tuple(fold(beginning) for beginning in _SILENT_BEGINNINGS)
SILENT_PARTS = tuple(beginning for beginning in SILENT_BEGINNINGS if " " in beginning)
LONGEST_PHRASE = max(len(phrase) for phrases in SURE.values() for phrase in phrases)
