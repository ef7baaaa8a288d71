"""Every command on planted people, with everything they write and print searched: where do people turn up outside tables?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from faults import call
from personal_traces import Trace, Watch, counted, traces
from planted_people import Planted, plant
from small_models import SMALL_TRAINING

TABLES = ("predictions/", "qa/", "results/", "lookup/", "readable-")  # below runs/RUN/: what the pipeline is for
AS_OF, LATER = "2025-10-23", "2026-01-23"
CONFIG = (
    SMALL_TRAINING
    + """\
[prediction]
batch_rows = {batch_rows}
partition = "{partition}"
[gates]
baselines = false
worse_share = 0.0
group_bias_years = 0.0
band_error_years = 0.0
[running]
workers = 2
lease_seconds = 3
[source]
max_set_aside_share = 0.5
[card]
fewest_rows = 10
"""
)
# A bug, an error of a library, or the end, at a place where values of people are at hand.
FAILURE = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from faults import call
module, name, what = sys.argv[2:5]
from importlib import import_module
real = getattr(import_module(module), name, None)
if real is None:
    sys.stderr.write(f"{module} has no {name}: nothing would fail")
    raise SystemExit(97)  # which is no exit code of a failure
def broken(*args, **kwargs):
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    made = real(*args, **kwargs) if what == "after" else None
    raise KeyError(repr(args)[:20000], repr(kwargs)[:20000], repr(getattr(made, "to_pydict", lambda: made)())[:20000])
setattr(import_module(module), name, broken)
code, out, err = call(sys.argv[5:])
sys.stdout.write(out)
sys.stderr.write(err)
raise SystemExit(code)
"""
PLACES = (  # module, function, how it fails
    ("predict_age.source.scan", "scatter", "now"),
    ("predict_age.source.csv_reader", "_parse", "after"),
    ("predict_age.steps.training_sample", "extract_features", "after"),
    ("predict_age.steps.training", "load_sample", "kill"),
    ("predict_age.steps.training", "train_models", "now"),
    ("predict_age.steps.batch_prediction", "profile_keys", "now"),
    ("predict_age.steps.batch_prediction", "write_partition_receipt", "kill"),
    ("predict_age.steps.human_qa", "people_of", "after"),
    ("predict_age.steps.final_results", "describe", "kill"),
    ("predict_age.report.run_report", "page", "now"),
)


@dataclass
class Ground:
    """Folders of a trial: the workspace, and everything else that a program may write to."""

    root: Path
    planted: Planted
    config: Path
    said: list[str] = field(default_factory=list)
    in_this_process: bool = False  # commands, but for those that fail on purpose: much faster, with the pool replaced

    @classmethod
    def prepared(cls, root: Path, form: str, *, text_ids: bool, people: int, partition: str = "splits") -> Ground:
        planted = plant(root / "planted", form, people=people, text_ids=text_ids)
        config = root / "config.toml"
        config.write_text(CONFIG.format(batch_rows=max(40, people // 10), partition=partition))
        for name in ("temporary", "home", "current", "said"):
            (root / name).mkdir()
        return cls(root, planted, config)

    @property
    def roots(self) -> list[Path]:
        """Everything that is searched; the source and the configuration are not."""
        return [self.root / name for name in ("work", "temporary", "home", "current", "said")]

    def run(self, *words: object, check: tuple[int, ...] = (0,)) -> int:
        """Run a command of predict-age; its output is kept to be searched."""
        if self.in_this_process:
            code, out, err = call(words)
            return self._noted(list(map(str, words)), code, out + err, check)
        return self._process([sys.executable, "-m", "predict_age", *map(str, words)], check)

    def run_broken(self, place: tuple[str, str, str], *words: object) -> int:
        """Run a command in which one function fails."""
        where = Path(__file__).parent
        return self._process([sys.executable, "-c", FAILURE, str(where), *place, *map(str, words)], (1, 6, -signal.SIGKILL, 0, 4))

    def _process(self, command: list[str], check: tuple[int, ...]) -> int:
        folders = {"TMPDIR": "temporary", "HOME": "home"}
        env = {**os.environ, **{name: str(self.root / folder) for name, folder in folders.items()}}
        done = subprocess.run(command, env=env, cwd=self.root / "current", capture_output=True, text=True, timeout=600, check=False)
        return self._noted(command, done.returncode, done.stdout + done.stderr, check)

    def _noted(self, command: list[str], code: int, said: str, check: tuple[int, ...]) -> int:
        (self.root / "said" / f"{len(self.said)}.txt").write_text(said)
        self.said.append(" ".join(command)[:80])
        assert code in check, (code, command, said[-2000:])
        return code

    def start(self, *more: object, as_of: str = AS_OF) -> list[object]:
        """The words of ``predict-age run`` over the planted people."""
        where = ["--source", self.planted.source, "--workspace", self.root / "work", "--config", self.config]
        return ["run", *where, "--as-of", as_of, *more]

    def outside_tables(self) -> list[Trace]:
        """Traces of people where none belong."""
        return outside_tables(traces(self.planted.needles, self.roots), self.root / "work", self.planted)

    def places(self, found: list[Trace]) -> dict[str, int]:
        """Number of planted values by place."""
        return counted(found, self.roots)


def outside_tables(found: list[Trace], workspace: Path, planted: Planted) -> list[Trace]:
    """Those of the ``found`` traces that belong nowhere. A table may hold ids, but no value of a profile."""
    ids = {str(i) for i in planted.ids} | {t for t in planted.texts if t.startswith("person-")}
    return [t for t in found if not (_in_table(t, workspace) and t.value in ids)]


def _in_table(trace: Trace, workspace: Path) -> bool:
    if not trace.file.is_relative_to(workspace / "runs"):
        return False
    inside = trace.file.relative_to(workspace / "runs").as_posix().partition("/")[2]
    return inside.startswith(TABLES) and inside.endswith((".parquet", ".blocks", "lookup/index.bin"))


def commands(ground: Ground, *, everything: bool) -> None:
    """Publish runs in several ways, look at them with every command, and make queries fail that touch ids."""
    work = ["--workspace", ground.root / "work"]
    ground.run(*ground.start())
    ground.run(*ground.start("--base", "current", "--purpose", "research", as_of=LATER))
    if everything:
        ground.run(*ground.start("--tune", "0.05", "--shadow"))
        version = _version(ground)
        text = ground.config.read_text().replace("[gates]", f'challengers = {{ "{version}" = 0.3 }}\n[gates]')
        ground.config.write_text(text)
        ground.run(*ground.start("--model", "champion", "--timestamp", "2026-02-01T06:00:00Z"))
    runs = sorted(p.name for p in (ground.root / "work" / "runs").iterdir())
    ground.run("status", *work)
    ground.run("runs", *work, "--json")
    ground.run("card", *work)
    ground.run("models", *work)
    ground.run("report", *work)
    ground.run("verify", *work)
    ground.run("plan", "--source", ground.planted.source, "--config", ground.config)
    ground.run("diff", runs[0], runs[1], *work)
    ground.run("score", runs[0], *work, "--truth", runs[1], check=(0, 2))
    table = "predict_age_final_results"
    for column in ("pid", *(("source_id",) if _has_text_ids(ground) else ())):
        for wrong in (f"CAST('x' || {column} AS INT)", f"CAST({column} AS TINYINT)", f"error(CAST({column} AS VARCHAR))"):
            ground.run("sql", *work, f"SELECT {wrong} FROM {table}", check=(2,))


def _version(ground: Ground) -> str:
    done = sorted((ground.root / "work" / "runs").glob("*/model/manifest.json"))
    return str(json.loads(done[0].read_text())["version"])


def _has_text_ids(ground: Ground) -> bool:
    return any(t.startswith("person-") for t in ground.planted.texts)


def failures(ground: Ground, places: tuple[tuple[str, str, str], ...]) -> dict[str, dict[str, int]]:
    """Fail at each place, look what is left, then ``prune``: by place of the failure, where people are found after that."""
    found = {}
    for number, place in enumerate(places):
        ground.run_broken(place, *ground.start("--timestamp", f"2026-03-{number + 1:02}T06:00:00Z"))
        ground.run("prune", "--workspace", ground.root / "work", "--keep", 9, check=(0,))
        found[".".join(place)] = ground.places(ground.outside_tables())
    return found


def watched(ground: Ground) -> dict[str, int]:
    """Run once and search all the time: where people turn up while a run works, besides its own folder in the workspace."""
    with Watch(ground.planted.needles, [p for p in ground.roots if p.name != "work"], 0.05) as watch:
        ground.run(*ground.start())
    return ground.places(sorted(watch.found, key=str))
