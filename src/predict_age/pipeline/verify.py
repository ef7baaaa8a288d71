"""Verification of a finished run: every byte is read and compared with its hash, and the row accounting is repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq

from predict_age.errors import IntegrityError
from predict_age.models.artifact import load_model
from predict_age.records.json_fields import as_json
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.current_folder import readable_problems
from predict_age.runs.lookup_blocks import LookupTexts, PeopleRecords
from predict_age.runs.lookup_files import lookup_files, people_of_parts
from predict_age.runs.result_checks import describe, reconcile
from predict_age.runtime.command_log import stage
from predict_age.runtime.worker_pool import available_cores
from predict_age.storage.durable_files import file_problem, key_of, read_json, receipt_of, valid_receipt
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.publication import read_published
from predict_age.storage.row_accounting import ML_PREDICTION, WITHHELD_MINOR
from predict_age.storage.workspace import DONE, RunFolder, Workspace
from predict_age.tally import sum_tallies

PARTITION_FOLDERS = ("predictions/batch_", "qa/", "results/", "lookup/")
COMPARED_COLUMNS = ("pid", "predicted_age", "age_lower", "age_upper", "model_version")


@dataclass(frozen=True)
class Verification:
    """Result of a verification: ``checks`` are sentences about what holds, ``problems`` about what does not."""

    run_id: str
    files: int
    bytes: int
    rows: int
    checks: list[str]
    problems: list[str]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def verify_run(workspace: Workspace, folder: RunFolder) -> Verification:
    """Verify a finished run. Damage is reported in ``problems``; only a run without a result raises IntegrityError."""
    try:
        run = verified_run(workspace, folder)
    except IntegrityError as error:
        if folder.manifest_file.exists():
            return Verification(folder.id, 0, 0, 0, [], [str(error)])
        raise
    with stage(f"compare {len(run.files):,} files with their hashes"), ThreadPoolExecutor(available_cores()) as threads:
        problems = [p for p in threads.map(lambda n: file_problem(folder.path / n, run.files[n], n), run.files) if p]
    interrupted = folder.status != DONE and folder.id in read_published(workspace.documents).run_ids
    problems += _records(run, may_be_missing=interrupted)
    readable = readable_problems(workspace, run)
    size = sum((folder.path / n).stat().st_size for n in run.files if (folder.path / n).exists())
    checks = (
        ["the manifest has the hash that published.json names"]
        if folder.id in workspace.published.run_ids
        else ["not published now"]
    )
    if problems:
        return Verification(folder.id, len(run.files), size, 0, checks, problems + readable)
    if interrupted:
        checks.append("the run was interrupted after it was published; `predict-age resume` writes its last records")
    checks.append(f"{len(run.files):,} files have their recorded SHA-256")
    for claim, check in (
        ("every person of the source occurs exactly once, and the row accounting reconciles", _books),
        ("lookup files, where there are some, say what the result says", _lookup),
        ("predicted rows equal the model's predictions", _predictions),
        ("the model loads, and its features are those of its training", _model),
    ):
        try:
            with stage(f"check that {claim}"):
                check(run)
            checks.append(claim)
        except IntegrityError as error:
            problems.append(str(error))
    return Verification(folder.id, len(run.files), size, run.manifest.books.people, checks, problems + readable)


def _books(run: VerifiedRun) -> None:
    facts = run.folder.facts(ReadSourceFacts)
    parts = [describe(run.folder.path / name, bytes.fromhex(facts.checksum_key or "")) for name in run.named("results/")]
    tally = sum_tallies(p.tally for p in parts)
    books = reconcile(facts, parts, tally)
    if books.counts() != run.manifest.books or str(books.checksum) != run.manifest.checksum:
        raise IntegrityError(
            "the row accounting differs from the manifest's", expected=str(as_json(run.manifest.books)), found=str(books.as_rows())
        )


def _predictions(run: VerifiedRun) -> None:
    batches = run.named("predictions/batch_")
    for batch, part in zip(batches, run.named("results/"), strict=True) if batches else ():
        predicted = pq.read_table(run.folder.path / batch, columns=list(COMPARED_COLUMNS)).sort_by("pid")
        shown = pq.read_table(run.folder.path / part, columns=[*COMPARED_COLUMNS, "prediction_source"])
        withheld = shown["pid"].filter(pc.equal(shown["prediction_source"], WITHHELD_MINOR))
        hidden = predicted["predicted_age"].is_null()
        shown = shown.filter(pc.equal(shown["prediction_source"], ML_PREDICTION)).select(list(COMPARED_COLUMNS)).sort_by("pid")
        are_withheld = pc.all(pc.is_in(predicted["pid"].filter(hidden), withheld)).as_py() in (True, None)
        predicted = predicted.filter(pc.invert(hidden))
        if not are_withheld or not predicted.equals(shown.cast(predicted.schema)):
            raise IntegrityError(f"{part} differs from {batch}", expected="the same people with the same ages", found="others")


def _lookup(run: VerifiedRun) -> None:
    """Compare the records of the lookup files with the result: each part and each block is read once."""
    files = lookup_files(run)
    if files is None:
        return
    shown, found = _Records(), _Records()
    for number, name in enumerate(run.named("results/")):
        shown.add(*people_of_parts([(run.folder.path / name, run.files[name])], number))
    for file in range(files.number):
        for people, texts in files.each(file):
            found.add(people, texts)
    if found.people != shown.people:
        raise IntegrityError("lookup files do not hold everybody", expected=f"{shown.people:,} people", found=f"{found.people:,}")
    if found.checksum != shown.checksum:
        raise IntegrityError(
            "the lookup files differ from the result", expected="the same people with the same values", found="others"
        )


@dataclass
class _Records:
    """Number of people in records that were added, and the sum of their checksums."""

    people: int = 0
    checksum: int = 0

    def add(self, records: PeopleRecords, texts: LookupTexts) -> None:
        """Add ``records``."""
        self.people += len(records.pids)
        self.checksum = (self.checksum + records.checksum(texts)) % 2**64


def _model(run: VerifiedRun) -> None:
    load_model(run.folder.model, run.files["model/manifest.json"])


def _records(run: VerifiedRun, *, may_be_missing: bool) -> list[str]:
    """Problems of files that the manifest does not name: those written after it, which ``may_be_missing``, and receipts."""
    problems = []
    parts = {name: seal for name, seal in run.files.items() if name.startswith(PARTITION_FOLDERS)}
    receipts = {receipt_of(run.folder.path / name): seal for name, seal in parts.items()}
    later = ["status.json", "attempts.json", "steps/final_results.json", "steps/post_cleanup.json"]
    later += [p.relative_to(run.folder.path).as_posix() for p in sorted(run.folder.path.glob("gates/*.json"))]
    later += ["tuning.json"] if (run.folder.path / "tuning.json").exists() else []
    for path in [*receipts, *(run.folder.path / name for name in later)]:
        if may_be_missing and path not in receipts and not path.exists():
            continue
        try:
            value = read_json(path)
            if path in receipts and value["file_sha256"] != receipts[path]:
                problems.append(f"{path.name} is the receipt of another file's content")
        except (IntegrityError, KeyError) as error:
            problems.append(str(error).splitlines()[0])
    unwritten = may_be_missing and not run.folder.report.exists()
    if not unwritten and valid_receipt(run.folder.report, key_of(run.folder.id)) is None:
        problems.append("report.html is missing or damaged; `predict-age report` writes it again")
    return problems
