"""kill -9 of the whole process group at random times, then resume: ``python benchmarks/kills.py [KILLS] [ROWS]``.

After each kill nothing new may be published; the run is resumed (killed again now and then) until it is done. The rows
must equal those of an undisturbed run. Fails at the first difference.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path("out") / "kills"
CONFIG = "[training]\nrounds = 40\nforest_trees = 5\nforest_depth = 8\n[prediction]\nbatch_rows = 10000\n[running]\nworkers = 2\n"


def command(*arguments: object) -> list[str]:
    """The command line of predict-age."""
    return [sys.executable, "-m", "predict_age", *map(str, arguments)]


def rows(workspace: Path) -> pa.Table:
    """The published rows without the columns that name the run, by pid."""
    run = json.loads((workspace / "published.json").read_text())["current"]
    parts = sorted((workspace / "runs" / run / "results").glob("part_*.parquet"))
    return pa.concat_tables([pq.read_table(p) for p in parts]).drop_columns(["run_id", "qa_timestamp"]).sort_by("pid")


def main(kills: int, people: int) -> None:
    """Undisturbed run first, then the kills."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "c.toml").write_text(CONFIG)
    subprocess.run(command("generate", "--rows", people, "--out", FOLDER / "g", "-q"), check=True, stdout=subprocess.DEVNULL)
    run = [
        "run",
        "--source",
        FOLDER / "g" / "people",
        "--as-of",
        "2025-10-23",
        "--config",
        FOLDER / "c.toml",
        "-q",
        "--json",
        "--workspace",
    ]
    began = time.monotonic()
    subprocess.run(command(*run, FOLDER / "calm"), check=True, stdout=subprocess.DEVNULL)
    length = time.monotonic() - began
    expected = rows(FOLDER / "calm")
    dice = random.Random(1)
    killed = kept = 0
    workspace = FOLDER / "storm"
    while killed < kills:
        shutil.rmtree(workspace, ignore_errors=True)
        arguments = command(*run, workspace)
        while True:
            process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
            try:
                out, err = process.communicate(timeout=dice.uniform(0.3, length) if killed < kills else None)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                killed += 1
                print(f"\rkill {killed} of {kills}", end="", flush=True)
                continue  # the same command continues an equal unfinished run
            assert process.returncode == 0, err.decode()
            kept += json.loads(out)["batches"]["kept"]
            break
        assert rows(workspace).equals(expected), "rows differ after a kill"
    print(f"\n{killed} kills, {kept} finished batches kept, every resumed run gave the rows of the undisturbed one")


if __name__ == "__main__":
    main(*(int(a) for a in (sys.argv[1:] + ["20", "200000"][len(sys.argv) - 1 :])))
