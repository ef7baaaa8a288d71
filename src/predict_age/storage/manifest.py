"""The manifest of a finished run: every file of the result with its SHA-256, and the inputs of the run.

The published pointer holds the content hash of the manifest, and the manifest holds the hash of every file. Readers can
therefore verify each byte that they use; they never read a file that the manifest does not name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from predict_age.errors import IntegrityError
from predict_age.records.json_fields import OPTIONAL, from_json
from predict_age.records.step_facts import FinalResultsFacts, ReadSourceFacts, RowCounts, TrainingFacts
from predict_age.storage.durable_files import check_hash, file_problem, key_of
from predict_age.storage.publication import read_published
from predict_age.storage.row_accounting import RowAccounting
from predict_age.storage.workspace import RunFolder, Workspace
from predict_age.tally import Tally

MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class ManifestSource:
    """A source file with its size and SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Contents of ``manifest.json``; ``athena``: on AWS, size and tag of every object of the result."""

    format: int
    run_id: str
    quarter: str
    as_of: str
    timestamp: str
    identity: str
    code: str
    seed: int
    config: str
    features: str
    model: str
    base: str
    source: list[ManifestSource]
    books: RowCounts
    checksum: str
    tally: Tally
    files: dict[str, str]
    athena: dict[str, str] | None = field(default=None, metadata=OPTIONAL)
    purpose: str | None = field(default=None, metadata=OPTIONAL)  # None in manifests of earlier versions


def manifest_contents(
    run: dict[str, Any], source: ReadSourceFacts, model: TrainingFacts, books: RowAccounting, tally: Tally, files: dict[str, str]
) -> Manifest:
    """The manifest of a run: ``run`` is its run.json, ``source`` and ``model`` are the facts of reading and of training."""
    sources = zip([*run["files"], *run.get("training_files", ())], source.source_sha256, strict=True)
    return Manifest(
        format=MANIFEST_FORMAT,
        run_id=run["run_id"],
        quarter=run["quarter"],
        as_of=run["as_of"],
        timestamp=run["timestamp"],
        identity=run["identity"],
        code=run["code"],
        seed=run["config"]["training"]["seed"],
        config=key_of(run["config"]),
        features=key_of(run["features_text"]),
        model=model.model_version,
        base=run["base"],
        source=[ManifestSource(f["path"], f["size"], h) for f, h in sources],
        books=books.counts(),
        checksum=str(books.checksum),
        tally=tally,
        files=files,
        purpose=run.get("purpose"),
    )


@dataclass(frozen=True)
class VerifiedRun:
    """Run whose manifest is the published one (or, if the run was never published, the one that its last record names)."""

    folder: RunFolder
    manifest: Manifest

    @property
    def files(self) -> dict[str, str]:
        """Name inside the run's folder -> SHA-256."""
        return self.manifest.files

    def named(self, *prefixes: str) -> list[str]:
        """Names of the files under these folders, partitions in the order of their numbers."""
        names = [n for n in self.files if n.startswith(prefixes)]
        return sorted(names, key=lambda n: (len(n), n))

    def checked(self, *prefixes: str) -> list[str]:
        """Paths of the files under these folders, after each was compared with its hash; IntegrityError for a file that differs."""
        names = self.named(*prefixes)
        for name in names:
            check_hash(self.folder.path / name, self.files[name])
        return [str(self.folder.path / n) for n in names]

    def problems(self) -> list[str]:
        """Every file that is missing or damaged."""
        return [p for p in (file_problem(self.folder.path / n, h, n) for n, h in self.files.items()) if p]


def verified_run(workspace: Workspace, folder: RunFolder) -> VerifiedRun:
    """The run with its manifest. Raises IntegrityError when the manifest is missing, damaged or not the published one."""
    content_hash = read_published(workspace.documents).manifests.get(folder.id, "")
    if not content_hash:
        try:
            content_hash = folder.facts(FinalResultsFacts).manifest
        except IntegrityError:
            raise IntegrityError(
                f"run {folder.id} has no result",
                expected="a run that was finished",
                found=f"status {folder.status}",
                fix="`predict-age resume`, or choose another run",
            ) from None
    manifest = folder.manifest(content_hash)
    if manifest.get("format") != MANIFEST_FORMAT:
        raise IntegrityError(
            f"unknown manifest format in {folder.path}", expected=f"format {MANIFEST_FORMAT}", found=str(manifest.get("format"))
        )
    try:
        return VerifiedRun(folder, from_json(Manifest, manifest))
    except ValueError as error:
        raise IntegrityError(f"{folder.manifest_file} is damaged or from another version", found=str(error)) from None
