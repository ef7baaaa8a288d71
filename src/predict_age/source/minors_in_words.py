"""Ages of minors that are no numbers: "12 years", "0-17", "<18", "30 months", in the larger languages."""

from __future__ import annotations

from predict_age.source.value_sql import trimmed
from predict_age.sql import literal

_PREFIX = "(?:(?:aged?:?|alter:?|<=|≤|up to|bis) ?)?"
_LOWER_END = "(?:[0-9]{1,2} ?(?:-|\N{EN DASH}|\N{EM DASH}|to|bis|a|à|tot) ?)?"
_UNDER = "(?:<|under|below|less than|younger than|unter|moins de|menos de) ?"
_OLD = "(?: ?-?(?:old|of age|alt))?"
_UNITS = "years?|yrs?|yr?|y/o|yo|jahren?|jahre?|j|ans?|años?|anni|anos?|jaar|let|lat|лет|года?|歳|岁"
_YEARS = rf"(?:[ -]?(?:{_UNITS})\.?{_OLD})?"
_MONTHS = f"[ -]?(?:months?|mos?|monaten?|monate?|mois|meses|mesi|maanden){_OLD}"
_SHORTER = f"[ -]?(?:weeks?|wochen?|days?|tagen?|tage?|semaines?|jours?|semanas?|d[ií]as?){_OLD}"


def minor_in_words(column: str, below: int) -> str:
    """SQL for whether the text of ``column``, which is no number, says an age below ``below`` years all the same.

    The higher of two ages counts. Texts in other words, and numbers whose meaning nobody knows, say nothing.
    """
    text = f"lower({trimmed(column)})"

    def number(pattern: str) -> str:
        return f"TRY_CAST(regexp_extract({text}, {literal(f'^{pattern}$')}, 1) AS INTEGER)"

    conditions = (
        f"{number(f'{_PREFIX}{_LOWER_END}([0-9]{{1,2}})(?:[.,][0-9]+)?{_YEARS}')} < {below}",
        f"{number(f'{_UNDER}([0-9]{{1,2}}){_YEARS}')} <= {below}",
        f"{number(f'([0-9]{{1,3}}){_MONTHS}')} < {12 * below}",
        f"regexp_full_match({text}, {literal(f'[0-9]{{1,2}}{_SHORTER}')})",
    )
    return " OR ".join(f"coalesce({condition}, FALSE)" for condition in conditions)
