"""Contents of a source's profile: fields, known ages, counts."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from predict_age.proposal.field_shapes import FieldShape

_ATTRIBUTE = re.compile(r"protected attribute \(([^:)]+)")
THE_AGE = "the age"  # note on a field whose name is that of an age


@dataclass(frozen=True)
class FieldProfile:
    """A column, or a field inside the profiles (``nested``), among the people looked at who are not known to be minors.

    ``people`` have a value, ``missing`` is the share (0..1) of the others; in all numbers of a profile, 10 stands for 1 to 19
    (:func:`predict_age.tally.shown_parts`). ``role``: id, an age, profiles or nothing. ``protected``: why it may be no feature.
    ``identity``: why it is taken for an id, or for a name. ``proposed``: kinds of the features that ``init`` would propose for it.
    """

    name: str
    nested: bool
    role: str
    kind: str
    people: int
    missing: float
    distinct: int
    protected: str
    identity: str
    proposed: list[str]
    shape: FieldShape

    @property
    def note(self) -> str:
        """Note on the field in words: why it is no feature, or not shown."""
        if self.protected:
            attribute = _ATTRIBUTE.search(self.protected)
            return f"protected: {attribute[1]}" if attribute else THE_AGE
        return self.identity or ("" if self.role or self.proposed else "no feature")


@dataclass(frozen=True)
class KnownAges:
    """Ages of the people looked at: the columns, people by what is known, sentences about values not used, and their years.

    ``years`` are people by whole years of a known age that a run would use, smoothed so that no bar stands for fewer than 20.
    """

    columns: list[str]
    guessed: list[str]
    given: int
    known: int
    withheld: int
    unused: list[str]
    likely: str
    years: list[float]


@dataclass(frozen=True)
class ProfileContents:
    """Contents of a source's profile. ``rows`` is None where nobody has counted them; ``exact_rows``: they are no estimate.

    ``people`` are those looked at, each with their first record, in ``records`` that were read.
    """

    source: str
    as_of: str
    files: int
    bytes: int
    formats: dict[str, int]
    rows: int | None
    exact_rows: bool
    records: int
    people: int
    id_column: str
    no_columns: str
    ages: KnownAges | None
    fields: list[FieldProfile]
    findings: list[str]

    @property
    def is_sample(self) -> bool:
        """Whether not all records were read."""
        return not (self.exact_rows and self.rows == self.records)

    def as_json(self) -> dict[str, object]:
        """The profile as ``profile --json`` prints it."""
        return asdict(self)
