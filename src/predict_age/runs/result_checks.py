"""Checks of a written result: each partition is read back, and the row accounting must reconcile with the source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from predict_age.errors import IntegrityError
from predict_age.records.receipts import ResultContents
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.source.id_hashes import people_checksum
from predict_age.storage.row_accounting import WITHHELD_MINOR, RowAccounting
from predict_age.tally import AGE_BINS, HIGH_QUALITY_PCT, PCT_BINS, Tally


def describe(path: Path, key: bytes) -> ResultContents:
    """Contents of a result partition: rows, distinct pids, their checksum by the run's ``key``, the tally of sources and ages."""
    columns = ["pid", "predicted_age", "confidence_pct", "prediction_source", "usable"]
    written = pq.read_table(path, columns=columns, read_dictionary=["prediction_source"]).combine_chunks()
    pids = written["pid"].to_numpy()
    _check_withheld(path, written)
    ages, pct = (written[name].fill_null(0).to_numpy() for name in ("predicted_age", "confidence_pct"))
    usable = written["usable"].to_numpy()
    sources = written["prediction_source"].chunk(0) if len(pids) else pa.array([], pa.string()).dictionary_encode()
    code, bins = sources.indices.to_numpy(), np.minimum((pct / (100 / PCT_BINS)).astype(int), PCT_BINS - 1)
    tally = Tally()
    for number, source in enumerate(sources.dictionary.to_pylist()):
        mine = code == number
        if source == WITHHELD_MINOR:
            tally += Tally({f"rows:{source}": int(mine.sum())})
            continue
        counts = {
            f"rows:{source}": int(mine.sum()),
            f"high:{source}": int((pct[mine] >= HIGH_QUALITY_PCT).sum()),
            f"usable:{source}": int(usable[mine].sum()),
        }
        tally += Tally(
            counts,
            {
                f"age:{source}": np.bincount(ages[mine], minlength=AGE_BINS).tolist(),
                f"pct:{source}": np.bincount(bins[mine], minlength=PCT_BINS).tolist(),
            },
        )
    in_order = np.sort(pids, kind="stable")  # partitions are sorted already, so this is one pass
    distinct = int(np.count_nonzero(in_order[1:] != in_order[:-1])) + bool(len(pids))
    return ResultContents(written.num_rows, distinct, str(people_checksum(pids, key)), tally)


def _check_withheld(path: Path, written: pa.Table) -> None:
    """Raise IntegrityError unless exactly the withheld people have no age and no confidence, and none of them is usable."""
    withheld = pc.equal(written["prediction_source"].cast(pa.string()), WITHHELD_MINOR)
    agree = [pc.equal(written[name].is_null(), withheld) for name in ("predicted_age", "confidence_pct")]
    agree.append(pc.invert(pc.and_(withheld, written["usable"])))
    wrong = sum(len(a) - (pc.sum(a).as_py() or 0) for a in agree)
    if wrong:
        raise IntegrityError(
            f"{path.name}: a withheld person has a number, or somebody else has none; nothing was published",
            expected="withheld people without age and confidence, all others with both",
            found=f"{wrong:,} values that are not so",
        )


def reconcile(source: ReadSourceFacts, parts: list[ResultContents], tally: Tally) -> RowAccounting:
    """Row accounting of the run. Raises IntegrityError when it does not reconcile or the checksum of the pids differs."""
    books = RowAccounting.of(source, tally)
    written = sum(int(p.checksum) for p in parts) % 2**64
    people = sum(p.rows for p in parts)
    if written != books.checksum or people != books.people or sum(p.distinct for p in parts) != people:
        raise IntegrityError(
            "the result does not hold every person exactly once, nothing was published",
            expected=f"{books.people:,} people, checksum {books.checksum:016x}",
            found=f"{people:,} rows, checksum {written:016x}",
            fix="run again; if it happens twice, report it with the run folder's run.json",
        )
    if books.existing != source.known:
        raise IntegrityError(
            "known ages were lost, nothing was published", expected=f"{source.known:,}", found=f"{books.existing:,}"
        )
    return books
