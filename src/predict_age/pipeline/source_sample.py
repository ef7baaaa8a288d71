"""Rows of a source that a plan looks at: what ids are, which rows are rejected, and what is known of ages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.config import SourceConfig
from predict_age.records.given_ages import AGE_OF_MINOR, GivenAges, UnusableAgesRecord
from predict_age.runs.age_gate import AgeFindings
from predict_age.runs.run import RunPlan
from predict_age.source.age_states import count_states, states_of_people, sum_unusable, with_readings
from predict_age.source.rejected_rows import FileRows
from predict_age.source.row_group_reader import merged
from predict_age.source.row_rules import EXISTING, AgeState, IdType, RowRules, connect, register
from predict_age.source.row_walk import RowPiece
from predict_age.source.scan import id_type
from predict_age.source.source_file import SourceFile
from predict_age.source.text_ids import NOT_AN_INTEGER, OUT_OF_RANGE, Spellings, count_text_ids, spellings
from predict_age.tally import AGE_BINS, fold_tails

NEVER_COUNTS = "not in ages.precedence"
ROWS_TOGETHER = 50_000
Piece = tuple[pa.Table, NDArray[np.bool_]]  # light rows with an id, and which of them are withheld


@dataclass(frozen=True)
class AgeColumn:
    """One age column of the source among the rows looked at: values that are given and used, and the ages that these stand for.

    ``youngest`` and ``oldest`` are ages that at least 20 people have reached or not passed, where there are so many. ``unused``
    counts the other values by reason, with the form of the first.
    """

    column: str
    given: int
    used: int
    youngest: int | None
    oldest: int | None
    median: float | None
    unused: list[UnusableAgesRecord]

    @property
    def is_empty(self) -> bool:
        """Whether no value of the column counts, usable or not."""
        return all(values.reason == NEVER_COUNTS for values in self.unused) and not self.used


@dataclass(frozen=True)
class SampledPeople:
    """People in usable ``rows``, the ``known_ages`` of those who have one, and how many a run would predict.

    ``pids`` (people,) are ascending, ``states`` say what is known of the age of each.
    """

    rows: int
    pids: NDArray[np.int64]
    states: NDArray[np.uint8]
    known_ages: NDArray[np.int64]
    to_predict: int

    @property
    def people(self) -> int:
        """Number of distinct people."""
        return len(self.pids)

    def given_ages_with(self, other: SampledPeople) -> GivenAges:
        """Given ages of the people of both, each of whom counts once."""
        different, people = np.unique(np.concatenate([self.pids, other.pids]), return_inverse=True)
        return count_states(states_of_people(np.concatenate([self.states, other.states]), people, len(different)))


class PlanSample:
    """Some rows of each file, or of some row groups, or all."""

    def __init__(self, rules: RowRules, source: SourceConfig, files: Sequence[SourceFile]) -> None:
        self._rules = rules
        self._source = source
        self._paths = [file.path for file in files]
        self._raw: list[pa.Table] = []
        self._spellings: list[Spellings] = []
        self._waiting: list[RowPiece] = []
        self._pieces: list[RowPiece] = []
        self._numbers = self._texts = self._known = self._broken = self._waiting_rows = 0
        self.rows = self.withheld = 0  # looked at, and of known minors
        self._texts_by_file: dict[str, int] = {}
        self.files: list[FileRows] = []

    def add_piece(self, piece: RowPiece) -> None:
        """Rows and rejected records of a file; :meth:`finish` looks at those of small files together."""
        if self._waiting and not piece.rows.schema.equals(self._waiting[0].rows.schema):
            self.finish()
        self._waiting.append(piece)
        self._waiting_rows += len(piece)
        if self._waiting_rows > ROWS_TOGETHER:
            self.finish()

    def add_unread(self, file: FileRows) -> None:
        """A file of which no row is looked at."""
        self.finish()
        self.files.append(file)

    def finish(self) -> None:
        """Look at the rows that wait."""
        waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
        tables = [piece.rows for piece in waiting if len(piece)]
        problems = self.add(pa.concat_tables(tables)) if tables else pa.chunked_array([], pa.string())
        first = 0
        for piece in waiting:
            path = self._paths[piece.file]
            mine = problems.slice(first, len(piece))
            first += len(piece)
            self._broken += piece.broken.total()
            self._texts_by_file[path] = self._texts_by_file.get(path, 0) + count_text_ids(piece.rows["pid"], mine)
            if not self.files or self.files[-1].path != path:
                self.files.append(FileRows(path, 0, Counter()))
            rejected = piece.broken + Counter(mine.drop_null().to_pylist())
            self.files[-1] = FileRows(path, self.files[-1].records + piece.records, self.files[-1].rejected + rejected)
        self._pieces += [piece for piece in waiting if len(piece)]

    def add(self, raw: pa.Table) -> pa.ChunkedArray:
        """Take rows with ids and ages. Returns what is wrong with each, NULL where nothing is."""
        canonical = self._rules.canonical(connect(), raw, ("pid", "problem", "known_age", "withheld"))
        self._raw.append(raw)
        self._known += canonical.num_rows - canonical["known_age"].null_count
        self.rows += canonical.num_rows
        self.withheld += pc.sum(canonical["withheld"]).as_py() or 0
        self._numbers += len(canonical["pid"]) - canonical["pid"].null_count
        self._texts += count_text_ids(raw["pid"], canonical["problem"])
        self._spellings.append(spellings(raw["pid"]))
        return canonical["problem"]

    def labelled_profiles(self) -> Iterator[pa.ChunkedArray]:
        """Profiles of the people with a known age, each once, piece by piece; the sample has to see all rows."""
        rules, pids, states = replace(self._rules, ids=self.ids()[0]), list[NDArray[np.int64]](), list[NDArray[np.uint8]]()
        for raw in merged((piece.rows for piece in self._pieces), ROWS_TOGETHER):
            judged = rules.canonical(connect(), raw, ("pid", "age_state"))
            pids.append(judged["pid"].fill_null(0).to_numpy())
            states.append(np.where(judged["pid"].is_valid().to_numpy(), judged["age_state"].to_numpy(), AgeState.ABSENT))
        if not pids:
            return
        pid, state = np.concatenate(pids), np.concatenate(states)
        different, people = np.unique(pid, return_inverse=True)
        known = (state == AgeState.KNOWN) & (states_of_people(state, people, len(different))[people] == AgeState.KNOWN)
        rows = np.flatnonzero(known)
        rows = np.sort(rows[np.unique(people[rows], return_index=True)[1]])  # of each person the first such row
        first = 0
        for piece in self._pieces:
            mine = rows[(rows >= first) & (rows < first + len(piece))] - first
            first += len(piece)
            if len(mine):
                yield piece.profiles().take(pa.array(mine))

    def rows_by_file(self) -> list[FileRows]:
        """Records and rejected ones of each file; text ids are no reason where ids are text."""
        if self.ids()[0] != "text":
            return self.files
        texts = self._texts_by_file
        reasons = (NOT_AN_INTEGER, OUT_OF_RANGE)
        return [FileRows(f.path, f.records, f.rejected - Counter(dict.fromkeys(reasons, texts.get(f.path, 0)))) for f in self.files]

    @property
    def known_share(self) -> float:
        """Share (0..1) of the rows with a known age."""
        return self._known / max(self.rows, 1)

    def ids(self) -> tuple[IdType, int]:
        """Type of the sampled ids, and the number of ids of another type."""
        declared = self._source.pid_type
        kind: IdType = id_type(self._texts, self._numbers) if declared == "auto" else declared
        return kind, self._texts if kind == "integer" else 0

    @property
    def padded_ids(self) -> int:
        """Number of ids that begin with zeros and may be the same whole numbers as others."""
        return Spellings.together(self._spellings).may_merge if self.ids()[0] == "integer" else 0

    def ages(self, plan: RunPlan, rows: int) -> tuple[AgeFindings, list[AgeColumn], SampledPeople]:
        """Findings about the given ages of the people looked at, of ``rows`` in the source; each age column; and their number."""
        rules = replace(self._rules, ids=self.ids()[0])
        pids, states, pieces, years = [np.empty(0, np.int64)], [np.empty(0, np.uint8)], list[Piece](), [np.empty(0, np.int64)]
        for raw in merged(self._raw, ROWS_TOGETHER):
            canonical = rules.canonical(connect(), raw, ("pid", "age_state", "known_age"))
            usable = canonical["pid"].is_valid()
            pieces.append((raw.filter(usable), canonical["age_state"].filter(usable).to_numpy() == AgeState.WITHHELD))
            pids.append(canonical["pid"].filter(usable).to_numpy())
            states.append(canonical["age_state"].filter(usable).to_numpy())
            years.append(canonical["known_age"].filter(usable).fill_null(0).to_numpy())
        different, people = np.unique(np.concatenate(pids), return_inverse=True)
        state = states_of_people(np.concatenate(states), people, len(different))
        counts: GivenAges = count_states(state)
        rows_known = np.flatnonzero((np.concatenate(states) == AgeState.KNOWN) & (state[people] == AgeState.KNOWN))
        known = np.concatenate(years)[rows_known[np.unique(people[rows_known], return_index=True)[1]]]  # of each the first such row
        withheld = int((state == AgeState.WITHHELD).sum())
        found = SampledPeople(len(people), different, state, known, len(different) - len(known) - withheld)
        unusable = sum_unusable(
            values for raw, young in pieces for values in rules.unused(connect(), raw, pa.array(~young), pa.array(young))
        )
        records = [with_readings(values, str(getattr(self._source, values.column)), rules) for values in unusable]
        sample = "" if self.sees_all(rows) else f"in a sample of {self.rows:,} of about {rows:,} rows: "
        columns = (self._age_column(column, pieces, records) for column in sorted(EXISTING, key=self._precedence))
        return AgeFindings(counts, records, plan.config, plan.as_of, sample), [c for c in columns if c is not None], found

    def _precedence(self, column: str) -> int:
        order = [str(name) for name in self._rules.ages.precedence]
        return order.index(column) if column in order else len(order)

    @property
    def records(self) -> int:
        """Number of records looked at, with those that are rejected before anything reads their values."""
        return self.rows + self._broken

    def sees_all(self, rows: int) -> bool:
        """Whether the sample holds all ``rows`` of the source."""
        return self.records >= rows

    def _age_column(self, column: str, pieces: list[Piece], unusable: list[UnusableAgesRecord]) -> AgeColumn | None:
        counts: Counter[int | None] = Counter()
        withheld = 0
        for raw, young in pieces:
            if column not in raw.column_names or pa.types.is_null(raw[column].type):
                continue
            connection = connect()
            given, value = self._rules.given_and_read(column, raw[column].type)
            register(connection, "raw", raw.append_column("young", pa.array(young)))
            query = f"SELECT young, {self._rules.known(column, value)} AS age, count(*) FROM raw WHERE {given} GROUP BY ALL"
            for is_young, age, rows in connection.execute(query).fetchall():
                withheld += rows if is_young else 0
                counts[age] += 0 if is_young else rows
        if not counts and not withheld:
            return None
        name = str(getattr(self._source, column))
        unused = [values for values in unusable if values.column == name and values.reason != AGE_OF_MINOR]
        if withheld:
            minors = [values for values in unusable if values.column == name and values.reason == AGE_OF_MINOR]
            unused.append(replace(minors[0] if minors else UnusableAgesRecord(name, AGE_OF_MINOR, 0, ""), rows=withheld))
        given_rows = counts.total() + withheld
        del counts[None]
        ages = np.sort(np.array(list(counts.elements()), np.int64))
        if column not in self._rules.ages.precedence:
            unused += [UnusableAgesRecord(name, NEVER_COUNTS, len(ages), "")] if len(ages) else []
            return AgeColumn(name, given_rows, 0, None, None, None, unused)
        if not len(ages):
            return AgeColumn(name, given_rows, 0, None, None, None, unused)
        folded = np.flatnonzero(fold_tails(np.bincount(ages, minlength=AGE_BINS).tolist()))  # the extremes are single people's
        return AgeColumn(name, given_rows, len(ages), int(folded[0]), int(folded[-1]), float(np.median(ages)), unused)
