"""kill -9 of the whole process group at random times: ``python benchmarks/kills.py [KILLS] [ROWS]``.

After each kill the published result must be the earlier run, whole; the same command goes on with the run (and is killed
again now and then) until it is done. Every file of the result must then be byte for byte that of an undisturbed run.
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

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults import fingerprints
from predict_age.storage.workspace import Workspace

FOLDER = Path("out") / "kills"
CONFIG = """
[training]
rounds = 15
light_rounds = 15
networks = 1
network_passes = 2
max_depth = 5
forest_trees = 3
forest_depth = 6
[prediction]
batch_rows = 10000
[gates]
baselines = false
worse_share = 0.0
[running]
workers = 4
"""
SEEN = "SELECT count(*), count(DISTINCT pid), count(DISTINCT run_id) FROM predict_age_final_results"


def command(*arguments: object) -> list[str]:
    """The command line of predict-age."""
    return [sys.executable, "-m", "predict_age", *map(str, arguments)]


def main(kills: int, people: int) -> None:
    """Undisturbed runs first, then the kills."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "c.toml").write_text(CONFIG)
    subprocess.run(command("generate", "--rows", people, "--out", FOLDER / "g", "-q"), check=True, stdout=subprocess.DEVNULL)

    def run(workspace: Path, timestamp: str) -> list[str]:
        source = ["--source", FOLDER / "g" / "people", "--as-of", "2025-10-23", "--config", FOLDER / "c.toml"]
        return command("run", *source, "-q", "--json", "--timestamp", timestamp, "--workspace", workspace)

    early, late = "2025-10-22T06:00:00Z", "2025-10-23T06:00:00Z"
    subprocess.run(run(FOLDER / "template", early), check=True, stdout=subprocess.DEVNULL)
    old = Workspace(FOLDER / "template").published.current
    shutil.copytree(FOLDER / "template", FOLDER / "calm")
    began = time.monotonic()
    done = subprocess.run(run(FOLDER / "calm", late), check=True, capture_output=True)
    length = time.monotonic() - began
    new = json.loads(done.stdout)["run_id"]
    expected = fingerprints(FOLDER / "calm" / "runs" / new)
    print(f"an undisturbed run takes {length:.1f} s and makes {len(expected)} files")
    dice = random.Random(1)
    killed = kept = finished = 0
    workspace = FOLDER / "storm"
    while killed < kills:
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.copytree(FOLDER / "template", workspace)
        while True:
            process = subprocess.Popen(run(workspace, late), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
            try:
                out, err = process.communicate(timeout=dice.uniform(0.3, length) if killed < kills else None)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                killed += 1
                current = Workspace(workspace).published.current
                assert current in (old, new), f"after kill {killed} readers see {current!r}"
                if killed % 10 == 0:  # and can read it
                    done = subprocess.run(
                        command("sql", "--workspace", workspace, "--format", "csv", SEEN),
                        check=True,
                        capture_output=True,
                        text=True,
                    )
                    assert done.stdout.splitlines()[1] == f"{people},{people},1", done.stdout
                print(f"\rkill {killed} of {kills}", end="", flush=True)
                continue  # the same command continues the run
            assert process.returncode == 0, err.decode()
            kept += json.loads(out)["batches"]["kept"]
            break
        found = fingerprints(workspace / "runs" / new)
        assert found == expected, f"files differ: {sorted(k for k in {*found, *expected} if found.get(k) != expected.get(k))}"
        finished += 1
    print(
        f"\n{killed} kills, {finished} runs finished after them, {kept} batches kept in their last attempts; "
        f"every file of every result is that of the undisturbed run"
    )


if __name__ == "__main__":
    main(*(int(a) for a in (sys.argv[1:] + ["200", "200000"][len(sys.argv) - 1 :])))
