"""Names of months in the larger European languages: whole, in the genitive, and as they are cut off in dates."""

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


MONTHS = {
    name: str(month)
    for table in (_LATIN, _CYRILLIC)
    for month, names in enumerate(table.strip().splitlines(), 1)
    for name in fold(names).split()
}
