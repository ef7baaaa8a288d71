"""The workspace on disk: runs, the lease, and the pointer to what is published.

::

    published.json            which run readers see, and the run of each quarter; with the content hashes of their manifests
    lease.json                who may write: holder, token, time of the last renewal
    guard                     locked for the moment of a conditional replacement
    suppression/              the suppression list and its key, once somebody was suppressed
    runs/<run_id>/run.json    the plan: source, configuration, features, as_of, code, seed
        attempts.json         when the run was worked on, and how that ended
        status.json           running, done, failed or interrupted
        steps/<name>.json     one record for each finished step: facts, and the SHA-256 of each file it made
        source/               splits.json, duplicates.npy, working/*.parquet (converted sources only)
        set_aside/            rows that cannot be used: file, position, reason
        model/                the model artefact
        predictions/          batch_<id>.parquet with receipts
        qa/  results/         part_<id>.parquet with receipts
        lookup/               people_<id>.blocks by pid, and index.bin, with receipts
        manifest.json         every file of the result with its SHA-256; written before the run is published
        report.html
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from predict_age.errors import ConfigError, IntegrityError, ResourceError
from predict_age.records.step_facts import Facts
from predict_age.step import STEPS, StepRecord
from predict_age.storage.documents import LocalDocuments
from predict_age.storage.durable_files import make_folder, read_hashed_json, read_json, remove, write_json
from predict_age.storage.lease import Lease, Permission, current_holder
from predict_age.storage.publication import POINTER, Published, note_suppression_list, publish, raise_fence, read_published
from predict_age.storage.suppression_list import SuppressionList, read_suppression_list

F = TypeVar("F", bound=Facts)
CURRENT_RUN, PREVIOUS_RUN = "current", "previous"
DONE, RUNNING, FAILED, INTERRUPTED, DAMAGED = "done", "running", "failed", "interrupted", "damaged"
KILLED = "its process ended without a word: it was killed, perhaps for want of memory, or the machine went down"


@dataclass(frozen=True)
class RunFolder:
    """Files of one run. ``remote``: address (``s3://...``) of those files that were not downloaded to ``path``."""

    path: Path
    remote: str = ""

    @property
    def id(self) -> str:
        return self.path.name

    def place(self, name: str) -> str:
        """Place to read a large file that is not always downloaded: its path, or its address below ``remote``."""
        path = self.path / name
        return str(path) if path.exists() or not self.remote else f"{self.remote}/{name}"

    @property
    def record(self) -> dict[str, Any]:
        """The contents of run.json. Raises IntegrityError when it is damaged or that of another run."""
        value = read_json(self.path / "run.json")
        if value.get("run_id") != self.id:
            raise IntegrityError(f"{self.path / 'run.json'} is of another run", expected=self.id, found=str(value.get("run_id")))
        return value

    @property
    def status(self) -> str:
        """done, running, failed, interrupted (also when its lease expired), or damaged (run.json is)."""
        try:
            self.record  # noqa: B018 - reading it is the check
        except IntegrityError:
            return DAMAGED
        try:
            stored = read_json(self.path / "status.json")
            if stored["status"] != RUNNING:
                return str(stored["status"])
            holder = current_holder(LocalDocuments(self.path.parent.parent))
            return RUNNING if holder is not None and holder.token == stored["token"] and holder.holds() else INTERRUPTED
        except (IntegrityError, KeyError):
            return INTERRUPTED

    @property
    def message(self) -> str:
        """Why the run failed or was interrupted: as it was reported then, or that its process ended without a word."""
        try:
            recorded = str(read_json(self.path / "status.json")["message"])
        except (IntegrityError, KeyError):
            recorded = ""
        return recorded or (KILLED if self.status == INTERRUPTED else "")

    def set_status(self, status: str, token: int, message: str = "") -> None:
        """Write the status, the lease it was written under and, for a failure, its sentence."""
        write_json(self.path / "status.json", {"status": status, "message": message, "token": token})

    def step_file(self, name: str) -> Path:
        return self.path / "steps" / f"{name}.json"

    def step(self, name: str) -> StepRecord[Facts]:
        """The record of a finished step. Raises IntegrityError when it is missing, damaged or not that step's."""
        return StepRecord.from_json(read_json(self.step_file(name)), name)

    def finished(self, kind: type[F]) -> StepRecord[F]:
        """The record of the finished step that leaves facts of this ``kind``, such as :class:`ReadSourceFacts`."""
        return cast(StepRecord[F], self.step(kind.step))  # from_json has read them as this kind

    def facts(self, kind: type[F]) -> F:
        """Facts of the finished step that leaves this ``kind``."""
        return self.finished(kind).facts

    def named(self, *paths: Path) -> dict[str, Path]:
        """``paths`` by their names inside the run's folder."""
        return {p.relative_to(self.path).as_posix(): p for p in paths}

    def steps(self) -> list[StepRecord[Facts]]:
        """Records of the finished steps, in their order."""
        return [self.step(s.name) for s in STEPS if self.step_file(s.name).exists()]

    def batch(self, number: int) -> Path:
        return self.path / "predictions" / f"batch_{number}.parquet"

    def qa_part(self, number: int) -> Path:
        return self.path / "qa" / f"part_{number}.parquet"

    def result_part(self, number: int) -> Path:
        return self.path / "results" / f"part_{number}.parquet"

    def lookup_file(self, number: int) -> Path:
        return self.path / "lookup" / f"people_{number}.blocks"

    @property
    def lookup_index(self) -> Path:
        return self.path / "lookup" / "index.bin"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def manifest_file(self) -> Path:
        return self.path / "manifest.json"

    def manifest(self, content_hash: str) -> dict[str, Any]:
        """The manifest, which must have the ``content_hash`` that the pointer names; IntegrityError otherwise."""
        value, stored_hash = read_hashed_json(self.manifest_file)
        if stored_hash != content_hash:
            raise IntegrityError(
                f"{self.manifest_file} is not the one that was published",
                expected=f"content hash {content_hash[:12]}",
                found=f"content hash {stored_hash[:12]}",
                fix="`predict-age rollback --to` another run",
            )
        return value


def check_on_this_machine(root: Path) -> None:
    """Raise ConfigError for the address of an object store, which is no folder."""
    scheme, colon, _ = str(root).partition(":/")
    if colon and scheme.isalnum() and len(scheme) > 1:
        raise ConfigError(
            f"{root} is no folder of this machine",
            expected="a folder",
            found=f"an address of {scheme}",
            fix='runs on AWS are started and looked after by events: docs/aws.md, "Commands"',
        )


@dataclass(frozen=True)
class Workspace:
    """A folder that holds runs."""

    root: Path

    @classmethod
    def existing(cls, root: Path) -> Workspace:
        """A workspace that must already be there."""
        check_on_this_machine(root)
        if not (root / "runs").is_dir():
            raise ConfigError(f"{root} is no workspace", expected="a folder that `predict-age run --workspace` has made")
        return cls(root)

    def create(self) -> None:
        """Make the folder, or raise ResourceError when it cannot be written."""
        check_on_this_machine(self.root)
        try:
            make_folder(self.root / "runs")
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ResourceError(
                f"the workspace {self.root} cannot be written: {error.strerror}",
                expected="a folder in which this user may make files",
                fix="allow writing there, or choose another --workspace",
            ) from None

    @property
    def documents(self) -> LocalDocuments:
        """The documents that several processes may change."""
        return LocalDocuments(self.root)

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.root / "runs" / run_id)

    def runs(self) -> list[RunFolder]:
        """All runs, oldest first (run ids begin with their time)."""
        folders = (self.root / "runs").glob("*/run.json")
        return [RunFolder(p.parent) for p in sorted(folders)]

    def unfinished(self) -> list[RunFolder]:
        """Runs that could be resumed, oldest first."""
        return [r for r in self.runs() if r.status not in (DONE, DAMAGED)]

    @property
    def published(self) -> Published:
        """The pointer. Raises IntegrityError when it is damaged, or missing beside finished runs."""
        if not (self.root / f"{POINTER}.json").exists():
            finished = [r.id for r in self.runs() if r.status == DONE]
            if finished:
                raise IntegrityError(
                    f"{POINTER}.json is missing: which run readers see is not known",
                    expected="the file beside finished runs",
                    found=f"{len(finished)} finished runs, the newest {finished[-1]}",
                    fix="`predict-age rollback --to RUN` writes it again from the finished runs",
                )
        return read_published(self.documents)

    @property
    def suppression(self) -> SuppressionList | None:
        """The suppression list, None where there never was one. Raises ConfigError when it cannot be used."""
        return read_suppression_list(self.root, self.published)

    def adopt_suppression(self) -> SuppressionList | None:
        """The suppression list, after the pointer was brought to its generation; to be called with the lease held."""
        listed = self.suppression
        if listed is not None:
            note_suppression_list(self.documents, listed.generation, listed.content_hash)
        return listed

    def publish(self, lease: Permission, run_id: str, quarter: str, content_hash: str, suppression: str = "") -> None:
        """Switch readers to ``run_id``, whose manifest has ``content_hash``, by one conditional replacement."""
        publish(self.documents, lease.token, run_id, quarter, content_hash, suppression)

    def resolve(self, name: str) -> RunFolder:
        """The run that ``name`` means: a run id or the beginning of only one, a published quarter, "current" or "previous".

        Raises ConfigError when there is none, or when several run ids begin so.
        """
        published = self.published
        run_id = {CURRENT_RUN: published.current, PREVIOUS_RUN: published.previous}.get(name) or published.quarters.get(name, name)
        ids = [r.id for r in self.runs()]
        begun = [i for i in ids if i == run_id] or [i for i in ids if run_id and i.startswith(run_id)]
        if len(begun) != 1:
            nothing = {
                CURRENT_RUN: "no run has been published yet",
                PREVIOUS_RUN: "no other run was published before the current one",
            }
            raise ConfigError(
                f"several run ids begin with {name!r}" if begun else nothing.get(name, f"there is no run {name!r}"),
                expected='"current", "previous", a published quarter such as 2025q3, or a run id or its unique beginning',
                found=", ".join(begun[-5:])
                or f"quarters {', '.join(sorted(published.quarters)) or 'none'}; newest runs {', '.join(ids[-5:]) or 'none'}",
                fix="list them with `predict-age runs`",
            )
        return self.run(begun[0])

    def hold(self, purpose: str, seconds: float) -> Lease:
        """Take the lease, or raise BusyError naming its holder. To be used in a ``with`` statement.

        Raises IntegrityError when the pointer is damaged or missing: what is published is not known.
        """
        self.published  # noqa: B018 - reading it is the check
        return Lease(self.documents, purpose, seconds, lambda token: raise_fence(self.documents, token))


def delete_run(run: RunFolder) -> None:
    """Delete a run's folder: its record first, so that a half-deleted run is never taken for one."""
    if run.path.exists():
        remove(run.path / "run.json")
    for _ in range(3):
        shutil.rmtree(run.path, ignore_errors=True)
        if not run.path.exists():
            return
        time.sleep(0.05)
