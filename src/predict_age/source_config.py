"""Section [source] of the configuration."""

from __future__ import annotations

import codecs
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

RECORDED = {"recorded": True}  # context of a configuration that a run has recorded: earlier versions allowed more
STRICT_SECTION = ConfigDict(
    frozen=True, extra="forbid", strict=True, defer_build=True
)  # workers never validate it, so its schema is built on first use
MISSING_VALUES = ("NA", "N/A", "<NA>", "NULL", "null", "None", "NaN", "nan", "\\N")


class SourceConfig(BaseModel):
    """Names of the source's columns. ``profile_json = "*"`` makes the remaining columns of a flat file the profile.

    The form of files (``format``, ``encoding``, ``csv_...``) is detected unless it is set. ``missing_values`` are texts that stand
    for no value: as an id, an age or a date of birth in any format, in quotes, too; elsewhere where a CSV file has them without
    quotes. Files whose names match a pattern of ``exclude`` are passed over.
    """

    model_config = STRICT_SECTION

    pid: str = "pid"
    pid_type: Literal["auto", "integer", "text"] = "auto"
    birth_year: str = "birth_year"
    approximate_age: str = "approximate_age"
    birth_date: str = "birth_date"
    birth_date_format: str = ""
    profile_json: str = "profile_json"
    format: Literal["auto", "parquet", "json", "csv"] = "auto"
    encoding: str = "auto"
    csv_delimiter: str = Field(default="auto", pattern=r'^(auto|[^\r\n"\x00\x80-\U0010ffff])$')
    csv_quote: str = Field(default="auto", pattern=r"^(auto|[!-~]?)$")
    csv_escape: str = Field(default="auto", pattern=r"^(auto|[!-~]?)$")
    csv_line_breaks: Literal["checked", "trusted"] = "checked"
    missing_values: tuple[str, ...] = Field(default=MISSING_VALUES, strict=False)
    exclude: tuple[str, ...] = Field(default=(), strict=False)
    max_set_aside_share: float = Field(default=0.001, ge=0, le=1)
    max_set_aside_floor: int = Field(default=10, ge=0)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        if value == "auto":
            return value
        try:
            "pid".encode(value)  # also refuses encodings that are none of text
            return codecs.lookup(value).name
        except (LookupError, ValueError):
            raise ValueError("no encoding of text has this name; write auto, utf-8, utf-16, cp1252, iso8859-1 ...") from None

    @model_validator(mode="after")
    def _different_signs(self, info: ValidationInfo) -> Self:
        """Refuse a sign with two meanings, and an escape without quotes in which it could stand; not of a run that has them."""
        if info.context is RECORDED:
            return self
        quote = '"' if self.csv_quote == "auto" else self.csv_quote
        if self.csv_delimiter in (quote, self.csv_escape) and self.csv_delimiter != "auto":
            raise ValueError("source.csv_delimiter must be another character than csv_quote and csv_escape")
        if not quote and self.csv_escape not in ("", "auto"):
            raise ValueError('source.csv_escape escapes quotes inside quotes; with csv_quote = "" there are none: leave it out')
        return self

    @property
    def age_columns(self) -> tuple[str, str, str]:
        """Names of the columns that may hold a known age."""
        return self.birth_year, self.approximate_age, self.birth_date

    @property
    def light_columns(self) -> tuple[str, str, str, str]:
        """Names of the columns of ids and ages: all that the light pass reads."""
        return self.pid, *self.age_columns

    @field_validator("birth_date_format")
    @classmethod
    def _whole_date(cls, value: str) -> str:
        day = "%d" in value or "%-d" in value
        month = any(part in value for part in ("%m", "%-m", "%b", "%B"))
        if value and not ("%Y" in value and month and day):
            raise ValueError("source.birth_date_format needs %Y (four digits), a month (%m, %b or %B) and %d, such as %d/%m/%Y")
        return value
