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
        "monsieur madame mademoiselle mlle mme femme femmes homme hommes feminin feminine masculin masculine mujer "
        "mujeres hombre hombres varon varones femenino masculino senor senora senorita signor signora femmina maschio "
        "donna uomo mulher homem feminino vrouw vrouwen kvinna kvinnor kvinde kvinne kobieta kobiety mezczyzna "
        "mezczyzni mies nainen muz zena zensky muzsky ferfi zenski muski moski kadin erkek barbat femeie мужской "
        "женский мужчина женщина мужчины женщины муж жен чоловік жінка чоловіча жіноча мъж жена мушки женски 男 女 男性 "
        "女性 男士 女士 男子 女子 남 여 남성 여성 남자 여자 ذكر أنثى انثى رجل امرأة זכר נקבה גבר אישה άνδρας γυναίκα "
        "άντρας άρρεν θήλυ पुरुष महिला स्त्री ชาย หญิง laki_laki perempuan pria wanita lelaki mwanamume mwanamke mann "
        "manne maend mand kvinder cis_woman cis_man trans_woman trans_man transman transwoman transgenre transgenero "
        "transsexuell transseksuell non_binaire no_binario no_binaria nao_binario nao_binaria nichtbinar nichtbinaer "
        "non_binario ikke_binaer icke_binar niebinarny intersex intersexual agender genderfluid he_him she_her "
        "they_them he_him_his she_her_hers they_them_theirs trans_femme trans_homme miehet naiset muzi zeny muzska "
        "zenska nok ferfiak barbati femei barbatesc femeiesc жінки чоловіки жіночий чоловічий мъже жени мъжки мушкарац "
        "ανδρας γυναικα αρσενικό θηλυκό ذكور إناث पुरूष 男の子 女の子 남자아이 여자아이 เพศชาย เพศหญิง laki"
    ),
    "family": (
        "married nevermarried never_married nevmarr separtd divrcd previously_married unmarried divorced divorcee "
        "divorcees widow widowed widower widows spouse husband wife cohabiting cohabitation cohabitating "
        "civil_partnership civil_partner civil_union registered_partnership living_with_partner living_together "
        "domestic_partnership own_child not_in_family div sep_div mar_wid pregnant pregnancy pregnancies schwanger "
        "enceinte embarazada gravida verheiratet ledig geschieden verwitwet eingetragene_lebenspartnerschaft marie "
        "mariee maries celibataire divorce veuf veuve pacse pacsee concubinage casado casada soltero soltera divorciado "
        "divorciada viudo viuda solteiro solteira viuvo viuva uniao_estavel union_libre sposato sposata coniugato "
        "coniugata celibe nubile divorziato divorziata vedovo vedova gehuwd ongehuwd getrouwd ongetrouwd verweduwd "
        "samenwonend ogift ugift skild fraskilt anka ankling samboende naimisissa naimaton eronnut leski zonaty zamezna "
        "kawaler panna rozwiedziony rozwiedziona wdowiec wdowa zenaty vdana svobodny svobodna rozvedeny rozvedena "
        "ovdovely ovdovela nos ferjezett notlen hajadon elvalt ozvegy evli bekar bosanmis dul женат замужем холост "
        "разведен разведена вдовец вдова 已婚 未婚 离异 離異 离婚 離婚 丧偶 喪偶 既婚 死別 離別 기혼 미혼 이혼 사별 "
        "متزوج متزوجة أعزب عزباء مطلق مطلقة أرمل أرملة נשוי נשואה רווק רווקה גרוש גרושה אלמן אלמנה παντρεμένος άγαμος "
        "διαζευγμένος विवाहित अविवाहित तलाकशुदा kawin belum_kawin cerai not_pregnant expecting_a_child expecting_a_baby "
        "breastfeeding schwangerschaft grossesse embarazo embarazadas gestante gestantes gravidez incinta gravidanza "
        "zwanger zwangerschap gravid graviditet raskaana ciezarna w_ciazy tehotna terhes varandos insarcinata hamile "
        "gebe беременна беременная беременность вагітна бременна трудна έγκυος בהריון حامل गर्भवती 怀孕 懷孕 孕妇 妊娠 "
        "妊娠中 임신 ตั้งครรภ์ hamil sposati sposate divorces veufs skilt enke enkemann ugifte necasatorit casatorit "
        "casatorita divortat vaduv одружений заміжня неодружений розлучений вдовець женен омъжена неженен ожењен удата "
        "נשואים χήρος χήρα έγγαμος ανύπαντρος โสด สมรส หย่าร้าง หม้าย menikah lajang duda 妊娠していない 妊娠している "
        "妊娠していません 妊娠中である 非妊娠 未怀孕 未懷孕 已怀孕 임신_중 임신하지_않음 임신중 비임신 ไม่ตั้งครรภ์"
    ),
    "religion": (
        "protestant protestants protestantism catholic catholics catholicism romancatholic jewish jew jews judaism "
        "muslim muslims moslem islam islamic hindu hindus hinduism buddhist buddhists buddhism sikh sikhs sikhism jain "
        "jainism christian christians christianity orthodox_christian eastern_orthodox greek_orthodox russian_orthodox "
        "atheist atheism agnostic evangelical baptist methodist lutheran presbyterian anglican episcopalian mormon "
        "pentecostal quaker taoist taoism shinto confucian bahai church_of_england no_religion eastern_religions "
        "religious nonreligious unaffiliated inter_nondenominational nondenominational katholisch evangelisch "
        "muslimisch konfessionslos judisch juedisch katholik protestantisch catholique musulman musulmane juif juive "
        "bouddhiste hindouiste sans_religion catolico catolica musulmano ateo ateu agnostico cristiano cristiana judio "
        "evangelico evangelica cattolico cattolica ebreo katholiek moslim joods geen_religie hervormd gereformeerd "
        "katolik protestan budha katolicki православие православный ислам мусульманин буддизм иудаизм католик атеист "
        "католицизм 仏教 キリスト教 神道 佛教 基督教 伊斯兰教 道教 天主教 불교 기독교 천주교 개신교 مسلم مسيحي يهودي "
        "יהודי מוסלמי נוצרי मुस्लिम हिन्दू हिंदू सिख ईसाई shia shiite shiites shi_a shi_i shi_ite sunni sunnis sunnite "
        "sunnites shias ismaili ibadi alevi alawite ahmadi ahmadiyya druze sufi salafi zoroastrian zoroastrians parsi "
        "parsee yazidi yezidi rastafarian scientologist unitarian adventist jehovah_s_witness jehovahs_witness "
        "latter_day_saint latter_day_saints orthodox_jew orthodox_jewish coptic maronite calvinist wiccan pagan "
        "humanist secularist atheists agnostics nonbeliever non_believer non_religious sunnit schiit sunnitisch "
        "schiitisch alevitisch alevit judisch_orthodox atheistisch atheistin christlich judentum christentum hinduismus "
        "buddhismus ohne_konfession ohne_bekenntnis freikirchlich neuapostolisch chiite chiites chretien chretienne "
        "athee agnostique sans_confession chiita sunita musulmana catolicos judia budista hinduista atea sin_religion "
        "testigo_de_jehova muculmano muculmana cristao crista espirita umbanda candomble sem_religiao cattolici "
        "buddista induista sciita cristiani protestante protestantes protestanti protestantse katholieke islamitisch "
        "boeddhist hindoe sjiiet soenniet katolsk muslimsk luthersk protestantisk luterilainen katolilainen muslimi "
        "ateisti ateista ateist katolicka prawoslawny prawoslawna ewangelik katolikus reformatus evangelikus "
        "romano_catolic ortodox hristiyan musluman yahudi sii мусульманка мусульмане шиит суннит православная "
        "христианин христианка протестант буддист иудей атеїст християнин греко_католик мюсюлманин православен "
        "православац муслиман χριστιανός ορθόδοξος μουσουλμάνος καθολικός άθεος שיעי סוני דרוזי חילוני דתי شيعي سني "
        "شيعة سنة درزي शिया सुन्नी बौद्ध जैन 无宗教 佛教徒 基督徒 穆斯林 回教 仏教徒 無宗教 이슬람교 무교 무종교 พุทธ "
        "อิสลาม คริสต์ katolik_roma kristen buddha khonghucu church_member believer believers glaubig croyant creyente "
        "credente"
    ),
    "ethnic origin": (
        "hispanic hispanics nonhispanic hisp hispan africanamerican pacificislander amindian latino latina latinx "
        "latinos caucasian cauc african_american afro_american afro_caribbean afroam afam american_indian amer_indian "
        "alaska_native native_american native_hawaiian pacific_islander pac_islander eskimo inuit nonwhite non_white "
        "nonblack non_black mestizo mulatto multiracial multi_racial biracial two_or_more_races mixed_race "
        "white_british black_british white_irish black_african black_caribbean asian_british south_asian east_asian "
        "mexican_american puerto_rican chicano pakistani bangladeshi maori aboriginal torres_strait_islander indigenous "
        "first_nations metis indigena pardo parda mestico gypsy romani sinti race races ethnicity minority_races desi "
        "non_roma non_hispanic black_other white_other asian_american african_americans native_americans "
        "indigenous_people first_nation aborigine irish_traveller gypsy_traveller afrodescendiente afrodescendientes "
        "indigenas mestiza mestizos afrolatino afroamerikanisch afroamerikaner afroamericain afroamericano "
        "afroamericana quilombola caboclo ladino uyghur uighur zhuang kurd kurds tutsi hutu sami_people sinhalese "
        "pashtun hazara ashkenazi sephardi mizrahi mixed_ethnicity persons_of_color people_of_color person_of_color "
        "bipoc brahmin brahmins brahman kshatriya vaishya shudra sudra dalit dalits harijan obc scheduled_caste "
        "scheduled_castes scheduled_tribe scheduled_tribes other_backward_class other_backward_classes backward_class "
        "backward_caste upper_caste lower_caste forward_caste adivasi low_caste high_caste अनुसूचित_जाति "
        "अनुसूचित_जनजाति ब्राह्मण दलित क्षत्रिय वैश्य शूद्र अन्य_पिछड़ा_वर्ग кавказец славянин славянка татарин чуваш башкир "
        "чеченец ром цыган цигани роми rrom cigany roma_nemzetiseg 汉族 漢族 维吾尔族 藏族 回族 壮族 苗族 满族 蒙古族 "
        "少数民族 bumiputera אשכנזי كردي أمازيغي ews rajput jat"
    ),
    "sexual orientation": (
        "gay lesbian bisexual bisexuals homosexual heterosexual homosexuals heterosexuals queer asexual pansexual lgbt "
        "lgbtq lgbtqi heterosexuell homosexuell bisexuell lesbisch schwul heterosexuel heterosexuelle homosexuel "
        "homosexuelle lesbienne bisexuel heterosexuales heterosessuale omosessuale heteroseksueel homoseksueel "
        "гетеросексуал гомосексуал 同性恋 异性恋 双性恋 gays lesbians lgbtqia lgbtq_plus lgbt_plus non_lgbt demisexual "
        "polysexual same_sex_attracted homosexuality heterosexuality bisexuality bicurious bi_sexual hetero_sexual "
        "homo_sexual two_spirit asexuell pansexuell schwule lesben asexuel pansexuelle lesbiana lesbianas bisexuales "
        "homosexuales lesbica bissexual homossexual heterossexual assexual bisessuale asessuale biseksueel aseksueel "
        "flata heterofil homofil homofili biseksuel heteroseksuel homoseksuel heteroseksuaali homoseksuaali biseksuaali "
        "lesbo lesbijka gej heteroseksualny homoseksualny biseksualny heteroseksualna heterosexualni homosexualni "
        "bisexualni meleg leszbikus biszexualis heteroszexualis homosexuala escinsel lezbiyen бисексуал гей лесбиянка "
        "гетеросексуальный гомосексуальный лесбійка бісексуал хетеросексуален хомосексуален ετεροφυλόφιλος ομοφυλόφιλος "
        "αμφιφυλόφιλος הטרוסקסואל הומוסקסואל ביסקסואל לסבית مثلي مثلية समलैंगिक विषमलैंगिक उभयलिंगी 異性愛 同性愛 "
        "両性愛 異性戀 同性戀 雙性戀 이성애자 동성애자 양성애자 레즈비언 게이 รักต่างเพศ รักร่วมเพศ heteroseksual "
        "homoseksual biseksual opposite_sex_attracted"
    ),
    "opinion": (
        "democrat democrats democratic republican republicans libertarian liberal_democrat liberal_democrats lib_dem "
        "snp ukip tory tories plaid_cymru near_dem near_rep str_democrat str_republican extremely_liberal "
        "slightly_liberal very_liberal extremely_conservative cdu csu spd fdp afd grune gruene bundnis_90 die_linke "
        "socialist socialists communist whig federalist lib_sdp_alliance sdp psoe podemos ciudadanos lrem "
        "rassemblement_national front_national pvda groenlinks pvv vvd d66 forza_italia lega partito_democratico "
        "union_member labor_union trade_union nonunion non_union unionized unionised non_unionized "
        "gewerkschaftsmitglied syndique syndiquee sozialdemokrat christdemokrat veteran nonveteran non_veteran demokrat "
        "christian_democrat christian_democrats social_democrat social_democrats liberal_party labour_party "
        "conservative_party green_party republican_party democratic_party communist_party socialist_party communists "
        "communism socialism fascist anarchist nationalist centrist centrists apolitical apolitisch linksradikal "
        "rechtsradikal linksextrem rechtsextrem sozialistisch kommunistisch kommunist socialiste communiste "
        "extreme_gauche extreme_droite centre_gauche centre_droit centriste socialista comunista ultraderecha "
        "centroizquierda centroderecha extrema_izquierda extrema_derecha extrema_direita centrosinistra centrodestra "
        "partido_popular partido_socialista party_member member_of_a_party member_of_a_political_party political_party "
        "parteimitglied parteilos kein_parteimitglied membre_d_un_parti miembro_de_un_partido afiliado_a_un_partido "
        "iscritto_a_un_partito partijlid partimedlem czlonek_partii член_партии беспартийный 党员 黨員 中共党员 "
        "共青团员 党員 당원 trade_unionist union_members labour_union unionist gewerkschaft gewerkschafter "
        "gewerkschaftlich_organisiert syndicat syndicaliste non_syndique sindicato afiliado_al_sindicato "
        "afiliada_al_sindicato sindicalizado sindicalizada no_sindicalizado sindicalista sindacato "
        "iscritto_al_sindacato vakbond vakbondslid fackmedlem fackligt_ansluten fagforening fagorganisert "
        "fagforeningsmedlem ammattiliitto zwiazek_zawodowy odbory szakszervezet szakszervezeti_tag sindicat sendikali "
        "sendikasiz профсоюз член_профсоюза профспілка синдикат συνδικάτο 工会会员 工會 労働組合 노조 ig_metall ver_di "
        "igbce gew dgb cfdt cgt ccoo ugt cgil cisl uil fnv afl_cio seiu 非党员 无党派 無黨派"
    ),
    "disability": (
        "disability disabilities handicap handicapped impairment impairments impaired wheelchair deaf schwerbehindert "
        "behindert behinderung nichtbehindert handicape handicapee discapacitado discapacitada discapacidad disabile "
        "invalide gehandicapt инвалид инвалидность nondisabled abled able_bodied chronically_ill disabled_person "
        "disabled_people disabled_persons non_disabled wheelchair_user hard_of_hearing visually_impaired "
        "hearing_impaired autistic autism neurodivergent gehorlos gehorlose korperbehindert schwerbehinderung "
        "nicht_behindert sourd malentendant malvoyant rqth persona_con_discapacidad con_discapacidad sin_discapacidad "
        "sordo pessoa_com_deficiencia com_deficiencia sem_deficiencia deficiente surdo con_disabilita senza_disabilita "
        "disabili non_disabile met_een_beperking arbeidsbeperking doof funktionsnedsattning funktionshindrad "
        "handicappet funksjonshemmet funksjonsnedsettelse vammainen niepelnosprawny niepelnosprawna niepelnosprawnosc "
        "postizeny postizena zdravotne_postizeny fogyatekos fogyatekkal_elo persoana_cu_dizabilitati dizabilitate "
        "dizabilitati engelli engelsiz инвалидом глухой слепой інвалід інвалідність увреждане инвалидитет αναπηρία "
        "ανάπηρος נכה נכות معاق معاقة إعاقة विकलांग दिव्यांग 残疾 残疾人 残障 身心障礙 障害者 障害あり 障がい者 障害 "
        "장애인 비장애인 장애 พิการ คนพิการ difabel disabilitas"
    ),
    "national origin": (
        "us_citizen u_s_citizen non_citizen noncitizen not_a_citizen noncitizens foreign_born foreignborn native_born "
        "nativeborn us_born born_in_the_us born_abroad naturalized naturalised naturalization permanent_resident "
        "resident_alien immigrant immigrants refugee refugees asylum_seeker foreign_national foreigner foreigners "
        "auslander auslaender auslandisch auslandische etranger etrangere extranjero extranjera straniero straniera "
        "buitenlander inlander иностранец eu_citizen eu_citizens non_eu_citizen eu_national eu_nationals "
        "non_eu_national eea_citizen eea_national non_eea third_country_national third_country_nationals non_national "
        "stateless dual_citizen dual_national undocumented migrant migrants asylum_seekers settled_status "
        "pre_settled_status foreign_citizen domestic_citizen non_immigrant green_card_holder second_generation_migrant "
        "migration_background no_migration_background eu_burger eu_buerger nicht_eu_burger eu_auslander unionsburger "
        "drittstaatsangehoriger drittstaatsangehorige drittstaatler drittstaat staatenlos migrationshintergrund "
        "mit_migrationshintergrund ohne_migrationshintergrund einheimisch fluchtling fluechtling asylbewerber "
        "aussiedler spataussiedler citoyen_de_l_ue citoyen_ue ressortissant_ue hors_ue ressortissant_hors_ue "
        "ressortissant_d_un_pays_tiers apatride refugie refugiee demandeur_d_asile immigre immigree ciudadano_de_la_ue "
        "ciudadano_ue ciudadano_comunitario extracomunitario extracomunitaria apatrida refugiado refugiada inmigrante "
        "solicitante_de_asilo extranjeros cidadao_da_ue estrangeiro estrangeira imigrante cittadino_ue "
        "cittadino_comunitario cittadino_extra_ue apolide rifugiato immigrato stranieri niet_eu_burger vluchteling "
        "statenloos allochtoon autochtoon utlanding flykting utrikes_fodd inrikes_fodd statslos udlaending flygtning "
        "utlending flyktning innvandrer ulkomaalainen pakolainen maahanmuuttaja obywatel_ue cudzoziemiec uchodzca "
        "bezpanstwowiec obcan_eu cizinec uprchlik kulfoldi menekult cetatean_ue refugiat yabanci multeci беженец "
        "мигрант гражданин_ес гражданин_рф иностранный_гражданин без_гражданства біженець іноземець чужденец бежанец "
        "странац избеглица αλλοδαπός μετανάστης πρόσφυγας פליט מהגר لاجئ أجنبي مهاجر शरणार्थी विदेशी 外国人 外國人 外籍 "
        "难民 難民 移民 외국인 내국인 난민 ต่างชาติ ผู้ลี้ภัย warga_negara_asing"
    ),
    "health": (
        "hiv hiv_positive hiv_negative hiv_positiv hiv_negativ hiv_pozitif hiv_status aids seropositive seronegative "
        "seropositif seronegatif seropositivo seronegativo seropositiva sieropositivo sieronegativo seropositief vih "
        "vih_positivo vih_negativo вич вич_положительный вич_отрицательный 艾滋病 diabetes diabetic diabetics "
        "type_1_diabetes type_2_diabetes diabetiker diabetique diabetico diabetica diabete cukrzyca диабет asthma "
        "asthmatic asthme asma astma астма cancer krebs kanker kreft cancro tumor tumour leukemia leukaemia lymphoma "
        "hypertension hypertensive bluthochdruck depression depressive depressed anxiety anxiety_disorder "
        "bipolar_disorder schizophrenia schizophrenic ptsd adhd dementia alzheimer alzheimers parkinson parkinsons "
        "epilepsy epileptic epilepsie multiple_sclerosis hepatitis hepatitis_b hepatitis_c tuberculosis copd "
        "heart_disease cardiovascular_disease kidney_disease liver_disease chronic_disease chronic_illness "
        "mental_illness mentally_ill obese obesity overweight underweight normal_weight anorexia bulimia "
        "eating_disorder addiction alcoholism drug_addict vaccinated unvaccinated not_vaccinated fully_vaccinated "
        "partially_vaccinated geimpft ungeimpft vacunado no_vacunado vacunada vaccinato non_vaccinato gevaccineerd "
        "covid_positive covid_negative chronisch_krank psychisch_krank herzkrankheit maladie_chronique "
        "enfermedad_cronica malattia_cronica depressao depresion depressione 糖尿病 高血压 高血圧 癌症 哮喘 抑郁症 "
        "うつ病 喘息 당뇨병 고혈압 우울증 مرض_السكري سرطان سكري मधुमेह अस्थमा कैंसर סוכרת סרטן διαβήτης καρκίνος เบาหวาน "
        "มะเร็ง bipolar type_diabetes"
    ),
    "genetic features": (
        "brca1 brca2 brca brca1_carrier brca2_carrier brca_carrier gene_carrier mutation_carrier carrier_of_a_mutation "
        "heterozygous homozygous heterozygote homozygote wild_type sickle_cell sickle_cell_trait thalassemia "
        "thalassaemia cystic_fibrosis huntington huntingtons down_syndrome trisomy_21 hemophilia haemophilia apoe_e4 "
        "apoe4 genetic_disease genetic_disorder hereditary_disease erbkrankheit maladie_genetique enfermedad_genetica "
        "malattia_genetica non_carrier"
    ),
}
_DOUBTFUL = {  # attribute: sense: words
    "gender": {
        "titles": "master dr rev prof col major capt sir lady don jonkheer countess sr sra",
        "ages": "child children",
        "many": "trans cis diverse divers genderqueer gender_fluid self_describe",
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
        "letters": "sc st",
        "places": (
            "asian asians indian african american amer chinese mexican caribbean european arab middle_eastern japanese "
            "korean filipino islander british irish roma turkish kurdish zulu xhosa yoruba igbo hausa tibetan turkmen malay "
            "asiatique asiatico asiatica asiatisch asiat africain africaine africano africana afrikanisch"
        ),
    },
    "sexual orientation": {
        "lines": "straight",
        "chemistry": "hetero homo bi questioning",
    },
    "opinion": {
        "sides": (
            "left_wing right_wing left_wing_party right_wing_party center_left center_right centre_left centre_right far_left "
            "far_right"
        ),
        "attitudes": "liberal liberals conservative conservatives moderate moderates progressive",
        "businesses": "independent independents ind indep",
        "economy": "labour",
        "colours": "green greens",
        "letters": "pp vox ps pd",
        "groups": "union covered afiliado afiliada iscritto iscritta affilie affiliee lid mitglied medlem",
    },
    "genetic features": {
        "transport": "carrier carriers",
    },
    "disability": {
        "tests": "blind",
        "switches": "disabled",
    },
    "national origin": {
        "origins": "native natives foreign domestic national",
        "brands": "citizen citizens",
        "languages": "deutsch deutsche deutscher francais francaise espanol espanola italiano italiana nederlander",
    },
}
_AMBIGUOUS = (  # sure words that are something else where "other" alone stands beside them
    "miss ms race races div marie maries anka nos dul panna lega whig quaker evli metis desi jain muz mies donna "
    "inlander pria veuve union_libre minority_races aids overweight undocumented sii tumor depression bipolar "
    "believer meleg"
)
# Words that others are folded to, by the sure word that they mean: nő is no "no".
BEFORE_FOLDING = {"nő": "woman", "nők": "women", "nữ": "woman"}
# Senses of doubtful words that together are those of the attribute, with the fewest values that have one of them.
TELLING_SENSES: dict[str, tuple[tuple[frozenset[str], int], ...]] = {
    "gender": ((frozenset(["titles", "many"]), 2), (frozenset(["countries", "many"]), 2)),
    "ethnic origin": ((frozenset(["colours", "places"]), 2),),
    "sexual orientation": ((frozenset(["lines", "chemistry"]), 2),),
    "opinion": (
        (frozenset(["attitudes", "economy"]), 2),
        (frozenset(["attitudes", "sides"]), 3),
        (frozenset(["attitudes", "businesses"]), 3),
        (frozenset(["economy", "colours", "businesses"]), 3),
    ),
    "national origin": ((frozenset(["origins", "brands"]), 2), (frozenset(["origins", "languages"]), 2)),
}
# The same, of which a field's name may say that they are about something else: an account is disabled, a seat single.
TELLING_UNDER_OPEN_NAMES: dict[str, tuple[tuple[frozenset[str], int], ...]] = {
    "gender": ((frozenset(["many"]), 2),),
    "sexual orientation": ((frozenset(["chemistry"]), 2),),
    "family": ((frozenset(["rooms", "things"]), 3),),
    "disability": ((frozenset(["switches"]), 2),),
}
_BESIDE = (
    "a an and are east west north south previously as at be been born but by civ af absent currently etc from has "
    "have i im in including include incl is it la le les legal legally living lebend zusammenlebend more near now "
    "of or person people present registered some state status the these they this to two was with without un une el "
    "los der die das den des ein eine et en und y e o s n not no non never none nicht kein keine sans sin senza "
    "geen niet ej inte ikke ei nie nem nu degil nao bukan tidak не δεν לא غير नहीं positive negative positiv "
    "negativ positif negatif positivo negativo positiva negativa pozitif pozitivan pozitywny negatywny "
    "положительный отрицательный status general other others member members party rep dem str strong weak lean "
    "leaning leans us uk eu u alone all any background ancestry descent citizenship roman romisch greek eastern "
    "church self extremely slightly slghtly extrmly very eingetragen estado etat labor trade died religion "
    "religions race ethnicity yes ja oui si middle road describe не на да или в"
)
# Values for all whom another one does not name; "no" and "none", beside a value that somebody has.
_OTHER = (
    "other others sonstige sonstiges andere anderes andre autre autres otro otra otros otras outro outra outros "
    "altro altra altri anders annat annan andet annet muu muut inny inna inne jine jiny ine iny ina egyeb mas alta "
    "altul altele diger другое другой другие інше інший друго други остало ostalo drugo άλλο άλλη άλλος אחר אחרת "
    "آخر أخرى غيره अन्य 其他 其它 その他 기타 อื่น อื่นๆ lainnya lain"
)
_NONE = (
    "no none not nein keine kein non aucun aucune nessuno nessuna ninguno ninguna nenhum nenhuma nee geen nej ingen "
    "nei inget ei nie brak ne zadne nincs nem nu hayir нет ні не няма nema όχι לא אין لا नहीं 否 无 無 いいえ なし "
    "아니오 없음 ไม่ tidak"
)
# Values that say nothing, and words that such values begin with, by language.
_SILENT = (
    "unknown na nan null missing refused n_a n_d n_s k_a o_a n_v_t s_d s_o b_d undisclosed unspecified withheld "
    "unbekannt inconnu desconocido desconocida desconhecido ignorado sconosciuto onbekend okand okant ukjent ukendt "
    "uoplyst tuntematon nieznane nieznany nezname neznamy neuvedeno neuvedene ismeretlen necunoscut nespecificat "
    "bilinmiyor неизвестно невідомо неизвестен непознато nepoznato άγνωστο nsp rechazo odmowa отказ відмова 未知 "
    "不详 不詳 保密 不明 無回答 未回答 非公開 무응답 모름 미상 ไม่ระบุ ไม่ทราบ अज्ञात"
)
_SILENT_BEGINNINGS = {
    "English": (
        "prefer|rather not|would rather|i d rather|don t want|do not want|do not wish|don t wish|choose not|chose not|"
        "not say|not stated|not given|not available|not reported|not applicable|not answered|not tested|untested|"
        "not known|nicht getestet|non teste|not disclosed|not specified|not collected|no answer|no response|"
        "no information|no data|don t know|dont know|do not know|cannot|can t|could not|refus|unknown|missing|decline"
    ),
    "German": (
        "keine angabe|keine antwort|keine auskunft|ohne angabe|nicht angegeben|mochte ich nicht|mochte nicht|"
        "ich mochte|will ich nicht|will nicht|lieber nicht|weiss nicht|verweigert"
    ),
    "French": (
        "prefere ne pas|je prefere ne|ne souhaite pas|je ne souhaite|ne veut pas|ne se prononce|ne sait|non renseigne|"
        "non precise|non communique|sans reponse|pas de reponse|refus de"
    ),
    "Spanish": (
        "prefiero no|prefiere no|no contesta|no responde|no sabe|no desea|no quiero|no especifica|no declarad|"
        "sin respuesta|sin datos|sin especificar|ns nc"
    ),
    "Portuguese": (
        "prefiro nao|prefere nao|nao informado|nao informad|nao sabe|nao declarad|nao respond|nao quero|nao deseja|"
        "nao especificad|sem resposta|sem declaracao"
    ),
    "Italian": (
        "preferisco non|preferisce non|non dichiara|non specificat|non so|non sa|non risponde|non indicat|"
        "nessuna risposta|non desidero|preferirei non"
    ),
    "Dutch": (
        "zeg ik liever niet|zeg liever niet|liever niet|wil ik niet|wil niet|geen antwoord|geen opgave|niet opgegeven|"
        "niet bekend|weet niet|weet ik niet"
    ),
    "Swedish, Norwegian, Danish": (
        "vill inte|vill ej|foredrar att inte|ej svar|ej angivet|inget svar|uppgift saknas|vet ej|vet inte|vil ikke|"
        "onsker ikke|foretrekker|foretraekker|intet svar|ingen svar|ikke oppgitt|ikke oplyst|ikke angivet|vet ikke|"
        "ved ikke"
    ),
    "Finnish": ("en halua|ei halua|en osaa|en tieda|ei vastausta|ei tietoa|ei ilmoitettu"),
    "Polish, Czech, Slovak": (
        "wole nie|nie chce|nie wiem|nie podano|odmowa|brak odpowiedzi|brak danych|nechci|nechcem|nepreji si|"
        "neprajem si|radeji ne|radsej ne|bez odpovedi|nevim|neviem"
    ),
    "Hungarian, Romanian, Turkish": (
        "nem szeretn|nem kivan|nem tud|nem nyilatkoz|nem valaszol|nem adja|nincs valasz|nu doresc|nu vreau|nu stiu|"
        "nu raspund|fara raspuns|belirtmek istem|soylemek istem|belirtilmemis|cevap yok|cevap verm|bilmiyorum"
    ),
    "Slavic, in Cyrillic and Croatian": (
        "предпочитаю не|предпочел бы не|не хочу|не желаю|не указан|не знаю|нет ответа|затрудняюсь|отказ|волію не|"
        "вважаю за краще не|не бажаю|не вказан|немає відповіді|відмов|предпочитам да не|не желая|не искам|не знам|"
        "няма отговор|не е посочен|не желим|без одговора|ne zelim|radije ne|bez odgovora|ne znam"
    ),
    "Greek, Hebrew, Arabic": (
        "προτιμώ να μην|δεν επιθυμώ|δεν απαντ|δεν γνωρίζ|δεν θέλω|מעדיף|מעדיפה|לא ידוע|לא מוסר|אין תשובה|أفضل عدم|"
        "أفضل ألا|أفضل أن لا|لا أرغب|لا أريد|غير معروف|غير محدد|لا إجابة"
    ),
    "Hindi": ("बताना नहीं|नहीं बताना|मैं नहीं बताना|न बताना|कोई उत्तर नहीं|कहना नहीं"),
    "Chinese, Japanese, Korean": (
        "不愿|不願|不想|不便|不方便|拒绝|拒絕|未填|未说明|未說明|未回答|回答しない|回答したくない|答えたくない|"
        "言いたくない|わからない|無回答|응답하지|응답 거부|답변하지|답변 거부|밝히고 싶지|밝히지|말하고 싶지"
    ),
    "Thai, Indonesian": (
        "ไม่ต้องการ|ไม่ประสงค์|ไม่ตอบ|ไม่อยาก|tidak ingin|tidak mau|tidak menjawab|tidak diketahui|tidak tahu|"
        "lebih suka tidak|memilih tidak"
    ),
}
# Signs for values, by a word that means the same.
SIGNS = {
    "\u2642": "male",
    "\u2640": "female",
    "\u26a7": "transgender",
    "\u26a5": "intersex",
    "\u26a2": "lesbian",
    "\u26a3": "gay",
    "\u26a4": "heterosexual",
    "\U0001f468": "man",
    "\U0001f469": "woman",
    "\U0001f466": "boy",
    "\U0001f467": "girl",
    "\U0001f6b9": "man",
    "\U0001f6ba": "woman",
    "\u26ad": "married",
    "\u26ae": "divorced",
    "\U0001f930": "pregnant",
    "\u271d": "christian",
    "\u2626": "orthodox_christian",
    "\u262a": "muslim",
    "\u2721": "jewish",
    "\u2638": "buddhist",
    "\U0001f549": "hindu",
    "\u262c": "sikh",
    "\u267f": "wheelchair",
}
# Words of a field's name that leave open what its values are about.
_VAGUE = (
    "status stat state stand group grp grps type code category class person people individual question quest item "
    "field value values label text name column response respondent answer option kind indicator variable attribute "
    "characteristic demographic demographics identity background profile info data detail choice description recode "
    "user member customer client patient employee participant applicant self raw gruppe grupo groupe gruppo groep "
    "grupp ryhma grupa skupina csoport группа kategorie categorie categoria estado stato statut tipo frage pregunta "
    "domanda persona personne"
)


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(part for part in fold(word).split("_") if not part.isdecimal()) for word in text.split())


SURE = {attribute: _phrases(words) for attribute, words in _SURE.items()}
DOUBTFUL = {
    attribute: {phrase: sense for sense, words in senses.items() for phrase in _phrases(words)}
    for attribute, senses in _DOUBTFUL.items()
}
AMBIGUOUS = _phrases(_AMBIGUOUS)
BESIDE = frozenset(word for phrase in _phrases(_BESIDE) for word in phrase)
OTHER, NONE, VAGUE = ({fold(word) for word in words.split()} for words in (_OTHER, _NONE, _VAGUE))
SILENT = OTHER | NONE | {fold(word).replace("_", " ") for word in _SILENT.split()}
SILENT_BEGINNINGS = tuple(fold(words) for listed in _SILENT_BEGINNINGS.values() for words in listed.split("|"))
SILENT_PARTS = tuple(beginning for beginning in SILENT_BEGINNINGS if " " in beginning)
LONGEST_PHRASE = max(len(phrase) for phrases in SURE.values() for phrase in phrases)
