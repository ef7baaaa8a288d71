"""A run: its plan (everything that decides the result) and the services that its steps use."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

from predict_age.config import Config, NotifyConfig
from predict_age.errors import ConfigError, InputError, IntegrityError
from predict_age.purposes import stated
from predict_age.records.step_facts import Facts, ReadSourceFacts
from predict_age.runtime.worker_pool import Pool
from predict_age.source import filesystem
from predict_age.source.source_file import PassedOver, SourceFile, source_file_from_json
from predict_age.source_config import RECORDED
from predict_age.step import Step
from predict_age.storage.durable_files import check_hash, key_of
from predict_age.storage.lease import Permission
from predict_age.storage.publication import suppression_changed
from predict_age.storage.suppression_list import SuppressionList
from predict_age.storage.workspace import RunFolder, Workspace
from predict_age.version import __version__

F = TypeVar("F", bound=Facts)
LIBRARIES = ("duckdb", "pyarrow", "numpy", "scipy", "xgboost-cpu", "lightgbm")


class Progress(Protocol):
    """Progress reports of a step."""

    def part(self, total: int, unit: str, done: int = 0) -> Callable[[int], None]:
        """Begin a part of a step with ``total`` units, ``done`` of them earlier. Returns a function that counts further units."""

    def note(self, text: str) -> None:
        """Print a line."""


@dataclass(frozen=True)
class RunPlan:
    """Everything that decides the result. ``timestamp`` (UTC) is the one time of the run; no step reads the clock.

    ``workers`` decides the sizes of batches and the number of training threads; it changes no model. ``base`` is a finished
    run whose model is used instead of training, with the SHA-256 of that model's manifest; empty otherwise. ``challengers`` name
    run and SHA-256 of each model that predicts a share of the people. A ``shadow`` run is finished and checked, but not published.
    ``event`` is the hash of what was asked for where that names models: "champion" is another run after this one.
    ``suppression`` is the generation of the suppression list, 0 without one, and ``suppression_list`` its content hash.
    ``training_files`` are those of a ``training_source``, whose people the model is trained on; without one, it is trained on the
    source's own. ``notify_config`` is the configuration file that names a program for [notify]; the program itself, whose
    arguments may be secret, is in no record.
    """

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
    workers: int
    base: str = ""
    base_model: str = ""
    challengers: tuple[tuple[str, str], ...] = ()
    shadow: bool = False
    passed_over: tuple[PassedOver, ...] = ()
    event: str = ""
    suppression: int = 0
    suppression_list: str = ""
    training_source: str = ""
    training_files: tuple[SourceFile, ...] = ()
    notify_config: str = ""

    @property
    def all_files(self) -> tuple[SourceFile, ...]:
        """Files of the source, and after them those of the training source: splits count them in this order."""
        return self.files + self.training_files

    def of_training_source(self) -> RunPlan:
        """The plan of a run over the training source alone: what is checked of a source is checked of it too."""
        return replace(self, source=self.training_source, files=self.training_files, training_source="", training_files=())

    @property
    def purpose(self) -> str:
        """Purpose of the ages, as records have it. Another purpose is another run."""
        return stated(self.config.run.purpose)

    @property
    def identity(self) -> str:
        """Hash of what decides the rows: two runs with the same identity give the same rows."""
        config = self.config.model_dump(mode="json")
        del config["running"], config["limits"], config["notify"]
        files = [f.as_json() for f in self.files]
        decisive = [
            self.as_of.isoformat(),
            self.quarter,
            files,
            config,
            self.features_text,
            self.code,
            self.workers,
            self.base,
            self.base_model,
            self.challengers,
            self.shadow,
        ]
        if self.suppression:
            decisive.append(self.suppression_list)
        if self.training_source:
            decisive.append([f.as_json() for f in self.training_files])
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def named(self) -> RunPlan:
        """The plan with its run id: the time, and a hash of what decides the rows."""
        time = dt.datetime.fromisoformat(self.timestamp)
        return replace(self, run_id=f"{time:%Y%m%dT%H%M%SZ}-{self.identity[:8]}")

    def with_suppression(self, listed: SuppressionList | None) -> RunPlan:
        """The plan of a run that leaves out the people on this list."""
        if listed is None:
            return self
        return replace(self, suppression=listed.generation, suppression_list=listed.content_hash).named()

    def as_json(self) -> dict[str, object]:
        """The contents of run.json."""
        return {
            "run_id": self.run_id,
            "timestamp": self.timestamp,
            "as_of": self.as_of.isoformat(),
            "quarter": self.quarter,
            "version": __version__,
            "code": self.code,
            "identity": self.identity,
            "purpose": self.purpose,
            "source": self.source,
            "files": [f.as_json() for f in self.files],
            "config": self.config.model_copy(update={"notify": NotifyConfig()}).model_dump(mode="json"),
            "features_name": self.features_name,
            "features_text": self.features_text,
            "workers": self.workers,
            "base": self.base,
            "base_model": self.base_model,
            "challengers": self.challengers,
            "shadow": self.shadow,
            "passed_over": [asdict(p) for p in self.passed_over],
            "event": self.event,
            **({"suppression": self.suppression, "suppression_list": self.suppression_list} if self.suppression else {}),
            **self._training_json(),
            **({"notify_config": self.notify_config} if self.notify_config else {}),
        }

    def _training_json(self) -> dict[str, object]:
        files = [f.as_json() for f in self.training_files]
        return {"training_source": self.training_source, "training_files": files} if self.training_source else {}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RunPlan:
        """Read back what :meth:`as_json` wrote; IntegrityError when it is not that."""
        try:
            config = Config.model_validate_json(json.dumps(value["config"]), context=RECORDED)
            return cls(
                value["run_id"],
                value["timestamp"],
                dt.date.fromisoformat(value["as_of"]),
                value["quarter"],
                value["source"],
                tuple(source_file_from_json(**f) for f in value["files"]),
                config,
                value["features_text"],
                value["features_name"],
                value["code"],
                value["workers"],
                value["base"],
                value["base_model"],
                tuple((str(r), str(m)) for r, m in value["challengers"]),
                bool(value["shadow"]),
                tuple(PassedOver(p["reason"], p["files"], tuple(p["first"])) for p in value.get("passed_over", ())),
                value.get("event", ""),
                int(value.get("suppression", 0)),
                str(value.get("suppression_list", "")),
                str(value.get("training_source", "")),
                tuple(source_file_from_json(**f) for f in value.get("training_files", ())),
                str(value.get("notify_config", "")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                "run.json is damaged or from another version", found=str(error).splitlines()[0], fix="start a new run"
            ) from None


def library_versions() -> dict[str, str]:
    """Versions of this package and of the libraries that affect numbers."""
    return {"predict-age": __version__, **{name: version(name) for name in LIBRARIES}}


@cache
def code_hash() -> str:
    """Hash of this package's files and the versions of its libraries: a run must be finished by the code that began it."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in LIBRARIES).encode())
    for path in sorted(p for p in root.rglob("*") if p.suffix in {".py", ".sql", ".toml", ".html", ".css"}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class StepContext:
    """Services of every step: the plan, the run's folder, worker processes, progress, and the lease that allows writing."""

    plan: RunPlan
    folder: RunFolder
    pool: Pool
    progress: Progress
    lease: Permission
    suppression: SuppressionList | None = None


@dataclass(frozen=True)
class Run:
    """A run in progress: plan, folders, workers, and the lease that allows it to write."""

    plan: RunPlan
    workspace: Workspace
    folder: RunFolder
    pool: Pool
    progress: Progress
    lease: Permission
    accept: tuple[str, ...] = ()  # gates to override when they fail
    suppression: SuppressionList | None = None

    @property
    def context(self) -> StepContext:
        """The part of the run that its steps see."""
        return StepContext(self.plan, self.folder, self.pool, self.progress, self.lease, self.suppression)

    def facts(self, kind: type[F]) -> F:
        """Facts of a finished step of this run."""
        return self.folder.facts(kind)

    def key(self, step: Step) -> str:
        """Key of a step's inputs: this run and the files of the steps that it needs."""
        return key_of(self.plan.run_id, self.plan.identity, step.name, {n: self.outputs(n) for n in step.needs})

    def is_done(self, step: Step) -> bool:
        """Whether the step has a record that belongs to this run and to the current input files."""
        if not self.folder.step_file(step.name).exists():
            return False
        try:
            return self.folder.step(step.name).key == self.key(step)
        except IntegrityError:
            return False

    def outputs(self, step: str) -> dict[str, str]:
        """SHA-256 of each output file of a finished step, by its name inside the run's folder."""
        return self.folder.step(step).outputs

    def check_inputs(self, steps: tuple[str, ...]) -> None:
        """Raise IntegrityError unless every output file of these finished steps is unchanged."""
        for step in steps:
            for name, expected in self.outputs(step).items():
                if self.folder.remote and not (self.folder.path / name).exists():
                    continue  # stays in the store, which compares hashes itself
                check_hash(self.folder.path / name, expected)

    def check_resumable(self) -> None:
        """Raise when code, source or suppression list have changed since the run began.

        A source that was read is compared by content.
        """
        if (self.suppression.content_hash if self.suppression else "") != self.plan.suppression_list:
            raise suppression_changed(self.plan.run_id)
        if (now := code_hash()) != self.plan.code:
            raise ConfigError(
                f"run {self.plan.run_id} was begun by other code",
                expected=f"code {self.plan.code}",
                found=f"code {now}",
                fix="start a new run",
            )
        self.check_source()
        if self.folder.step_file("read_source").exists():
            for file, expected in zip(self.plan.all_files, self.facts(ReadSourceFacts).source_sha256, strict=True):
                if filesystem.content_sha256(file.path) != expected:
                    raise InputError(
                        f"a source file changed since the run began: {file.path}",
                        expected="the bytes that were read",
                        fix="start a new run",
                    )

    def check_source(self) -> None:
        """Raise InputError when size or modification time of a source file have changed since the run began."""
        for file in self.plan.all_files:
            file.check_unchanged()
