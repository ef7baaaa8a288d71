"""Files that a step makes one by one, in parallel: those that are whole are kept, the others are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predict_age.files import valid_receipt
from predict_age.run import Run

Receipt = dict[str, Any]
Task = tuple[Any, ...]  # the first item is the path of the file that the task makes


def finished_parts(tasks: list[Task]) -> dict[int, Receipt]:
    """Receipts, by task number, of the files that exist and are what their receipts say."""
    return {n: receipt for n, (path, *_) in enumerate(tasks) if (receipt := valid_receipt(path))}


def make_missing(
    run: Run, function: Callable[..., Receipt], tasks: list[Task], finished: dict[int, Receipt],
    rows: Callable[[Receipt], int], total: int, unit: str, name: str,
) -> list[Receipt]:  # fmt: skip
    """``function(*task)`` for every task that is not ``finished``; returns all receipts in the order of ``tasks``.

    ``rows`` says how many of the ``total`` rows a receipt stands for: progress is reported in them.
    """
    receipts = dict(finished)
    todo = [n for n in range(len(tasks)) if n not in receipts]
    done = sum(rows(r) for r in receipts.values())

    def advance(task: int, receipt: Receipt) -> None:
        nonlocal done
        receipts[todo[task]] = receipt
        done += rows(receipt)
        run.progress.update(done, total, unit)

    run.pool.run(function, [tasks[n] for n in todo], advance, name)
    return [receipts[n] for n in range(len(tasks))]
