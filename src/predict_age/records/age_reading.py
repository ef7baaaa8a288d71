"""Names of the mistakes from which ages that cannot be used may come."""

from __future__ import annotations

from enum import StrEnum

OTHER_FORMAT = "format "  # before a pattern for source.birth_date_format
ANY_FORMAT = "any format"  # counts the values that one of the formats reads


class AgeReading(StrEnum):
    """Mistakes that a value of an age column may come from. That another format reads it is ``format `` and the pattern."""

    ONE_VALUE = "one value"
    MONTHS = "months"
    WEEKS = "weeks"
    DAYS = "days"
    DECADES = "decades"
    CENTURIES = "hundredths"
    LOGARITHMS = "natural logarithms"
    LOGARITHMS_TO_10 = "logarithms to 10"
    SQUARES = "squares"
    SCALED = "scaled"
    BAND_CODES = "band codes"
    BANDS = "bands"
    DECIMAL_COMMA = "decimal comma"
    THOUSANDS = "thousands separator"
    TWO_DIGIT_YEARS = "two-digit years"
    BIRTH_YEARS = "birth years"
    BIRTH_DATES = "birth dates"
    SERIAL_NUMBERS = "serial numbers"
    SECONDS = "seconds since 1970"
    AFTER_AS_OF = "after as_of"
    TOO_OLD = "too old at as_of"
