"""Is nothing of suppressed people written anywhere? ``python benchmarks/suppression.py [PEOPLE PLANTED [WORD ...]]``.

1,000 people with twelve values each that occur nowhere else are planted among 200,000 (in other forms of a source and other
ways to run: 200 among 20,000), and suppressed before the first run. Every byte below the workspace, HOME and TMPDIR is decoded
and searched, while the run goes on and afterwards, and so is what the run prints, and what `export`, `sql`, `diff`, `score` and
the server say and log afterwards. Then a small run is killed at 50 of its file
operations and continued, with the same search after each. Two more runs without a list show that the search finds the people,
in tables alone once the run has ended, and there by their ids alone. With words, only cases whose name has one of them.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import TINY
from faults import FaultyDisk, call, in_child, warm
from personal_inventory import outside_tables
from personal_traces import Trace, Watch, counted, traces
from planted_people import Planted, plant
from predict_age.storage import durable_files

FOLDER = Path("out") / "suppression"
AS_OF = "2025-10-23"
FULL_SIZE, OTHER_SIZE = (200_000, 1000), (20_000, 200)  # people, and those of them who are planted
KILLS = 50
SMALL_PEOPLE, SMALL_PLANTED = 400, 40


@dataclass(frozen=True)
class Case:
    """A source in some form, and how it is run; ``listed`` is False where nobody is suppressed and everybody must be found.

    With ``challenger`` a second run follows in which the first one's model predicts a share of the people; with ``training`` the
    models learn from a second source, with planted people of its own and half of those of the first.
    """

    name: str
    form: str = "parquet"
    text_ids: bool = False
    config: str = ""
    options: tuple[str, ...] = ()
    listed: bool = True
    challenger: bool = False
    training: bool = False
    full: bool = False  # at full size


CASES = (
    Case("CSV, not suppressed", "csv", listed=False, full=True),
    Case("Parquet, not suppressed", listed=False, full=True),
    Case("CSV", "csv", full=True),
    Case("Parquet", full=True),
    Case("JSON lines", "jsonl"),
    Case("CSV, modulo", "csv", config='[prediction]\npartition = "modulo"\n'),
    Case("gzip JSON lines, text ids", "jsonl.gz", text_ids=True),
    Case(
        "Parquet, text ids, modulo, tuned", text_ids=True, config='[prediction]\npartition = "modulo"\n', options=("--tune", "0.2")
    ),
    Case("Parquet, shadow", options=("--shadow",)),
    Case("JSON lines, A/B", "jsonl", challenger=True),
    Case("CSV, training source", "csv", training=True),
    Case("Parquet, text ids, training source", text_ids=True, training=True),
)


def ids_of(planted: Planted, *, text_ids: bool) -> list[str]:
    """Ids to suppress: of the planted people, and those that the source rejects."""
    texts = [text for text in planted.texts if text.startswith(("person-", "noid-"))]
    return texts if text_ids else [*map(str, planted.ids), *texts]


def predict_age(roots: dict[str, Path], *arguments: object, stdin: str = "", accepted: tuple[int, ...] = (0,)) -> str:
    """Run a command with a HOME and a TMPDIR of its own; returns all that it printed."""
    command = [sys.executable, "-m", "predict_age", *map(str, arguments)]
    done = subprocess.run(command, check=False, input=stdin, capture_output=True, text=True, env=environment(roots))
    if done.returncode not in accepted:
        raise SystemExit(f"{arguments}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout + done.stderr


def folders(folder: Path) -> dict[str, Path]:
    """Empty folders for workspace, home and temporary files."""
    shutil.rmtree(folder, ignore_errors=True)
    roots = {name: folder / name for name in ("work", "home", "tmp")}
    for root in roots.values():
        root.mkdir(parents=True)
    return roots


def look(roots: dict[str, Path]) -> str:
    """Everything that commands print about the newest run which show no single person."""
    where = ("--workspace", roots["work"])
    newest = max(path.name for path in (roots["work"] / "runs").iterdir())
    said = "".join(predict_age(roots, command, *where) for command in ("status", "runs", "card", "models", "report"))
    return said + predict_age(roots, "verify", "--run", newest, *where)


def ask(roots: dict[str, Path], truth: Path, ids: list[object]) -> str:
    """Everything that commands about single people print and write, and that a server answers and logs."""
    where = ("--workspace", roots["work"])
    runs = sorted(path.name for path in (roots["work"] / "runs").iterdir())
    said = predict_age(roots, "export", "--to", roots["home"] / "export.csv", *where)
    said += predict_age(roots, "export", "--to", roots["home"] / "export.parquet", *where)
    for table in ("predict_age_final_results_with_confidence", "predict_age_human_qa", "predict_age_predictions"):
        said += predict_age(roots, "sql", f"SELECT * FROM {table}", "--format", "csv", *where)
    said += predict_age(roots, "score", "current", "--truth", truth, "--json", *where, accepted=(0, 2))  # 2: nobody is left
    if len(runs) > 1:
        said += predict_age(roots, "diff", runs[0], runs[1], "--people", *where)
    return said + served(roots, ids)


def served(roots: dict[str, Path], ids: list[object]) -> str:
    """Answers and log of a server that is asked for people by ``ids``; nothing where the extra serve is not installed."""
    if find_spec("uvicorn") is None:
        return ""
    command = [sys.executable, "-m", "predict_age", "serve", "--workspace", str(roots["work"]), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(roots))
    assert server.stdout is not None
    try:
        said = server.stdout.readline()
        client = http.client.HTTPConnection("127.0.0.1", int(re.findall(r":(\d+)", said)[0]), timeout=60)
        for first in range(0, len(ids), 5000):
            asked = json.dumps({"pids": ids[first : first + 5000]})
            client.request("POST", "/v1/people:lookup", asked, {"Content-Type": "application/json"})
            said += json.dumps([row for row in json.loads(client.getresponse().read())["people"] if row is not None])
        client.request("GET", "/metrics")
        said += client.getresponse().read().decode()
        client.close()
    finally:
        server.terminate()
    return said + server.communicate()[0]


def environment(roots: dict[str, Path]) -> dict[str, str]:
    """The environment of a command with a HOME and a TMPDIR of its own."""
    return {**os.environ, "HOME": str(roots["home"]), "TMPDIR": str(roots["tmp"])}


def with_training(case: Case, planted: Planted, people: int, planted_people: int) -> Planted:
    """Plant a training source beside the source, with half of its people; returns everybody who was planted."""
    folder = FOLDER / "case" / "training"
    other = plant(folder, case.form, people=people, planted=planted_people, text_ids=case.text_ids, seed=6)
    shutil.copy(planted.source / f"part-0.{case.form}", other.source / f"part-9.{case.form}")
    return Planted(planted.source, [*planted.texts, *other.texts], [*planted.ids, *other.ids])


def search(case: Case, people: int, planted_people: int) -> bool:
    """Plant, suppress, run while watching, then search. True when it is as it must be."""
    roots = folders(FOLDER / "case")
    began = time.monotonic()
    planted = plant(FOLDER / "case", case.form, people=people, planted=planted_people, text_ids=case.text_ids)
    truth = FOLDER / "case" / "truth.parquet"
    pq.write_table(pa.table({"pid": planted.ids, "true_age": [40] * len(planted.ids)}), truth)
    if case.training:
        planted = with_training(case, planted, people, planted_people)
    if case.listed:
        predict_age(
            roots,
            "suppress",
            "--workspace",
            roots["work"],
            "--pid-file",
            "-",
            stdin="\n".join(ids_of(planted, text_ids=case.text_ids)) + "\n",
        )
    config = FOLDER / "case" / "config.toml"
    config.write_text(case.config)
    training = ("--training-source", FOLDER / "case" / "training" / "source") if case.training else ()
    where = ("--source", planted.source, "--workspace", roots["work"], "--as-of", AS_OF, "--config", config, *training)
    with Watch(planted.needles, list(roots.values()), 0.2) as watch:
        printed = predict_age(roots, "run", *where, *case.options)
        if case.challenger:
            (manifest,) = (roots["work"] / "runs").glob("*/model/manifest.json")
            version = json.loads(manifest.read_text())["version"]
            config.write_text(f'[prediction]\nexperiment = "another"\nchallengers = {{ "{version}" = 0.3 }}\n')
            printed += predict_age(roots, "run", *where, "--model", "champion", "--timestamp", "2026-02-01T06:00:00Z")
    printed += look(roots)
    if case.listed and "--shadow" not in case.options:  # nobody reads such a run
        printed += ask(roots, truth, [t for t in planted.texts if t.startswith("person-")] if case.text_ids else [*planted.ids])
    (roots["tmp"] / "printed.txt").write_text(printed)
    left = traces(planted.needles, list(roots.values()))
    found: list[Trace] = [*watch.found, *left]
    wrong = found if case.listed else outside_tables(left, roots["work"], planted)
    values = len({trace.value for trace in found})
    rows = json.loads(predict_age(roots, "status", "--workspace", roots["work"], "--json"))["rows"]
    seen = sum(1 for root in roots.values() for path in root.rglob("*") if path.is_file())
    good = not wrong and (rows["suppressed"] == planted_people if case.listed else values >= planted_people)
    print(
        f"{'ok   ' if good else 'WRONG'} {case.name}: {people:,} people, {rows.get('suppressed', 0):,} suppressed; "
        f"{values:,} of {len(planted.texts) + len(planted.ids):,} planted values found"
        f"{'' if case.listed else f', {len({t.value for t in wrong}):,} outside tables at the end'}; {seen} files at the end, "
        f"{len(watch.seen)} seen while it ran; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    if wrong:
        print(counted(wrong, list(roots.values())))
    return good


def killed(at: int, folder: Path, planted: Planted, config: Path) -> list[Trace]:
    """Kill a run at its file operation ``at``, search, let it go on, search again."""
    workspace = folder / "work"
    shutil.copytree(folder / "template", workspace)
    command = [
        "run",
        "--source",
        planted.source,
        "--workspace",
        workspace,
        "--as-of",
        AS_OF,
        "--config",
        config,
        "--timestamp",
        "2025-10-23T06:00:00Z",
    ]

    def work() -> int:
        durable_files.disk = FaultyDisk(at, "kill", folder)
        return call(command)[0]

    in_child(work, folder / "log.txt")
    found = traces(planted.needles, [workspace])
    if in_child(lambda: call(command)[0], folder / "log.txt"):
        raise SystemExit((folder / "log.txt").read_text())
    found += traces(planted.needles, [workspace])
    shutil.rmtree(workspace)
    return found


def kills(form: str) -> bool:
    """Runs of a source in this form that are killed at :data:`KILLS` of their operations."""
    folder = FOLDER / f"kills-{form}"
    folders(folder)
    planted = plant(folder, form, people=SMALL_PEOPLE, planted=SMALL_PLANTED)
    config, log, template = folder / "tiny.toml", folder / "log.txt", folder / "template"
    config.write_text(TINY)
    (folder / "ids").write_text("\n".join(ids_of(planted, text_ids=False)) + "\n")
    in_child(lambda: call(["suppress", "--workspace", template, "--pid-file", folder / "ids"])[0], log)
    shutil.rmtree(folder / "work")
    shutil.copytree(template, folder / "work")
    calm = ["run", "--source", planted.source, "--workspace", folder / "work", "--as-of", AS_OF, "--config", config]

    def count_operations() -> int:
        disk = durable_files.disk = FaultyDisk(0, "kill", folder)
        code = call(calm)[0]
        (folder / "operations").write_text(str(disk.count))
        return code

    in_child(count_operations, log)
    operations = int((folder / "operations").read_text())
    shutil.rmtree(folder / "work")
    places = sorted({1 + round(n * (operations - 1) / (KILLS - 1)) for n in range(KILLS)})
    found = [trace for at in places for trace in killed(at, folder, planted, config)]
    word = "WRONG" if found else "ok   "
    print(f"{word} {form}: killed at {len(places)} of {operations} operations and continued, {len(found)} traces", flush=True)
    return not found


def main(arguments: list[str]) -> int:
    """All cases, or those that are named."""
    words = [a.lower() for a in arguments[2:]]
    chosen = [case for case in CASES if not words or any(word in case.name.lower() for word in words)]
    given = tuple(int(a) for a in arguments[:2])
    good = [search(case, *(given or (FULL_SIZE if case.full else OTHER_SIZE))) for case in chosen]
    if not words or "kill" in words:
        warm()
        good += [kills(form) for form in ("csv", "parquet")]
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
