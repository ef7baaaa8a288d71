"""The light pass over ids and ages: counts for every split, rows set aside, and an entry about each usable row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.records.given_ages import GivenAges
from predict_age.source.age_states import count_states, sum_unusable
from predict_age.source.convert import write_set_aside
from predict_age.source.external_partition import scatter
from predict_age.source.row_classifier import classify_rows
from predict_age.source.row_group_reader import Slice, Split
from predict_age.source.row_rules import AgeState, IdType, RowRules, UnusableAges, connect
from predict_age.source.suppression import hidden_people
from predict_age.source.text_ids import Spellings, count_text_ids, spellings
from predict_age.storage.suppression_list import SuppressionList

NO_AGE, WITHHELD, USELESS, TOO_YOUNG = 255, 254, 253, 252  # in the place of a known age
_CODES = np.array([NO_AGE, 0, USELESS, TOO_YOUNG, WITHHELD], np.uint8)  # by AgeState
STATE_OF = np.full(256, AgeState.KNOWN, np.uint8)  # AgeState by what is in the place of a known age
STATE_OF[_CODES[_CODES > 0]] = np.flatnonzero(_CODES)
ENTRY = np.dtype([("pid", np.int64), ("split", np.int32), ("row", np.uint32), ("age", np.uint8)])
TEXT_ENTRY = np.dtype([*ENTRY.descr, ("check", np.uint64)])  # two texts may have the same pid
TEXT_SHARE = 0.1  # ids are text when more of them than this are no whole numbers


@dataclass(frozen=True)
class SuppressedRows:
    """Usable rows of people whom the suppression list hides: (row inside the split, keyed hash of the pid)."""

    rows: NDArray[np.uint32]
    people: NDArray[np.uint64]


@dataclass(frozen=True)
class SplitCounts:
    """Counts of one split. ``known`` counts usable rows by where their age comes from; duplicates are still in.

    ``withheld`` rows are those of known minors: ``zero_ages`` have nothing but an age of 0, ``near_limit`` are hardly too young.
    ``suppressed`` rows are in ``read`` alone; neither their ids nor their ages are counted or written anywhere.
    """

    split: int
    read: int
    set_aside: dict[str, int]
    known: dict[str, int]
    needs_prediction: int
    withheld: int
    zero_ages: int
    near_limit: int
    unreadable_age: int
    implausible_age: int
    conflicting_age: int
    known_ages: list[int]  # histogram over ages 0..120
    text_ids: int  # rejected rows whose id would be one if ids were text
    unusable_ages: list[UnusableAges]
    age_states: GivenAges  # rows
    written: dict[str, str]  # path -> SHA-256 of the file of rows set aside
    suppressed: SuppressedRows
    spellings: Spellings = field(default_factory=Spellings)

    @property
    def usable(self) -> int:
        return self.read - sum(self.set_aside.values())


def entry_of(ids: IdType) -> np.dtype[Any]:
    """The type of an entry about a row."""
    return TEXT_ENTRY if ids == "text" else ENTRY


def id_type(texts: int, numbers: int) -> IdType:
    """Type of the ids of a source with ``numbers`` whole numbers and ``texts`` others: text when over a tenth are texts."""
    return "text" if texts > TEXT_SHARE * (texts + numbers) else "integer"


class _Counting:
    """Counts of a split while it is read."""

    def __init__(self, rules: RowRules, suppression: SuppressionList | None) -> None:
        self._rules = rules
        self._suppression = suppression
        self._hidden = [(np.empty(0, np.uint32), np.empty(0, np.uint64))]
        self._entry = entry_of(rules.ids)
        self._unusable: list[UnusableAges] = []
        self._spellings: list[Spellings] = []
        self.read = self.needs = self.text_ids = 0
        self.reasons: list[str] = []
        self.positions: list[int] = []
        self.known: Counter[str] = Counter()
        self.odd: Counter[str] = Counter()
        self.ages = np.zeros(121, np.int64)
        self.states = GivenAges(0, 0, 0)

    def add(self, split: Split, piece: Slice, judged: pa.Table) -> np.ndarray:
        """Some more rows; returns the entries of the usable ones who are not suppressed."""
        usable = judged["pid"].is_valid().to_numpy()
        self._spellings.append(spellings(piece.raw["pid"]))
        rows = np.arange(self.read, self.read + len(usable))
        self.read += len(usable)
        if not usable.all():
            bad = ~usable
            self.reasons += judged["problem"].filter(bad).to_pylist()
            self.positions += piece.positions[bad].tolist()
            self.text_ids += count_text_ids(piece.raw["pid"], judged["problem"])
        raw = piece.raw
        found, people = hidden_people(judged["pid"].fill_null(0).to_numpy(), self._suppression, self._rules.ids)
        if (hidden := found & usable).any():
            self._hidden.append((rows[hidden].astype(np.uint32), people[usable[found]]))
            shown = pa.array(~hidden)
            judged, raw, usable, rows = judged.filter(shown), raw.filter(shown), usable[~hidden], rows[~hidden]
        needed = judged["needs_prediction"].to_numpy()
        self.needs += int(needed.sum())
        for name in ("withheld", "zero_age", "near_limit", "unreadable_age", "implausible_age", "conflicting_age"):
            self.odd[name] += pc.sum(judged[name]).as_py() or 0
        odd = pc.or_(judged["unreadable_age"], judged["implausible_age"])
        self._unusable += self._rules.unused(connect(), raw, odd, judged["withheld"])
        for pair in judged["known_source"].filter(usable).value_counts().to_pylist():
            if pair["values"] is not None:
                self.known[pair["values"]] += pair["counts"]
        self.ages += np.bincount(judged["known_age"].filter(usable).drop_null().to_numpy(), minlength=121)[:121]
        entries = np.empty(int(usable.sum()), self._entry)
        entries["pid"] = judged["pid"].filter(usable).to_numpy()
        entries["split"] = split.id
        entries["row"] = rows[usable]
        states = judged["age_state"].filter(usable).to_numpy()
        self.states += count_states(states)
        ages = judged["known_age"].filter(usable).fill_null(NO_AGE).to_numpy()
        entries["age"] = np.where(states == AgeState.KNOWN, ages, _CODES[states])
        if self._entry is TEXT_ENTRY:
            entries["check"] = judged["id_check"].filter(usable).to_numpy()
        return entries

    def counts(self, split: Split, set_aside: Path | None, file: str) -> SplitCounts:
        """The counts; rows set aside are written to a file of that folder, as rows of the source ``file``."""
        written = {}
        if self.reasons and set_aside is not None:
            aside = set_aside / f"rows-{split.id:06d}.parquet"
            written[str(aside)] = write_set_aside(aside, file, self.positions, self.reasons)
        return SplitCounts(
            split.id,
            self.read,
            dict(Counter(self.reasons)),
            dict(self.known),
            self.needs,
            self.odd["withheld"],
            self.odd["zero_age"],
            self.odd["near_limit"],
            self.odd["unreadable_age"],
            self.odd["implausible_age"],
            self.odd["conflicting_age"],
            self.ages.tolist(),
            self.text_ids,
            sum_unusable(self._unusable),
            self.states,
            written,
            SuppressedRows(*(np.concatenate(parts) for parts in zip(*self._hidden, strict=True))),
            Spellings.together(self._spellings),
        )


def scan(
    number: int,
    splits: list[Split],
    source: SourceConfig,
    rules: RowRules,
    buckets: int,
    scratch: Path,
    set_aside: Path | None,
    files: list[str],
    suppression: SuppressionList | None = None,
) -> list[SplitCounts]:
    """Count the rows of each split; leave an entry about each usable row in ``scratch``, as number ``number``, by bucket.

    Nothing is left there about people whom ``suppression`` hides.
    """
    counting = {split.id: _Counting(rules, suppression) for split in splits}
    entries = [np.empty(0, entry_of(rules.ids))]
    for split, piece, judged in classify_rows(splits, source, rules):
        entries.append(counting[split.id].add(split, piece, judged))
    scatter(scratch, number, np.concatenate(entries), buckets)
    return [counting[split.id].counts(split, set_aside, files[split.file]) for split in splits]
