"""Partitioned output: valid partitions are reused, missing ones are built in parallel."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predict_age.run.run import StepContext
from predict_age.runtime.worker_pool import available_cores
from predict_age.storage.durable_files import valid_receipt
from predict_age.storage.workspace import RunFolder

Receipt = dict[str, Any]


@dataclass(frozen=True)
class Partition:
    """A partition: its file, the key of all its inputs, and further arguments of the function that builds it."""

    path: Path
    key: str
    needs: tuple[Any, ...]


def valid_partitions(parts: list[Partition]) -> dict[int, Receipt]:
    """Receipts of the valid partitions by number: the file exists, is undamaged, and was built from the same inputs."""
    with ThreadPoolExecutor(available_cores()) as threads:
        receipts = list(threads.map(lambda part: valid_receipt(part.path, part.key), parts))
    return {n: receipt for n, receipt in enumerate(receipts) if receipt is not None}


def build_missing(
    context: StepContext,
    function: Callable[..., Receipt],
    parts: list[Partition],
    finished: dict[int, Receipt],
    rows: Callable[[Receipt], int],
    total: int,
    unit: str,
) -> list[Receipt]:
    """Call ``function(path, key, *needs)`` for each partition that is not ``finished``; return all receipts in order.

    ``rows`` gives the rows of a receipt, for the progress out of ``total``. Stops as soon as the run has lost its lease.
    """
    receipts = dict(finished)
    todo = [n for n in range(len(parts)) if n not in receipts]
    more = context.progress.part(total, unit, sum(rows(r) for r in receipts.values()))

    def advance(task: int, receipt: Receipt) -> None:
        receipts[todo[task]] = receipt
        more(rows(receipt))
        context.lease.check()

    tasks = [(parts[n].path, parts[n].key, *parts[n].needs) for n in todo]
    context.pool.run(function, tasks, advance, [parts[n].path.stem for n in todo])
    return [receipts[n] for n in range(len(parts))]


def outputs_of(folder: RunFolder, parts: list[Partition], receipts: list[Receipt]) -> dict[str, str]:
    """SHA-256 of the partitions by name, for the step's record."""
    names = folder.named(*(p.path for p in parts))
    return {name: receipt["file_sha256"] for name, receipt in zip(names, receipts, strict=True)}
