"""Every fault at every operation: ``python benchmarks/faults.py [OPERATIONS_EACH | FIRST-]``.

A small run is disturbed at its K-th file operation, for every K until it meets no fault any more: SIGKILL, power cut,
ENOSPC, EIO, EROFS, EMFILE. After each, readers must see the old or the new run whole, and the same command once more must
give files that are byte for byte those of a calm run. Then the same against deliberately broken twins of the protocol, which
must be caught. With a number, that many operations drawn at random stand for all; with one and a dash (``191-``) it begins
at that operation, to go on with what was interrupted.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import faults
import twins

FOLDER = Path("out") / "faults"
UNDISTURBED = ": exit code 0\n"  # a twin that does fewer operations was through before the fault came: that catches nothing


def share(trials: faults.Trials, number: int, of: int, chosen: list[tuple[int, str]], results: object) -> None:
    """Every ``of``-th trial, in this process."""
    for at, fault in chosen[number::of]:
        results.put(trials.trial(at, fault))  # type: ignore[attr-defined]


def run_all(trials: faults.Trials, chosen: list[tuple[int, str]], title: str) -> list[str]:
    """All trials on all cores; returns what was wrong."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    cores = len(os.sched_getaffinity(0))
    workers = [context.Process(target=share, args=(trials, n, cores, chosen, results)) for n in range(cores)]
    for worker in workers:
        worker.start()
    began = time.monotonic()
    problems = []
    for done in range(1, len(chosen) + 1):
        if problem := results.get(timeout=600):
            problems.append(problem)
            print(f"\n{problem}")
        if done % 20 == 0 or done == len(chosen):
            left = (time.monotonic() - began) / done * (len(chosen) - done)
            print(f"\r{title}: {done} of {len(chosen)}, {len(problems)} wrong, {left / 60:.0f} min left ", end="", flush=True)
    for worker in workers:
        worker.join()
    print()
    return problems


def main(chosen_by: str) -> int:
    """The protocol first, then its twins."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    trials = faults.prepared(FOLDER.absolute())
    if chosen_by and not chosen_by.endswith("-"):
        operations = faults.spread(trials.operations, int(chosen_by), seed=len(trials.log))
    else:
        operations = list(range(int(chosen_by.rstrip("-") or 1), trials.operations + 1))
    chosen = [(at, fault) for at in operations for fault in faults.FAULTS]
    print(f"a run of {trials.operations} operations, {len(chosen)} trials")
    wrong = run_all(trials, chosen, "the protocol")
    caught = 0
    for name, twin in twins.TWINS.items():
        trials.broken = twin.breaks
        attempts = twin.attempts(trials.log, faults.spread(trials.operations, 40, seed=1))
        found = next((p for at, fault in attempts if (p := trials.trial(at, fault)) and UNDISTURBED not in p), "")
        caught += bool(found)
        print(f"twin without {name}: {'caught, ' + found.splitlines()[0] if found else 'NOT CAUGHT'}")
    trials.broken = twins.torn_parts
    moves = max(n for n, done in enumerate(trials.log, 1) if done.startswith("create published"))
    some = faults.spread(moves - 1, 4 if chosen_by else 40, seed=1)
    missed = [p for at in some if (p := trials.trial(at, "power"))]
    print(f"with hashes, {len(some)} power cuts that tear parts before the pointer moves: {len(missed)} wrong")
    print(f"{len(chosen)} trials, {len(wrong)} wrong outcomes; {caught} of {len(twins.TWINS)} broken twins caught")
    return 1 if wrong or missed or caught < len(twins.TWINS) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
