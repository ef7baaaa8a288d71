"""The workspace on disk: runs, the lock, and the pointer to what is published.

::

    published.json            {"current": run_id, "quarters": {"2025q3": run_id}}
    lock                      held (flock) by the run that is going on
    runs/<run_id>/run.json    what the run is: source, configuration, features, as_of, code version
        steps/<name>.json     one record for each finished step
        source/               splits.json, duplicates.npy, working/*.parquet (converted sources only)
        set_aside/            rows that cannot be used: file, position, reason
        model/                the model artefact
        predictions/          batch_<id>.parquet with receipts
        qa/  results/         part_<id>.parquet with receipts
        report.html
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from predict_age.errors import BusyError, ConfigError, IntegrityError, ResourceError
from predict_age.files import read_json, write_json

DONE, RUNNING, FAILED, INTERRUPTED = "done", "running", "failed", "interrupted"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def record(self) -> dict[str, Any]:
        """The contents of run.json."""
        value: dict[str, Any] = read_json(self.path / "run.json")
        return value

    @property
    def status(self) -> str:
        """done, running, failed or interrupted (also when the process that ran it is gone)."""
        try:
            found = read_json(self.path / "status.json")
            status = str(found["status"])
            return INTERRUPTED if status == RUNNING and not _alive(int(found["pid"])) else status
        except (IntegrityError, KeyError, TypeError, ValueError):
            return INTERRUPTED

    def set_status(self, status: str, message: str = "") -> None:
        """Write the status and, for a failure, its sentence."""
        write_json(self.path / "status.json", {"status": status, "message": message, "pid": os.getpid()})

    def step_file(self, name: str) -> Path:
        return self.path / "steps" / f"{name}.json"

    def steps(self) -> list[dict[str, Any]]:
        """Records of the finished steps, in the order they ran."""
        records = [read_json(p) for p in (self.path / "steps").glob("*.json")]
        return sorted(records, key=lambda r: r["number"])

    def batch(self, number: int) -> Path:
        return self.path / "predictions" / f"batch_{number}.parquet"

    def qa_part(self, number: int) -> Path:
        return self.path / "qa" / f"part_{number}.parquet"

    def result_part(self, number: int) -> Path:
        return self.path / "results" / f"part_{number}.parquet"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def report(self) -> Path:
        return self.path / "report.html"


@dataclass(frozen=True)
class Published:
    """What readers see: the current run, and the run of each quarter."""

    current: str = ""
    quarters: dict[str, str] = field(default_factory=dict)

    @property
    def run_ids(self) -> set[str]:
        return {self.current, *self.quarters.values()} - {""}


@dataclass(frozen=True)
class Workspace:
    """A folder that holds runs."""

    root: Path

    @classmethod
    def existing(cls, root: Path) -> Workspace:
        """A workspace that must already be there."""
        if not (root / "runs").is_dir():
            raise ConfigError(f"{root} is no workspace", expected="a folder that `predict-age run --workspace` has made")
        return cls(root)

    def create(self) -> None:
        """Make the folder, or raise ResourceError when it cannot be written."""
        try:
            (self.root / "runs").mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ResourceError(f"the workspace {self.root} cannot be written: {error.strerror}") from None

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.root / "runs" / run_id)

    def runs(self) -> list[RunFolder]:
        """All runs, oldest first (run ids begin with their time)."""
        folders = (self.root / "runs").glob("*/run.json")
        return [RunFolder(p.parent) for p in sorted(folders)]

    @property
    def published(self) -> Published:
        path = self.root / "published.json"
        return Published(**read_json(path)) if path.exists() else Published()

    def publish(self, run_id: str, quarter: str) -> None:
        """Switch readers to ``run_id`` by one atomic replacement."""
        now = self.published
        write_json(self.root / "published.json", asdict(Published(run_id, {**now.quarters, quarter: run_id})))

    def unpublish_missing(self) -> None:
        """Forget quarters whose run folder is gone (after retention)."""
        now = self.published
        kept = {q: r for q, r in now.quarters.items() if self.run(r).path.exists()}
        if kept != now.quarters:
            write_json(self.root / "published.json", asdict(Published(now.current, kept)))

    def remove(self, run: RunFolder) -> None:
        """Delete a run folder: first its record, so that a half-deleted run is never listed."""
        (run.path / "run.json").unlink(missing_ok=True)
        shutil.rmtree(run.path, ignore_errors=True)

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Hold the workspace or raise BusyError naming the holder. A dead holder's lock is free at once (flock)."""
        with (self.root / "lock").open("a+", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                stream.seek(0)
                try:
                    holder = json.loads(stream.read())
                    found = f"{holder['purpose']} by process {holder['pid']}"
                except (ValueError, KeyError):
                    found = "another process"
                raise BusyError(
                    f"the workspace {self.root} is in use", expected="one run at a time", found=found,
                    fix="wait for it, or use another workspace",
                ) from None  # fmt: skip
            stream.truncate(0)
            stream.write(json.dumps({"purpose": purpose, "pid": os.getpid()}))
            stream.flush()
            yield
