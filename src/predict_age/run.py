"""What a run is: its plan (everything that decides the result) and the things its steps work with."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from predict_age import __version__
from predict_age.config import Config
from predict_age.errors import ConfigError, IntegrityError
from predict_age.files import read_json
from predict_age.pool import Pool, available_cores
from predict_age.source.files import SourceFile
from predict_age.workspace import RunFolder, Workspace


class Progress(Protocol):
    """Where a step reports how far it is."""

    def update(self, done: int, total: int, unit: str) -> None:
        """``done`` of ``total`` units are finished."""

    def note(self, text: str) -> None:
        """Say something worth a line."""


@dataclass(frozen=True)
class RunPlan:
    """Everything that decides the result. ``timestamp`` (UTC) is the one time of the run; no step reads the clock."""

    run_id: str
    timestamp: str
    as_of: dt.date
    quarter: str
    source: str
    files: tuple[SourceFile, ...]
    config: Config
    features_text: str
    features_name: str
    code: str

    @property
    def identity(self) -> str:
        """Hash of what decides the rows: two runs with the same identity give the same rows."""
        config = self.config.model_dump(mode="json")
        del config["running"]
        what = [self.as_of.isoformat(), self.quarter, [asdict(f) for f in self.files], config, self.features_text, self.code]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The contents of run.json."""
        return {
            "run_id": self.run_id, "timestamp": self.timestamp, "as_of": self.as_of.isoformat(), "quarter": self.quarter,
            "version": __version__, "code": self.code, "identity": self.identity, "source": self.source,
            "files": [asdict(f) for f in self.files], "config": self.config.model_dump(mode="json"),
            "features_name": self.features_name, "features_text": self.features_text,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RunPlan:
        """Read back what :meth:`as_json` wrote; IntegrityError when it is not that."""
        try:
            config = Config.model_validate_json(json.dumps(value["config"]))
            return cls(
                value["run_id"], value["timestamp"], dt.date.fromisoformat(value["as_of"]), value["quarter"], value["source"],
                tuple(SourceFile(**f) for f in value["files"]), config,
                value["features_text"], value["features_name"], value["code"],
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                "run.json is damaged or from another version", found=str(error).splitlines()[0], fix="start a new run"
            ) from None


def code_hash() -> str:
    """Hash of this package's own files: a resumed run must be finished by the code that began it."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in {".py", ".sql", ".toml", ".html"}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass
class Run:
    """A run in progress: plan, folders, workers."""

    plan: RunPlan
    workspace: Workspace
    folder: RunFolder
    pool: Pool
    progress: Progress

    @cached_property
    def workers(self) -> int:
        """Number of worker processes."""
        return self.plan.config.running.workers or available_cores()

    def facts(self, step: str) -> dict[str, Any]:
        """What a finished step left for later ones."""
        facts: dict[str, Any] = read_json(self.folder.step_file(step))["facts"]
        return facts

    def check_resumable(self) -> None:
        """Raise when code or source are not what the run began with."""
        if (now := code_hash()) != self.plan.code:
            raise ConfigError(
                f"run {self.plan.run_id} was begun by other code", expected=f"code {self.plan.code}", found=f"code {now}",
                fix="start a new run",
            )  # fmt: skip
        self.check_source()

    def check_source(self) -> None:
        """Raise InputError when a source file is not the one that the run began with."""
        for file in self.plan.files:
            file.check_unchanged()


@dataclass(frozen=True)
class StepResult:
    """What a step did: ``rows`` it handled, and ``facts`` for later steps (JSON)."""

    rows: int
    facts: dict[str, Any] = field(default_factory=dict)
