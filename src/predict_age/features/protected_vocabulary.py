"""Words that values of protected attributes consist of, in the languages and scripts that data have them in.

A *sure* word tells the attribute by itself. A *doubtful* one has another sense, too, under which it stands: ``white`` is a
colour, ``single`` a room. Doubtful words of one sense among themselves tell nothing, nor do those of two senses that meet
elsewhere (``moderate`` and ``green``): :data:`TELLING_SENSES` has the others. A sure word that is *ambiguous* (``miss``) needs more
than "other" beside it. Words *beside* them say nothing, whatever the attribute. All are folded by
:func:`predict_age.letters.fold`. A phrase's words are joined by "_".
"""

from __future__ import annotations

from predict_age.features.protected_words import SURE_WORDS
from predict_age.letters import fold

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
# The same, unless the field's name says that they are about something else: an account is disabled, a seat single.
TELLING_UNDER_OTHER_NAMES: dict[str, tuple[tuple[frozenset[str], int], ...]] = {
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
# Words of a field's name that say that its values of two senses are about things: a switch is disabled, a car black.
_OTHER_SUBJECTS = {
    "disability": (
        "account accounts acct konto compte cuenta conta conto rekening login signin feature features flag flags setting settings "
        "toggle switch service services device devices module plugin extension button key api token sync wifi relay sensor alarm "
        "alert notification notifications newsletter subscription port interface driver webhook printer autosave tracking backup "
        "firewall proxy bluetooth gps vpn server host endpoint workflow funktion fonction funcion dienst gerat einstellung "
        "reglage appareil dispositivo servicio servizio servico tjeneste toestel"
    ),
    "ethnic origin": (
        "colour color colours colors farbe farben couleur couleurs colore colori kleur farve farge farg kolor barva цвет car cars "
        "vehicle vehicles auto autos fahrzeug voiture vehicule coche vehiculo veiculo macchina bil bike bicycle motorcycle truck "
        "jacket coat shirt dress hat shoe shoes bag case paint ink pen tea coffee wine bread rice chocolate pepper chess piano dog "
        "cat pet horse cow sheep fur feather flower fabric wool cloth frame wall door phone tyre paper tie socks trousers belt "
        "bottle furniture sofa chair lamp cable list"
    ),
    "gender": (
        "period periods interval frequency cycle billing invoice unit units duration time window schedule recurrence report "
        "granularity resolution turnus zeitraum periode intervall periodo intervallo intervalo einheit haufigkeit frequence "
        "frecuencia frequenza isomer isomers molecule bond bonds fat fats alkene ligand compound catalyst"
    ),
    "sexual orientation": "catalyst catalysis molecule polymer compound reaction chemistry ligand dimer bond bonds lens enzyme",
    "family": (
        "room rooms bed beds bedroom seat ticket order voucher coupon channel mode battery sim thread court cutlery processing "
        "waste delivery reseller lane cabin tournament match zimmer chambre habitacion quarto camera bett cama letto"
    ),
}
# Words of a name after all about people, and words that stand behind a subject.
_PERSONAL = (
    "skin haut peau piel pele pelle hud huid complexion person persons people human population community individual respondent "
    "patient employee participant applicant child mother father parent self military public care social health work job employment "
    "mobility medical"
)
_KIND_OF = "type kind colour color id code status state mode"


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(part for part in fold(word).split("_") if not part.isdecimal()) for word in text.split())


SURE = {attribute: _phrases(words) for attribute, words in SURE_WORDS.items()}
DOUBTFUL = {
    attribute: {phrase: sense for sense, words in senses.items() for phrase in _phrases(words)}
    for attribute, senses in _DOUBTFUL.items()
}
AMBIGUOUS = _phrases(_AMBIGUOUS)
BESIDE = frozenset(word for phrase in _phrases(_BESIDE) for word in phrase)
OTHERS, NOBODY_ELSE, PERSONAL, _BEHIND = ({fold(word) for word in words.split()} for words in (_OTHER, _NONE, _PERSONAL, _KIND_OF))
_SUBJECTS = {attribute: {fold(word) for word in words.split()} for attribute, words in _OTHER_SUBJECTS.items()}
OTHER_SUBJECTS = {  # alone or before one of a few words
    attribute: words | {word + behind for word in words for behind in _BEHIND} for attribute, words in _SUBJECTS.items()
}
_LONG_ENOUGH = 5  # letters of a subject that is recognised at the end of a compound: ``fahrzeugfarbe``
SUBJECT_ENDINGS = {attribute: tuple(word for word in words if len(word) >= _LONG_ENOUGH) for attribute, words in _SUBJECTS.items()}
SILENT = OTHERS | NOBODY_ELSE | {fold(word).replace("_", " ") for word in _SILENT.split()}
SILENT_BEGINNINGS = tuple(fold(words) for listed in _SILENT_BEGINNINGS.values() for words in listed.split("|"))
SILENT_PARTS = tuple(beginning for beginning in SILENT_BEGINNINGS if " " in beginning)
LONGEST_PHRASE = max(len(phrase) for phrases in SURE.values() for phrase in phrases)
