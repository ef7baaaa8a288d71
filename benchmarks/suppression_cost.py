"""Cost of a suppression list: ``python benchmarks/suppression_cost.py [PEOPLE] [LISTED] [PAIRS]`` (a million, a million, 3).

The same people are run without a list and with a list of other people, in turns, with small models, where the share of the list is
largest. Counts the processor time of the command and of all its processes. Prints each pair, then the median of the differences;
exits with 1 when that is more than 2 % of a run.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from small_models import SMALL_TRAINING

OUT = Path("out") / "suppression-cost"
MOST_SHARE = 0.02
ADOPT_CHILDREN = 36  # PR_SET_CHILD_SUBREAPER of Linux
CONFIG = SMALL_TRAINING + "[gates]\nbaselines = false\nworse_share = 0.0\n[running]\nworkers = 1\n"


def processor_seconds(*arguments: object) -> float:
    """Run predict-age; processor seconds of the command, its workers and theirs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "predict_age", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, env=environment
    )
    while True:  # the server that workers are forked from ends a moment later than the command
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(words: list[str]) -> int:
    """Print the pairs; 1 when a list costs more than it may."""
    people, listed, pairs = (int(words[i]) if len(words) > i else n for i, n in enumerate((1_000_000, 1_000_000, 3)))
    ctypes.CDLL(None).prctl(ADOPT_CHILDREN, 1, 0, 0, 0)
    shutil.rmtree(OUT / "work", ignore_errors=True)
    source, config, ids = OUT / f"people-{people}", OUT / "config.toml", OUT / "ids.txt"
    if not (source / "truth.parquet").exists():
        processor_seconds("generate", "--rows", people, "--out", source, "--quiet")
    config.write_text(CONFIG)
    dice = random.Random(7)
    ids.write_text("".join(f"{dice.randrange(1 << 60, 1 << 62)}\n" for _ in range(listed)))
    runs = {}
    template = OUT / "listed"
    shutil.rmtree(template, ignore_errors=True)
    print(f"suppress {listed:,} ids: {processor_seconds('suppress', '--workspace', template, '--pid-file', ids):.1f} s", flush=True)
    for number in range(2 * pairs + 2):  # the first pair compiles and fills caches
        name = ("without", "with")[(number + number // 2) % 2]
        workspace = OUT / "work"
        shutil.copytree(template, workspace) if name == "with" else None
        arguments = (
            "--source",
            source / "people",
            "--workspace",
            workspace,
            "--as-of",
            "2025-10-23",
            "--config",
            config,
            "--quiet",
        )
        seconds = processor_seconds("run", *arguments)
        shutil.rmtree(workspace)
        if number >= 2:
            runs.setdefault(name, []).append(seconds)
            print(f"{name:8} {seconds:.2f} s", flush=True)
    more = statistics.median(b - a for a, b in zip(runs["without"], runs["with"], strict=True))
    share = more / statistics.median(runs["without"])
    print(f"{people:,} people, {listed:,} on the list: {more:+.2f} s, {share:+.1%} of a run with small models")
    return int(share > MOST_SHARE)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
