"""Copy of a run's folder on the disk of a container: downloads the inputs of a step from S3 and uploads its outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from predict_age.aws import object_names
from predict_age.aws.execution_lease import HeldLease
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.aws.suppression import fetch_suppression
from predict_age.errors import ConfigError, IntegrityError
from predict_age.runs.quality_gates import GATES, overridden_gates
from predict_age.runs.run import Run, RunPlan, code_hash
from predict_age.runtime.progress import Console
from predict_age.runtime.worker_pool import Pool
from predict_age.step import STEPS, Step
from predict_age.storage.documents import ConflictError
from predict_age.storage.durable_files import make_folder
from predict_age.storage.manifest import verified_run
from predict_age.storage.publication import read_published, suppression_changed
from predict_age.storage.result_files import WORKING_COPIES
from predict_age.storage.suppression_list import SuppressionList
from predict_age.storage.workspace import RunFolder, Workspace

LEFT_IN_S3 = (*WORKING_COPIES, "predictions/batch_", "people/")


@dataclass(frozen=True)
class Job:
    """Job of a container: the store of the workspace, the run, and the token of its lease."""

    store: Store
    run_id: str
    token: int
    accept: bool = False
    task: int = 0  # index of the task in the map

    @classmethod
    def from_environment(cls) -> Job:
        """Read PREDICT_AGE_BUCKET, _PREFIX, _RUN_ID, _TOKEN, _ACCEPT and _TASK. Raises ConfigError naming what is missing."""
        try:
            store = Store(os.environ["PREDICT_AGE_BUCKET"], os.environ.get("PREDICT_AGE_PREFIX", "predict-age"))
            return cls(
                store,
                os.environ["PREDICT_AGE_RUN_ID"],
                int(os.environ["PREDICT_AGE_TOKEN"]),
                bool(os.environ.get("PREDICT_AGE_ACCEPT")),
                int(os.environ.get("PREDICT_AGE_TASK", "0")),
            )
        except (KeyError, ValueError) as error:
            raise ConfigError(
                "this command runs inside a task of the state machine",
                expected="its environment variables",
                found=str(error),
                fix="on one machine use `predict-age run`",
            ) from None

    def name(self, inside: str) -> str:
        return f"{object_names.run_folder(self.run_id)}/{inside}"


class RunMirror:
    """The run's folder on this task's disk, and its original in S3."""

    def __init__(self, job: Job, scratch: Path) -> None:
        job.store.check_reachable()
        self.job = job
        self.workspace = Workspace(scratch)
        self.folder = RunFolder(scratch / "runs" / job.run_id, job.store.url(object_names.run_folder(job.run_id)))
        make_folder(self.folder.path / "steps")
        self.bring_optional("published.json", scratch / "published.json")
        self.bring_optional(job.name("run.json"), self.folder.path / "run.json")
        self._bring_records(job.run_id, STEPS)
        published = self.workspace.published.current
        if published and published != job.run_id:  # the model that this one is compared with
            self._bring_records(published, [s for s in STEPS if s.name in GATES])
        for name, _ in job.store.names(job.name("gates/")):
            self.bring_optional(name, scratch / name)

    def _bring_records(self, run_id: str, steps: Sequence[Step]) -> None:
        for step in steps:
            self.bring_optional(object_names.step_record(run_id, step.name), self.workspace.run(run_id).step_file(step.name))

    def bring_other_run(self, run_id: str, *prefixes: str) -> None:
        """Download records and manifest of a finished run, and of the files that its manifest names those below ``prefixes``."""
        folder = self.workspace.run(run_id)
        self._bring_records(run_id, STEPS)
        for name in ("run.json", "manifest.json"):
            self.bring_optional(f"{object_names.run_folder(run_id)}/{name}", folder.path / name)
        run = verified_run(self.workspace, folder)
        for name in run.named(*prefixes) if prefixes else ():
            self.job.store.fetch(f"{object_names.run_folder(run_id)}/{name}", folder.path / name, run.files[name])

    def bring_optional(self, name: str, path: Path) -> bool:
        """Download a document with a content hash, if it exists."""
        with suppress(IntegrityError):
            self.job.store.fetch(name, path, "")
        return path.exists()

    def bring(self, run: Run, *steps: str) -> None:
        """Download what these steps made. Large files stay in S3 and are only compared there."""
        for step in steps:
            for name, digest in run.outputs(step).items():
                if not name.startswith(LEFT_IN_S3):
                    self.job.store.fetch(self.job.name(name), self.folder.path / name, digest)

    def send(self, run: Run, step: Step) -> None:
        """Upload what a finished step made, and then its record."""
        for name in run.outputs(step.name):
            path = self.folder.path / name
            if path.exists():
                self.job.store.put_part(self.job.name(name), path)
        self.send_record(object_names.step_record(self.job.run_id, step.name), self.folder.step_file(step.name))

    def send_record(self, name: str, path: Path) -> None:
        """Upload a record. It may be there already with the same meaning: whoever was first stays."""
        with suppress(ConflictError):
            self.job.store.put(name, path, None)

    def suppression(self) -> SuppressionList | None:
        """The suppression list, brought here and verified, for the task that reads the source."""
        return fetch_suppression(self.job.store, self.workspace.root, read_published(S3Documents(self.job.store)))

    def run(self, pool: Pool, suppression: SuppressionList | None = None) -> Run:
        """The run as the steps see it. Raises ConfigError when the suppression list has changed since it began."""
        plan = RunPlan.from_json(self.folder.record)
        if (now := code_hash()) != plan.code:
            raise ConfigError(
                f"run {plan.run_id} was begun by another image",
                expected=f"code {plan.code}",
                found=f"code {now}",
                fix="start a new run",
            )
        if plan.base:
            self.bring_other_run(plan.base)
        documents = S3Documents(self.job.store)
        if plan.suppression_list != read_published(documents).suppression_list:
            raise suppression_changed(plan.run_id)
        lease = HeldLease(documents, self.job.token)
        accepted = overridden_gates(self.folder) if self.job.accept else ()
        return Run(plan, self.workspace, self.folder, pool, Console(quiet=False), lease, accepted, suppression)
