"""Names of months in many European languages: whole, in the genitive, as they are cut off in dates, and Roman numbers."""

from __future__ import annotations

from predict_age.letters import fold

_LATIN = """
    jan january januar jänner jaenner janv janvier ene enero gen gennaio janeiro januari sty styczeń stycznia
    feb february februar feber fév févr février febrero febbraio fev fevereiro februari lut luty lutego
    mar march mär mrz märz maerz mars marzo março mrt maart marzec marca
    apr april avr avril abr abril aprile kwi kwiecień kwietnia
    may mai mayo mag maggio maio mei maj maja
    jun june juni juin junio giu giugno junho cze czerwiec czerwca
    jul july juli juil juillet julio lug luglio julho lip lipiec lipca
    aug august août ago agosto augustus sie sierpień sierpnia
    sep sept september septembre septiembre set setiembre settembre setembro wrz wrzesień września
    oct october okt oktober octobre octubre ott ottobre out outubro paź październik października
    nov november novembre noviembre novembro lis listopad listopada
    dec december dez dezember déc décembre dic diciembre dicembre dezembro gru grudzień grudnia
"""
_CYRILLIC = """
    янв январь января січ січень січня
    фев февр февраль февраля лют лютий лютого
    мар март марта бер березень березня
    апр апрель апреля кві квіт квітень квітня
    май мая тра трав травень травня
    июн июнь июня чер черв червень червня
    июл июль июля лип липень липня
    авг август августа сер серп серпень серпня
    сен сент сентябрь сентября вер вересень вересня
    окт октябрь октября жов жовт жовтень жовтня
    ноя нояб ноябрь ноября лис лист листопад листопада
    дек декабрь декабря гру груд грудень грудня
"""


_OTHER_LATIN = """
    leden ledna led január januára ian ianuarie tammi tammikuu tammikuuta ocak oca siječanj siječnja sij gener i
    únor února úno február februára februarie helmi helmikuu helmikuuta şubat şub veljača veljače vel febrer ii
    březen března bře marec március márc martie maaliskuu maaliskuuta maalis mart marts ožujak ožujka ožu maret iii
    duben dubna dub apríl apríla április ápr aprilie huhti huhtikuu huhtikuuta nisan nis travanj travnja iv
    květen května kvě máj mája május touko toukokuu toukokuuta mayıs svibanj svibnja svi maig v
    červen června čvn jún júna június iunie iun kesä kesäkuu kesäkuuta haziran haz lipanj lipnja juny vi
    červenec července čvc júl júla július iulie iul heinä heinäkuu heinäkuuta temmuz tem srpanj srpnja juliol vii
    srpen srpna srp augusti augusta augusztus elo elokuu elokuuta ağustos ağu kolovoz kolovoza kol agost agustus agt viii
    září zář septembra szeptember szept septembrie syys syyskuu syyskuuta eylül eyl rujan rujna ruj setembre ix
    říjen října říj októbra október octombrie loka lokakuu lokakuuta ekim eki x
    listopadu novembra noiembrie noi marras marraskuu marraskuuta kasım kas studeni studenog studenoga stu xi
    prosinec prosince pro decembra decembrie joulu joulukuu joulukuuta aralık ara prosinac prosinca desembre desember des xii
"""
_GREEK = """
    ιαν ιανουάριος ιανουαρίου
    φεβ φεβρουάριος φεβρουαρίου
    μαρ μάρτιος μαρτίου
    απρ απρίλιος απριλίου
    μάι μαΐ μάιος μαΐου
    ιουν ιούνιος ιουνίου
    ιουλ ιούλιος ιουλίου
    αυγ αύγουστος αυγούστου
    σεπ σεπτ σεπτέμβριος σεπτεμβρίου
    οκτ οκτώβριος οκτωβρίου
    νοε νοέμβριος νοεμβρίου
    δεκ δεκέμβριος δεκεμβρίου
"""

MONTHS: dict[str, str] = {}  # of names that are two months, the first: listopad is November, though October in Croatian
for _table in (_LATIN, _CYRILLIC, _OTHER_LATIN, _GREEK):
    for _month, _names in enumerate(_table.strip().splitlines(), 1):
        for _name in _names.split():
            MONTHS.setdefault(fold(_name), str(_month))
