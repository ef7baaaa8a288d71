"""Step 2: read the source once: convert text, count, set aside, and decide which of several equal pids counts."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from predict_age.records.given_ages import GivenAges, UnusableAgesRecord
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.batching import number_of_batches
from predict_age.runs.run import RunPlan, StepContext
from predict_age.runs.step_outputs import duplicate_rows_file, grouped, rules_before_reading
from predict_age.source import filesystem
from predict_age.source.age_states import sum_unusable, with_readings, without_readings
from predict_age.source.column_names import check_columns, with_folders
from predict_age.source.column_types import check_types
from predict_age.source.convert import Conversion, convert, route
from predict_age.source.external_partition import buckets_for
from predict_age.source.id_hashes import key_of_run
from predict_age.source.missing_keys import check_keys, no_known_age
from predict_age.source.rejected_rows import FileRows, check_converted, check_rejected
from predict_age.source.row_group_reader import Split, open_parquet, splits_of_file
from predict_age.source.row_rules import IdType, RowRules
from predict_age.source.scan import (
    DuplicateRows,
    SplitCounts,
    find_duplicates,
    id_type,
    scan,
    write_duplicate_rows,
)
from predict_age.source.suppressed_records import HiddenPeople, Hiding, none_left_out, settle
from predict_age.step import StepResult
from predict_age.steps.source_facts import file_facts, rows_to_predict, source_facts
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
    for conversion in conversions:
        check_keys(plan.files[conversion.file], conversion.path, plan.config.source)
    splits = _splits(plan, conversions)
    counts = _scan(context, splits, rules, scratch, set_aside)
    if not settled:
        ids = _id_type(conversions, counts)
        again = any(settle(c.left_out, ids).wrong for c in conversions)
        if again or ids != rules.ids:
            rules = replace(rules, ids=ids)
            for path in (path for count in counts for path in count.written):
                Path(path).unlink()
            if again:
                for conversion in conversions:
                    Path(conversion.path).unlink()
                conversions = _convert_text(
                    context, source / "working" / "again", set_aside, rules, True
                )  # workers keep files open
                splits = _splits(plan, conversions)
            counts = _scan(context, splits, rules, scratch, set_aside)
    _note_ids(context, rules, counts)
    left_out = [settle(c.left_out, ids).people for c in conversions]
    hidden = HiddenPeople.of(context.suppression, left_out + [c.suppressed.people for c in counts])
    files = _files(plan, conversions, counts, splits, rules)
    check_rejected(files, plan.config.source, f"look at {set_aside}")
    if not hidden.rows:
        _check_known_ages(plan, counts)
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
    written[str(duplicate_rows_file(context.folder))] = write_duplicate_rows(
        duplicate_rows_file(context.folder), duplicates, counts
    )
    shutil.rmtree(scratch, ignore_errors=True)
    facts = source_facts(
        _unusable_ages(context, rules, counts),
        files,
        counts,
        duplicates,
        hidden,
        hashes,
        rules,
        file_facts(plan.files, files),
        _checksum_key(context),
    )
    hidden.check_others(facts.people)
    write_json(
        source / "splits.json",
        {"splits": [_stored(context, s) for s in splits], "to_predict": rows_to_predict(counts, duplicates), "batch_of": batch_of},
    )
    written[str(source / "splits.json")] = file_sha256(source / "splits.json")
    outputs = {name: written[str(path)] for name, path in context.folder.named(*map(Path, written)).items()}
    return StepResult(facts.read, facts, outputs)


def _stored(context: StepContext, split: Split) -> dict[str, object]:
    path = Path(split.path).relative_to(context.folder.path).as_posix() if split.working else split.path
    stored = {**asdict(split), "path": path}
    if not split.partition:
        del stored["partition"]
    return stored


def _fingerprints(context: StepContext) -> list[str]:
    more = context.progress.part(len(context.plan.files), "files fingerprinted")
    paths = [(file.path,) for file in context.plan.files]
    result: list[str] = context.pool.run(filesystem.content_sha256, paths, lambda *_: more(1), "fingerprint of source file")
    return result


def _convert_text(context: StepContext, working: Path, set_aside: Path, rules: RowRules, settled: bool) -> list[Conversion]:
    texts = [(i, f) for i, f in enumerate(context.plan.files) if f.format != "parquet"]
    hiding = Hiding(context.suppression, rules, settled) if context.suppression else None
    tasks = [(i, f, context.plan.config.source, working, set_aside, not context.plan.base, hiding) for i, f in texts]
    more = context.progress.part(len(tasks), "files converted")
    result: list[Conversion] = context.pool.run(convert, tasks, lambda *_: more(1), "conversion")
    return result


def _splits(plan: RunPlan, conversions: list[Conversion]) -> list[Split]:
    working = {c.file: c.path for c in conversions}
    splits: list[Split] = []
    for number, file in enumerate(plan.files):
        path = working.get(number, file.path)
        parquet = open_parquet(path)
        if number not in working:
            names = with_folders(parquet.schema_arrow.names, file.partition)
            check_columns(names, plan.config.source, path, ages_needed=not plan.base)
            check_types(parquet.schema_arrow, plan.config.source, path)
        partition = () if number in working else file.partition
        splits += splits_of_file(
            parquet.metadata,
            len(splits),
            number,
            path,
            working=number in working,
            partition=partition,
            most_rows=plan.config.prediction.batch_rows,
        )
    return splits


def _check_known_ages(plan: RunPlan, counts: list[SplitCounts]) -> None:
    """Raise InputError when no row has a value in an age column, unless an earlier model is used."""
    if not plan.base and not any(sum(c.known.values()) + c.withheld + c.unreadable_age + c.implausible_age for c in counts):
        raise no_known_age(plan.files, plan.source, plan.config.source, plan.config.training.min_rows)


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


def _scan(context: StepContext, splits: list[Split], rules: RowRules, scratch: Path, set_aside: Path | None) -> list[SplitCounts]:
    total = sum(s.rows for s in splits)
    buckets = _buckets(context, splits)
    files = [f.path for f in context.plan.files]
    shared = (context.plan.config.source, rules, buckets, scratch, set_aside, files, context.suppression)
    tasks = [(n, group, *shared) for n, group in enumerate(grouped(splits))]
    more = context.progress.part(total, "rows")

    def advance(_: int, counts: list[SplitCounts]) -> None:
        more(sum(c.read for c in counts))

    return [c for counts in context.pool.run(scan, tasks, advance, "scan") for c in counts]


def _buckets(context: StepContext, splits: list[Split]) -> int:
    return buckets_for(sum(s.rows for s in splits), context.pool.workers)


def _checksum_key(context: StepContext) -> bytes:
    return key_of_run(context.plan.run_id, "checksum")


def _find_duplicates(context: StepContext, splits: list[Split], rules: RowRules, scratch: Path) -> list[DuplicateRows]:
    scans = list(range(len(grouped(splits))))
    key = _checksum_key(context)
    tasks = [(bucket, scans, scratch, key, rules.ids) for bucket in range(_buckets(context, splits))]
    result: list[DuplicateRows] = context.pool.run(find_duplicates, tasks, names="duplicate search")
    return result


def _route(
    context: StepContext, splits: list[Split], counts: list[SplitCounts], rules: RowRules, folder: Path
) -> tuple[list[Split], list[int], dict[str, str]]:
    """Rewrite the rows by floor modulo; returns the new splits, the batch of each, and the SHA-256 of the files written."""
    plan = context.plan
    number, _ = number_of_batches(sum(c.needs_prediction for c in counts), plan.config.prediction.batch_rows, plan.workers)
    groups = grouped(splits, 200_000)
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


def _files(
    plan: RunPlan, conversions: list[Conversion], counts: list[SplitCounts], splits: list[Split], rules: RowRules
) -> list[FileRows]:
    """Records and rejected ones of each file. Raises IntegrityError when a text has other records than were converted."""
    read, rejected = [0] * len(plan.files), [Counter[str]() for _ in plan.files]
    for split, count in zip(splits, counts, strict=True):
        read[split.file] += count.read
        rejected[split.file].update(count.set_aside)
    for conversion in conversions:
        broken = Counter(conversion.broken)
        left_out = broken.total() + settle(conversion.left_out, rules.ids).rows
        check_converted(plan.files[conversion.file].path, conversion.records - left_out, read[conversion.file])
        read[conversion.file] += left_out
        rejected[conversion.file].update(broken)
    return [FileRows(f.path, n, reasons) for f, n, reasons in zip(plan.files, read, rejected, strict=True)]


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
