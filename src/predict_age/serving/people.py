"""Published people by pid: from the lookup files of the current run, or, of runs without, from its result in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.predictor.answers import PersonAge
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.lookup_blocks import FoundPerson, LookupTexts, PeopleRecords
from predict_age.runs.lookup_files import lookup_files, people_of_parts
from predict_age.runs.withheld_people import are_withheld, withheld_pids
from predict_age.source.row_rules import IdType, id_type_named
from predict_age.source.suppression import hidden_people, pids_as_written
from predict_age.storage.manifest import VerifiedRun
from predict_age.storage.suppression_list import SuppressionList


@dataclass(frozen=True)
class PublishedPerson(PersonAge):
    """The published row of a person."""

    model_version: str | None


class PeopleByPid(Protocol):
    """Anything that finds the record of a person by pid."""

    def find(self, pid: int) -> FoundPerson | None: ...


@dataclass(frozen=True)
class PeopleInMemory:
    """All people of a result, of which earlier versions left no lookup files."""

    records: PeopleRecords
    texts: LookupTexts

    def find(self, pid: int) -> FoundPerson | None:
        """The record of ``pid``."""
        return self.records.find(pid, self.texts)


@dataclass(frozen=True)
class PublishedPeople:
    """The people of a run.

    ``ids`` says what ids of the source are; ``made_with`` is the generation of the suppression list with which the run was made.
    ``withheld`` are the ascending pids (n,) of people without a number.
    """

    records: PeopleByPid
    ids: IdType
    made_with: int
    withheld: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def pid_of(self, written: int | str) -> int | None:
        """The pid that an id stands for, as a source of this type of ids has it; None where it stands for none."""
        if isinstance(written, int) and self.ids == "integer":
            return written if -(2**63) <= written < 2**63 else None
        pids, is_id = pids_as_written(pa.chunked_array([pa.array([str(written)], pa.string())]), self.ids)
        return int(pids[0]) if is_id[0] else None

    def pids_of(self, written: list[int | str | None]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The pids (n,) of ids, as :meth:`pid_of`, and which (n,) there are."""
        pids = np.zeros(len(written), np.int64)
        if written.count(None) == len(written):
            return pids, np.zeros(len(written), np.bool_)
        given = np.array([one is not None for one in written], np.bool_)
        if self.ids == "integer":
            given &= [isinstance(one, int) and -(2**63) <= one < 2**63 for one in written]
            pids[given] = [int(one) for one, ok in zip(written, given.tolist(), strict=True) if ok and one is not None]
        elif given.any():
            texts = pa.array([str(one) for one in written if one is not None], pa.string())
            pids[given], given[given] = pids_as_written(pa.chunked_array([texts]), self.ids)
        return pids, given

    def is_hidden(self, pids: NDArray[np.int64], suppression: SuppressionList | None) -> NDArray[np.bool_]:
        """Whom of ``pids`` (n,) no reader may see: who is on the list now, or was released from it after the run was made."""
        return hidden_people(pids, suppression, self.ids, self.made_with)[0]

    @property
    def some_withheld(self) -> bool:
        """Whether anybody is withheld in the run."""
        return len(self.withheld) > 0

    def are_withheld(self, pids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Who of ``pids`` (n,) is withheld in the run: no profile that is sent with such an id is predicted."""
        return are_withheld(pids, self.withheld)

    def limit_reads(self, written: Iterable[int | str | None]) -> None:
        """Raise ProblemError 413 where the ids that a request names are too many to be read. Files at hand have no limit."""

    def read_damaged_again(self) -> None:
        """Raise PredictAgeError where a record still cannot be read, unless another check of the files says so."""

    def find(self, pid: int) -> PublishedPerson | None:
        """The row of ``pid``; the caller has asked whether it is hidden. Raises IntegrityError for a damaged file."""
        found = self.records.find(pid)
        if found is None:
            return None
        pct = None if found.pct is None else round(found.pct, 2)  # of a run by an earlier version, which had more digits
        return PublishedPerson(found.age, found.lower, found.upper, pct, found.usable, found.source, found.model or None)


def published_people(run: VerifiedRun) -> PublishedPeople:
    """The people of ``run``. Raises IntegrityError when a file that is read now is not the one that the manifest names."""
    records: PeopleByPid | None = lookup_files(run)
    if records is None:
        records = PeopleInMemory(*people_of_parts([(run.folder.path / name, run.files[name]) for name in run.named("results/")]))
    return PublishedPeople(records, ids_of(run), made_with(run), withheld_pids(run))


def ids_of(run: VerifiedRun) -> IdType:
    """Type of the ids of the source of ``run``."""
    return id_type_named(run.folder.facts(ReadSourceFacts).pid_type)


def made_with(run: VerifiedRun) -> int:
    """Generation of the suppression list with which ``run`` was made."""
    return int(run.folder.record.get("suppression", 0))
