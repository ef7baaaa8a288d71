"""Facts of the step read_source, from the counts of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from predict_age.records.given_ages import GivenAges, UnusableAgesRecord
from predict_age.records.step_facts import ReadSourceFacts, SourceFileFacts
from predict_age.source.discovery import SourceFile
from predict_age.source.rejected_rows import FileRows
from predict_age.source.row_rules import RowRules
from predict_age.source.scan import NO_AGE, WITHHELD, DuplicateRows, SplitCounts
from predict_age.source.suppressed_records import HiddenPeople
from predict_age.tally import fold_tails


def file_facts(files: Sequence[SourceFile], counted: list[FileRows]) -> list[SourceFileFacts]:
    """Facts of each source file: the way it was read, and its records."""
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


def source_facts(
    unusable: list[UnusableAgesRecord],
    rows: list[FileRows],
    counts: list[SplitCounts],
    duplicates: list[DuplicateRows],
    hidden: HiddenPeople,
    hashes: list[str],
    rules: RowRules,
    files: list[SourceFileFacts],
    checksum_key: bytes,
) -> ReadSourceFacts:
    """Facts of the whole source, from its ``rows`` by file and from what was counted while it was scanned."""
    read, reasons = sum(f.records for f in rows), sum((f.rejected for f in rows), Counter[str]())
    known = Counter[str]()
    for count in counts:
        known.update(count.known)
    lost_ages = np.concatenate([np.empty(0, np.uint8), *(d.ages for d in duplicates)])
    known_ages = np.array([c.known_ages for c in counts], np.int64).sum(axis=0)
    known_ages -= np.bincount(lost_ages[lost_ages < WITHHELD], minlength=len(known_ages))
    lost_withheld = int((lost_ages == WITHHELD).sum())
    return ReadSourceFacts(
        read=read,
        rejected=dict(reasons.most_common()),
        usable=read - sum(reasons.values()),
        distinct=sum(d.distinct for d in duplicates) + (hidden.people or 0),
        duplicate=len(lost_ages) + hidden.rows - (hidden.people or 0),
        checksum=sum(d.checksum for d in duplicates) % 2**64,
        known=sum(known.values()) - int((lost_ages < WITHHELD).sum()),
        to_predict=sum(rows_to_predict(counts, duplicates)),
        known_ages=fold_tails(known_ages.tolist()),
        unreadable_age=sum(c.unreadable_age for c in counts),
        implausible_age=sum(c.implausible_age for c in counts),
        conflicting_age=sum(c.conflicting_age for c in counts),
        source_sha256=hashes,
        pid_type=rules.ids,
        files=files,
        unusable_ages=unusable or None,
        given_ages=sum((c.age_states for c in counts), GivenAges(0, 0, 0))
        - sum((d.too_many for d in duplicates), GivenAges(0, 0, 0)),
        withheld=sum(c.withheld for c in counts) - lost_withheld if rules.ages.min_age else None,
        zero_ages=sum(c.zero_ages for c in counts) or None,
        suppressed=hidden.people,
        checksum_key=checksum_key.hex(),
    )
