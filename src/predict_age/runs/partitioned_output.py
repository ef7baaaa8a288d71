"""Partitioned output: valid partitions are reused, missing ones are built in parallel."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from predict_age.records.json_fields import as_json
from predict_age.records.receipts import Receipt
from predict_age.runs.run import StepContext
from predict_age.runtime.worker_pool import available_cores
from predict_age.storage.durable_files import NewFile, valid_receipt, write_receipt
from predict_age.storage.workspace import RunFolder

C = TypeVar("C")


@dataclass(frozen=True)
class Partition:
    """A partition: its file, the key of all its inputs, and further arguments of the function that builds it."""

    path: Path
    key: str
    needs: tuple[Any, ...]


def write_partition_receipt(path: Path, key: str, file: NewFile, contents: C) -> Receipt[C]:
    """Write the receipt of a finished file: from now on the file counts as done."""
    receipt = Receipt(contents, key, path.name, file.bytes, file.sha256)
    write_receipt(path, key, file, as_json(contents))
    return receipt


def valid_partitions(parts: list[Partition], kind: type[C]) -> dict[int, Receipt[C]]:
    """Receipts of the valid partitions by number: the file exists, is undamaged, and was built from the same inputs."""
    with ThreadPoolExecutor(available_cores()) as threads:
        receipts = list(threads.map(lambda part: valid_receipt(part.path, part.key), parts))
    valid = {}
    for number, receipt in enumerate(receipts):
        if receipt is not None:
            with suppress(ValueError):  # the receipt of another version: the file is made again
                valid[number] = Receipt.from_json(kind, receipt)
    return valid


def build_missing(
    context: StepContext,
    function: Callable[..., Receipt[C]],
    parts: list[Partition],
    finished: dict[int, Receipt[C]],
    rows: Callable[[C], int],
    total: int,
    unit: str,
) -> list[Receipt[C]]:
    """Call ``function(path, key, *needs)`` for each partition that is not ``finished``; return all receipts in order.

    ``rows`` gives the rows of a partition, for the progress out of ``total``. Stops as soon as the run has lost its lease.
    """
    receipts = dict(finished)
    todo = [n for n in range(len(parts)) if n not in receipts]
    more = context.progress.part(total, unit, sum(rows(r.contents) for r in receipts.values()))

    def advance(task: int, receipt: Receipt[C]) -> None:
        receipts[todo[task]] = receipt
        more(rows(receipt.contents))
        context.lease.check()

    tasks = [(parts[n].path, parts[n].key, *parts[n].needs) for n in todo]
    context.pool.run(function, tasks, advance, [parts[n].path.stem for n in todo])
    return [receipts[n] for n in range(len(parts))]


def outputs_of(folder: RunFolder, parts: list[Partition], receipts: list[Receipt[C]]) -> dict[str, str]:
    """SHA-256 of the partitions by name, for the step's record."""
    names = folder.named(*(p.path for p in parts))
    return {name: receipt.file_sha256 for name, receipt in zip(names, receipts, strict=True)}
