"""Step 2: read the source once: convert text, count, set aside, and decide which of several equal pids counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from predict_age.records.given_ages import GivenAges, UnusableAgesRecord
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.batching import number_of_batches
from predict_age.runs.run import RunPlan, StepContext
from predict_age.runs.step_outputs import duplicate_rows_file, grouped, rules_before_reading, unused_rows_file
from predict_age.source import filesystem
from predict_age.source.age_states import sum_unusable, with_readings, without_readings
from predict_age.source.convert import Conversion, TextFile, convert, converted_together, route
from predict_age.source.duplicate_rows import DuplicateRows, find_duplicates, write_duplicate_rows, write_unused_rows
from predict_age.source.external_partition import buckets_for
from predict_age.source.id_hashes import key_of_run
from predict_age.source.missing_keys import EmptyKeys, check_keys, empty_keys, id_hint, no_known_age
from predict_age.source.parquet_file import open_parquet
from predict_age.source.rejected_rows import check_rejected
from predict_age.source.row_group_reader import Split, splits_of_file
from predict_age.source.row_rules import IdType, RowRules
from predict_age.source.row_walk import checked_footer
from predict_age.source.scan import SplitCounts, id_type, scan
from predict_age.source.suppressed_records import Hiding, none_left_out, settle
from predict_age.source.text_ids import PADDED_IDS, Spellings
from predict_age.step import StepResult
from predict_age.steps.source_facts import ScannedRows, rows_to_predict, source_facts, source_rows
from predict_age.storage.durable_files import file_sha256, make_folder, write_json

MANY_YOUNG = 0.2  # share of the people with a given age from which on ages of minors are tried in other units
READ_OTHERWISE = 0.01  # share of the people with a given age and no known one from which on their values are read in other ways


@dataclass(frozen=True)
class ReadSourceInputs:
    """Inputs of reading the source: the plan names its files."""

    context: StepContext


def read_source(inputs: ReadSourceInputs) -> StepResult[ReadSourceFacts]:
    """Fill ``source/`` and ``set_aside/``. Raises InputError for an empty source or too many unusable rows."""
    context = inputs.context
    plan, folder = context.plan, context.folder.path
    source, set_aside = folder / "source", folder / "set_aside"
    scratch = source / f"scratch-{context.lease.token}"  # of this attempt alone
    shutil.rmtree(scratch, ignore_errors=True)
    make_folder(scratch)
    make_folder(set_aside)

    hashes = _fingerprints(context)
    rules, settled = rules_before_reading(plan), plan.config.source.pid_type != "auto"
    ids = rules.ids
    conversions = _convert_text(context, source / "working", set_aside, rules, settled)
    footers = _footers(conversions)
    _check_keys(plan, conversions, footers)
    splits = _splits(plan, conversions, footers)
    counts = _scan(context, splits, rules, scratch, set_aside)
    if not settled:
        ids = _id_type(conversions, counts)
        again = any(settle(c.left_out, ids).wrong for c in conversions)
        if again or ids != rules.ids:
            rules = replace(rules, ids=ids)
            for path in (path for count in counts for path in count.written):
                Path(path).unlink()
            if again:
                for working in {conversion.path for conversion in conversions}:
                    Path(working).unlink()
                conversions = _convert_text(
                    context, source / "working" / "again", set_aside, rules, True
                )  # workers keep files open
                splits = _splits(plan, conversions, _footers(conversions))
            counts = _scan(context, splits, rules, scratch, set_aside)
    _note_ids(context, rules, counts)
    sources = source_rows(context, conversions, counts, splits, rules)
    for rows in sources:
        check_rejected(rows.files, plan.config.source, f"look at {set_aside}", _id_hint(plan))
    if not sources[-1].hidden.rows:
        _check_known_ages(plan, [c for c, s in zip(counts, splits, strict=True) if _is_trained_on(plan, s)])
    written = {p: h for c in conversions for p, h in c.written.items()} | {p: h for c in counts for p, h in c.written.items()}
    if plan.config.prediction.partition == "modulo":
        splits, batch_of, routed = _route(context, splits, counts, rules, source / "routed")
        copies = {c.path for c in conversions}
        shutil.rmtree(source / "working", ignore_errors=True)
        written = {p: h for p, h in written.items() if p not in copies} | routed
        counts = _scan(context, splits, rules, scratch, None)
    else:
        batch_of = []
    duplicates = _find_duplicates(context, splits, rules, scratch)
    scanned = ScannedRows(counts, duplicates, sum(s.file < len(plan.files) for s in splits))
    written |= _write_rows(context, duplicates, counts)
    shutil.rmtree(scratch, ignore_errors=True)
    facts = source_facts(_unusable_ages(context, rules, counts), sources, scanned, hashes, rules, _checksum_key(context))
    sources[0].hidden.check_others(facts.people)
    write_json(source / "splits.json", _stored_splits(context, splits, scanned, batch_of))
    written[str(source / "splits.json")] = file_sha256(source / "splits.json")
    outputs = {name: written[str(path)] for name, path in context.folder.named(*map(Path, written)).items()}
    return StepResult(facts.read, facts, outputs)


def _id_hint(plan: RunPlan) -> Callable[[str], str]:
    return partial(id_hint, files=plan.all_files, source=plan.config.source)


def _is_trained_on(plan: RunPlan, split: Split) -> bool:
    """Whether the model is trained on people of the source that the split belongs to."""
    return not plan.training_source or split.file >= len(plan.files)


def _ages_needed(plan: RunPlan, file: int) -> bool:
    """Whether a file must have a column of ages: where a model is trained on its people."""
    return not plan.base and (not plan.training_source or file >= len(plan.files))


def _stored_splits(context: StepContext, splits: list[Split], scanned: ScannedRows, batch_of: list[int]) -> dict[str, object]:
    """Contents of ``source/splits.json``."""
    stored = {
        "splits": [_stored(context, s) for s in splits],
        "to_predict": rows_to_predict(scanned.counts, scanned.duplicates),
        "batch_of": batch_of,
    }
    training = {"first_training": scanned.first_training, "without_people": scanned.splits_without_people()}
    return stored | training if context.plan.training_source else stored


def _stored(context: StepContext, split: Split) -> dict[str, object]:
    path = Path(split.path).relative_to(context.folder.path).as_posix() if split.working else split.path
    stored = {**asdict(split), "path": path}
    if not split.partition:
        del stored["partition"]
    return stored


def _fingerprints(context: StepContext) -> list[str]:
    more = context.progress.part(len(context.plan.all_files), "files fingerprinted")
    paths = [(file.path,) for file in context.plan.all_files]
    result: list[str] = context.pool.run(filesystem.content_sha256, paths, lambda *_: more(1), "fingerprint of source file")
    return result


def _convert_text(context: StepContext, working: Path, set_aside: Path, rules: RowRules, settled: bool) -> list[Conversion]:
    plan = context.plan
    texts = [TextFile(i, f, _ages_needed(plan, i)) for i, f in enumerate(plan.all_files) if f.format != "parquet"]
    hiding = Hiding(context.suppression, rules, settled) if context.suppression else None
    tasks = [(files, plan.config.source, working, set_aside, hiding) for files in converted_together(texts)]
    more = context.progress.part(len(texts), "files converted")

    def advance(_: int, made: list[Conversion]) -> None:
        more(len(made))

    return [conversion for made in context.pool.run(convert, tasks, advance, "conversion") for conversion in made]


def _footers(conversions: list[Conversion]) -> dict[str, pq.FileMetaData]:
    """Metadata of the working files, by path."""
    return {path: open_parquet(path).metadata for path in {c.path for c in conversions}}


def _check_keys(plan: RunPlan, conversions: list[Conversion], footers: dict[str, pq.FileMetaData]) -> None:
    """Raise InputError when JSON files of the source, or of the training source, have no profile or misspelt keys."""
    found: dict[str, list[EmptyKeys]] = {plan.source: [], plan.training_source: []}
    for conversion in conversions:
        file = plan.all_files[conversion.file]
        if file.format == "jsonl" and conversion.groups:
            where = plan.source if conversion.file < len(plan.files) else plan.training_source
            found[where].append(empty_keys(file, footers[conversion.path], conversion.groups))
    for where, files in found.items():
        check_keys(files, where, plan.config.source)


def _splits(plan: RunPlan, conversions: list[Conversion], footers: dict[str, pq.FileMetaData]) -> list[Split]:
    working = {c.file: c for c in conversions}
    splits: list[Split] = []
    for number, file in enumerate(plan.all_files):
        copy = working.get(number)
        path = copy.path if copy is not None else file.path
        if copy is not None:
            metadata = footers[path]
        else:
            metadata = checked_footer(file, plan.config.source, ages_needed=_ages_needed(plan, number))
        partition = () if copy is not None else file.partition
        splits += splits_of_file(
            metadata,
            len(splits),
            number,
            path,
            working=copy is not None,
            partition=partition,
            most_rows=plan.config.prediction.batch_rows,
            groups=copy.groups if copy is not None else None,
        )
    return splits


def _check_known_ages(plan: RunPlan, counts: list[SplitCounts]) -> None:
    """Raise InputError when no row has a value in an age column, unless an earlier model is used."""
    if not plan.base and not any(sum(c.known.values()) + c.withheld + c.unreadable_age + c.implausible_age for c in counts):
        files, where = (plan.training_files, plan.training_source) if plan.training_source else (plan.files, plan.source)
        raise no_known_age(files, where, plan.config.source, plan.config.training.min_rows)


def _id_type(conversions: list[Conversion], counts: list[SplitCounts]) -> IdType:
    """Type of the ids of the source, in which suppressed people count as everybody does."""
    left_out = np.concatenate([none_left_out(), *(c.left_out for c in conversions)])["is_integer"]
    texts = sum(c.text_ids for c in counts) + int((~left_out).sum())
    return id_type(texts, sum(c.usable for c in counts) + int(left_out.sum()))


def _note_ids(context: StepContext, rules: RowRules, counts: list[SplitCounts]) -> None:
    if rules.ids == "text":
        context.progress.note("ids are text: each gets a 63-bit number as pid, and results carry it as source_id")
    elif texts := sum(c.text_ids for c in counts):
        context.progress.note(f'ids are whole numbers, {texts:,} are none and are set aside; source.pid_type = "text" takes them')
    if rules.ids == "integer" and (padded := Spellings.together(c.spellings for c in counts).may_merge):
        context.progress.note(PADDED_IDS.format(padded))


def _scan(context: StepContext, splits: list[Split], rules: RowRules, scratch: Path, set_aside: Path | None) -> list[SplitCounts]:
    total = sum(s.rows for s in splits)
    buckets = _buckets(context, splits)
    files = [f.path for f in context.plan.all_files]
    shared = (context.plan.config.source, rules, buckets, scratch, set_aside, files, context.suppression)
    tasks = [(n, group, *shared) for n, group in enumerate(_groups(context, splits))]
    more = context.progress.part(total, "rows")

    def advance(_: int, counts: list[SplitCounts]) -> None:
        more(sum(c.read for c in counts))

    return [c for counts in context.pool.run(scan, tasks, advance, "scan") for c in counts]


def _groups(context: StepContext, splits: list[Split]) -> list[list[Split]]:
    """Splits by the scan that reads them."""
    return grouped(splits, first_training_file=len(context.plan.files))


def _buckets(context: StepContext, splits: list[Split]) -> int:
    return buckets_for(sum(s.rows for s in splits), context.pool.workers)


def _checksum_key(context: StepContext) -> bytes:
    return key_of_run(context.plan.run_id, "checksum")


def _find_duplicates(context: StepContext, splits: list[Split], rules: RowRules, scratch: Path) -> list[DuplicateRows]:
    own = [group[0].file < len(context.plan.files) for group in _groups(context, splits)]
    scans, training = ([n for n, mine in enumerate(own) if mine == wanted] for wanted in (True, False))
    key = _checksum_key(context)
    tasks = [(bucket, scans, scratch, key, rules.ids, training) for bucket in range(_buckets(context, splits))]
    result: list[DuplicateRows] = context.pool.run(find_duplicates, tasks, names="duplicate search")
    return result


def _write_rows(context: StepContext, duplicates: list[DuplicateRows], counts: list[SplitCounts]) -> dict[str, str]:
    """Write which rows do not count, and which of a training source are not trained on; SHA-256 of each file."""
    path, unused = duplicate_rows_file(context.folder), unused_rows_file(context.folder)
    written = {str(path): write_duplicate_rows(path, duplicates, counts)}
    return written | ({str(unused): write_unused_rows(unused, duplicates, counts)} if context.plan.training_source else {})


def _route(
    context: StepContext, splits: list[Split], counts: list[SplitCounts], rules: RowRules, folder: Path
) -> tuple[list[Split], list[int], dict[str, str]]:
    """Rewrite the rows by floor modulo; returns the new splits, the batch of each, and the SHA-256 of the files written."""
    plan = context.plan
    number, _ = number_of_batches(sum(c.needs_prediction for c in counts), plan.config.prediction.batch_rows, plan.workers)
    groups = grouped(splits, 200_000, len(plan.files))
    tasks = [(i, g, plan.config.source, rules, number, folder, context.suppression) for i, g in enumerate(groups)]
    routed: list[Split] = []
    batch_of: list[int] = []
    written: dict[str, str] = {}
    for group, (path, batches, seal) in zip(groups, context.pool.run(route, tasks, names="routing"), strict=True):
        written[path] = seal
        metadata = open_parquet(path).metadata
        for row_group, batch in enumerate(batches):
            rows = metadata.row_group(row_group).num_rows
            routed.append(Split(len(routed), group[0].file, path, row_group, rows, 0, True))
            batch_of.append(batch)
    return routed, batch_of, written


def _unusable_ages(context: StepContext, rules: RowRules, counts: list[SplitCounts]) -> list[UnusableAgesRecord]:
    """Values that stand for no known age; a worker reads them otherwise where they may stop the run."""
    source = context.plan.config.source
    tasks = [(ages, str(getattr(source, ages.column)), rules) for ages in sum_unusable(a for c in counts for a in c.unusable_ages)]
    people = sum((c.age_states for c in counts), GivenAges(0, 0, 0))
    few = people.unusable < READ_OTHERWISE * people.given and people.minor < MANY_YOUNG * people.given
    if few and people.known >= context.plan.config.training.min_rows:
        return [without_readings(ages, name) for ages, name, _ in tasks]
    result: list[UnusableAgesRecord] = context.pool.run(with_readings, tasks, names="reading of ages")
    return result
