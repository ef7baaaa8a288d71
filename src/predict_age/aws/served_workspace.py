"""The part of a workspace in S3 that a server reads, kept on a local disk: pointer, models, lookup index, suppression list.

Tags (ETag) show what has changed. A file reaches the disk before the document that names it, so that the code of one machine
finds a whole workspace at any time; it verifies every byte against the manifest that the pointer names.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from predict_age.aws.object_names import run_folder, step_record
from predict_age.aws.s3_store import Store
from predict_age.records.step_facts import FinalResultsFacts, ReadSourceFacts, TrainingFacts
from predict_age.runs.lookup_blocks import FoundPerson, LookupIndex
from predict_age.runs.lookup_files import LOOKUP_INDEX, LookupBlocks
from predict_age.serving.messages import ProblemError
from predict_age.serving.people import PeopleByPid, PublishedPeople, ids_of, made_with
from predict_age.storage.durable_files import check_hash, creating, make_folder
from predict_age.storage.manifest import VerifiedRun
from predict_age.storage.publication import POINTER
from predict_age.storage.row_accounting import WITHHELD_MINOR
from predict_age.storage.suppression_list import FOLDER, KEY, LIST
from predict_age.storage.workspace import RunFolder, Workspace

POINTER_FILE, LIST_FILE = f"{POINTER}.json", f"{FOLDER}/{LIST}"
MOST_ASKED = 300  # people that a request may name: each may take a read
RECORDS = (ReadSourceFacts, TrainingFacts, FinalResultsFacts)


@dataclass(frozen=True)
class ServedWorkspace(Workspace):
    """A workspace on disk whose runs have their large files in ``store``."""

    store: Store

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.root / "runs" / run_id, self.store.url(run_folder(run_id)))


@dataclass
class LocalCopy:
    """The copy on disk of ``workspace``; ``tags`` are those of the documents that it was made from, None where there is none."""

    workspace: ServedWorkspace
    tags: dict[str, str | None] = field(default_factory=dict)

    def bring_pointer(self) -> bool:
        """Bring the pointer, and before it what it names, if it is another one; whether it was."""
        if self._unchanged(POINTER_FILE):
            return False
        stored = self.workspace.store.get(POINTER_FILE)
        if stored is None:
            return False
        named = self._runs(stored[0])
        for run_id, wanted in named.items():
            self._bring_run(run_id, wanted)
        self._write(POINTER_FILE, stored[0])
        self.tags[POINTER_FILE] = stored[1]
        if named:
            self._remove_others(named)
        return True

    def bring_list(self) -> bool:
        """Bring the suppression list, and before it its key and its hashes, if it is another one; whether it was."""
        if self._unchanged(LIST_FILE):
            return False
        stored = self.workspace.store.get(LIST_FILE)
        if stored is None:
            (self.workspace.root / LIST_FILE).unlink(missing_ok=True)  # where the pointer names one, that is an error there
        else:
            with suppress(ValueError, KeyError, TypeError):  # a damaged document is judged where it is read
                self._bring(f"{FOLDER}/{Path(json.loads(stored[0])['ids']).name}")
            (self.workspace.root / FOLDER / KEY).unlink(missing_ok=True)  # a new list may have a new one
            self._bring(f"{FOLDER}/{KEY}")
            self._write(LIST_FILE, stored[0])
        self.tags[LIST_FILE] = stored[1] if stored else None
        return True

    def forget(self) -> None:
        """Bring everything again next time: something on the disk is not what it should be."""
        self.tags.clear()
        shutil.rmtree(self.workspace.root / "runs", ignore_errors=True)

    def _runs(self, pointer: bytes) -> dict[str, tuple[str, ...]]:
        """Run ids that the pointer names, with the beginnings of the names of their files that are brought whole."""
        try:
            value = json.loads(pointer)
            current, champion = str(value["current"]), str(value["champion"])
        except (ValueError, KeyError, TypeError):  # a damaged pointer is judged where it is read
            return {}
        named: dict[str, tuple[str, ...]] = {}
        for run_id, wanted in ((champion, "model/"), (current, LOOKUP_INDEX)):
            if run_id:
                named[run_id] = (*named.get(run_id, ()), wanted)
        return named

    def _bring_run(self, run_id: str, wanted: tuple[str, ...]) -> None:
        for record in RECORDS:
            self._bring(step_record(run_id, record.step))
        for name in ("run.json", "manifest.json"):
            self._bring(f"{run_folder(run_id)}/{name}")
        try:
            files = json.loads((self.workspace.root / run_folder(run_id) / "manifest.json").read_bytes())["files"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        for name in files:
            if name.startswith(wanted):
                self._bring(f"{run_folder(run_id)}/{name}")

    def _bring(self, name: str) -> None:
        """Bring an object that is not on the disk, if there is one: what is missing is said where it is read."""
        if not (self.workspace.root / name).exists() and (stored := self.workspace.store.get(name)) is not None:
            self._write(name, stored[0])

    def _write(self, name: str, content: bytes) -> None:
        path = self.workspace.root / name
        make_folder(path.parent)
        with creating(path) as stream:
            if name == f"{FOLDER}/{KEY}":
                stream.restrict()
            stream.write(content)

    def _remove_others(self, named: Iterable[str]) -> None:
        """Delete runs that the pointer no longer names: models are in memory, blocks in S3."""
        for folder in (self.workspace.root / "runs").iterdir():
            if folder.name not in named:
                shutil.rmtree(folder, ignore_errors=True)

    def _unchanged(self, name: str) -> bool:
        if name not in self.tags:
            return False
        found = self.workspace.store.head(name)
        return (found.tag if found else None) == self.tags[name]


@dataclass(frozen=True)
class PeopleElsewhere:
    """Published people that are in tables of Athena alone."""

    def find(self, pid: int) -> FoundPerson | None:
        """Nobody can be found. Raises ProblemError 501."""
        raise ProblemError(501, "the published run has no lookup files: ask its table in Athena")


@dataclass(frozen=True)
class PeopleInS3(PublishedPeople):
    """Published people whose records are in S3. ``number_withheld``: how many the run withheld; who, the records say."""

    number_withheld: int = 0

    @property
    def some_withheld(self) -> bool:
        return self.number_withheld > 0

    def limit_reads(self, written: Iterable[int | str | None]) -> None:
        asked: set[int | str] = set()
        for one in written:
            if one is not None:
                asked.add(one)
            if len(asked) > MOST_ASKED:
                raise ProblemError(413, f"more than {MOST_ASKED} different ids: send several requests")

    def read_damaged_again(self) -> None:
        if isinstance(self.records, LookupBlocks):
            self.records.read_damaged_again()

    def are_withheld(self, pids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Who of ``pids`` (n,) is withheld in the run."""
        if not self.some_withheld:
            return np.zeros(len(pids), np.bool_)
        asked, places = np.unique(pids, return_inverse=True)
        found = [self.find(pid) for pid in asked.tolist()]
        withheld = [one is not None and one.prediction_source == WITHHELD_MINOR for one in found]
        return np.array(withheld, np.bool_)[places]


def people_in_s3(store: Store, run: VerifiedRun) -> PublishedPeople:
    """The people of ``run``: its index is on the disk and verified, of its blocks each is read from S3 when it is asked for."""
    records: PeopleByPid = PeopleElsewhere()
    if LOOKUP_INDEX in run.files:
        path = run.folder.path / LOOKUP_INDEX
        check_hash(path, run.files[LOOKUP_INDEX])
        index = LookupIndex.read(path.read_bytes())
        folder = f"{run_folder(run.folder.id)}/{Path(LOOKUP_INDEX).parent}"
        records = LookupBlocks(index, lambda file, begin, length: store.get_range(f"{folder}/{index.names[file]}", begin, length))
    return PeopleInS3(records, ids_of(run), made_with(run), number_withheld=run.manifest.books.withheld or 0)
