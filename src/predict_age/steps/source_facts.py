"""Facts of the step read_source, from the counts of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from predict_age.records.given_ages import GivenAges, UnusableAgesRecord
from predict_age.records.step_facts import ReadSourceFacts, SourceFileFacts
from predict_age.records.training_source import TrainingSourceRows
from predict_age.runs.run import StepContext
from predict_age.source.convert import Conversion
from predict_age.source.duplicate_rows import DuplicateRows
from predict_age.source.rejected_rows import FileRows, check_converted
from predict_age.source.row_group_reader import Split
from predict_age.source.row_rules import IdType, RowRules
from predict_age.source.scan import NO_AGE, WITHHELD, SplitCounts
from predict_age.source.source_file import SourceFile
from predict_age.source.suppressed_records import HiddenPeople, settle
from predict_age.tally import fold_part, fold_tails


def file_facts(files: Sequence[SourceFile], counted: list[FileRows]) -> list[SourceFileFacts]:
    """Facts of each of some source files: the way it was read, and its records."""
    return [
        SourceFileFacts(
            path=file.path,
            format=file.format,
            compression=file.compression,
            encoding=file.encoding,
            delimiter=file.delimiter,
            quote=file.quote,
            escape=file.escape,
            layout=file.layout,
            bytes=file.size,
            records=rows.records,
            rejected=rows.rejected.total(),
        )
        for file, rows in zip(files, counted, strict=True)
    ]


def rows_to_predict(counts: list[SplitCounts], duplicates: list[DuplicateRows]) -> list[int]:
    """Rows of each split that need a prediction, duplicates left out."""
    rows = np.array([c.needs_prediction for c in counts], np.int64)
    for found in duplicates:
        np.subtract.at(rows, found.splits[found.ages == NO_AGE], 1)
    result: list[int] = rows.tolist()
    return result


@dataclass(frozen=True)
class SourceRows:
    """Rows of a source, or of a training source: its files with their records, as facts too, and its suppressed people."""

    files: list[FileRows]
    facts: list[SourceFileFacts]
    hidden: HiddenPeople

    @property
    def read(self) -> int:
        """Records of all files."""
        return sum(f.records for f in self.files)

    @property
    def reasons(self) -> Counter[str]:
        """Rejected records by reason."""
        return sum((f.rejected for f in self.files), Counter[str]())


@dataclass(frozen=True)
class ScannedRows:
    """Counts of all splits, and which of their rows do not count. Splits from ``first_training`` on are the training source's."""

    counts: list[SplitCounts]
    duplicates: list[DuplicateRows]
    first_training: int

    @property
    def lost_in_source(self) -> int:
        """Rows of the source that are another row's duplicates: not those that a row of the training source replaces."""
        lost = sum(int((d.splits < self.first_training).sum()) for d in self.duplicates)
        return lost - sum(d.training.replaced for d in self.duplicates if d.training)

    def splits_without_people(self) -> list[int]:
        """Splits of the training source none of whose rows counts in the result."""
        usable = np.array([c.usable - len(c.suppressed.rows) for c in self.counts], np.int64)
        for found in self.duplicates:
            np.subtract.at(usable, found.splits, 1)
        empty = np.flatnonzero(usable == 0)
        result: list[int] = empty[empty >= self.first_training].tolist()
        return result


def source_rows(
    context: StepContext, conversions: list[Conversion], counts: list[SplitCounts], splits: list[Split], rules: RowRules
) -> list[SourceRows]:
    """Rows of the source, and of the training source where there is one."""
    plan, ids = context.plan, rules.ids
    files, first = _rows_by_file(context, conversions, counts, splits, ids), len(context.plan.files)
    made = []
    for training, named in ((False, plan.files), (True, plan.training_files)):
        mine = files[first:] if training else files[:first]
        people = [settle(c.left_out, ids).people for c in conversions if (c.file >= first) == training]
        people += [c.suppressed.people for c, s in zip(counts, splits, strict=True) if (s.file >= first) == training]
        made.append(SourceRows(mine, file_facts(named, mine), HiddenPeople.of(context.suppression, people)))
    return made if plan.training_source else made[:1]


def _rows_by_file(
    context: StepContext, conversions: list[Conversion], counts: list[SplitCounts], splits: list[Split], ids: IdType
) -> list[FileRows]:
    """Records and rejected ones of each file. Raises IntegrityError when a text has other records than were converted."""
    files = context.plan.all_files
    read, rejected = [0] * len(files), [Counter[str]() for _ in files]
    for split, count in zip(splits, counts, strict=True):
        read[split.file] += count.read
        rejected[split.file].update(count.set_aside)
    for conversion in conversions:
        broken = Counter(conversion.broken)
        left_out = broken.total() + settle(conversion.left_out, ids).rows
        check_converted(files[conversion.file].path, conversion.records - left_out, read[conversion.file])
        read[conversion.file] += left_out
        rejected[conversion.file].update(broken)
    return [FileRows(f.path, n, reasons) for f, n, reasons in zip(files, read, rejected, strict=True)]


def training_rows(training: SourceRows, scanned: ScannedRows) -> TrainingSourceRows:
    """Row accounting of a training source."""
    people = [d.training for d in scanned.duplicates if d.training]
    hidden = training.hidden
    distinct, in_source = sum(p.distinct for p in people), sum(p.in_source for p in people)
    rejected = training.reasons.total()
    return TrainingSourceRows(
        read=training.read,
        rejected=rejected,
        usable=training.read - rejected,
        distinct=distinct + (hidden.people or 0),
        duplicate=sum(p.rows for p in people) - distinct + hidden.rows - (hidden.people or 0),
        in_source=in_source,
        not_in_source=distinct - in_source,
        ages_taken=sum(p.ages_taken for p in people),
        known=sum(p.known for p in people),
        withheld=sum(p.withheld for p in people),
        suppressed=hidden.people or 0,
    )


def near_limit(counts: Sequence[SplitCounts], withheld: int) -> int:
    """Number of the ``withheld`` people near the limit, folded, by the rows of one source: duplicates may say different ages."""
    rows, near = sum(c.withheld for c in counts), sum(c.near_limit for c in counts)
    return fold_part(round(near * min(withheld / max(rows, 1), 1.0)), withheld)


def source_facts(
    unusable: list[UnusableAgesRecord],
    sources: list[SourceRows],
    scanned: ScannedRows,
    hashes: list[str],
    rules: RowRules,
    checksum_key: bytes,
) -> ReadSourceFacts:
    """Facts of the source, the first of ``sources``, and of a training source, the second, from what was ``scanned``."""
    source, training = sources[0], sources[1] if len(sources) > 1 else None
    counts, duplicates, hidden = scanned.counts, scanned.duplicates, source.hidden
    reasons = source.reasons
    known = Counter[str]()
    for count in counts:
        known.update(count.known)
    lost_ages = np.concatenate([np.empty(0, np.uint8), *(d.ages for d in duplicates)])
    known_ages = np.array([c.known_ages for c in counts], np.int64).sum(axis=0)
    known_ages -= np.bincount(lost_ages[lost_ages < WITHHELD], minlength=len(known_ages))
    withheld = sum(c.withheld for c in counts) - int((lost_ages == WITHHELD).sum())
    trained_on, first = training_rows(training, scanned) if training else None, scanned.first_training
    return ReadSourceFacts(
        read=source.read,
        rejected=dict(reasons.most_common()),
        usable=source.read - reasons.total(),
        distinct=sum(d.distinct for d in duplicates) + (hidden.people or 0),
        duplicate=scanned.lost_in_source + hidden.rows - (hidden.people or 0),
        checksum=sum(d.checksum for d in duplicates) % 2**64,
        known=sum(known.values()) - int((lost_ages < WITHHELD).sum()),
        to_predict=sum(rows_to_predict(counts, duplicates)),
        known_ages=fold_tails(known_ages.tolist()),
        unreadable_age=sum(c.unreadable_age for c in counts),
        implausible_age=sum(c.implausible_age for c in counts),
        conflicting_age=sum(c.conflicting_age for c in counts),
        source_sha256=hashes,
        pid_type=rules.ids,
        files=source.facts,
        unusable_ages=unusable or None,
        given_ages=sum((c.age_states for c in counts), GivenAges(0, 0, 0))
        - sum((d.too_many for d in duplicates), GivenAges(0, 0, 0)),
        withheld=withheld if rules.ages.min_age else None,
        near_limit=near_limit(counts[:first], withheld) if rules.ages.min_age else None,
        zero_ages=sum(c.zero_ages for c in counts) or None,
        suppressed=hidden.people,
        checksum_key=checksum_key.hex(),
        training=trained_on,
        training_near_limit=near_limit(counts[first:], trained_on.withheld) if trained_on and rules.ages.min_age else None,
        training_files=training.facts if training else None,
    )
