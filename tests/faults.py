"""A disk that fails on demand, and a harness that lets a whole run meet it at every single operation.

A trial forks a process in which :class:`FaultyDisk` takes the place of the real one, runs the command line there with the
pipeline's own steps (in one process: the pool is replaced, nothing else), and strikes at the K-th operation:

* ``kill``: SIGKILL; what was written stays in the page cache.
* ``power``: the machine goes down: what was not flushed is gone - data of files, and names in folders.
* an errno, at one operation (``EIO``, ``EMFILE``) or from there on (``ENOSPC``, ``EROFS``).

Afterwards the published rows must be those of the old run or of the new one, whole, and the same command once more must
succeed with files that are byte for byte those of a run that met no fault.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import io
import os
import random
import shutil
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from predict_age.storage import durable_files, spill
from small_models import SMALL_MODELS

FOREVER = {errno.ENOSPC, errno.EROFS}
FAULTS = ("kill", "power", "ENOSPC", "EIO", "EROFS", "EMFILE")
WRITING = {"create", "write", "fsync", "rename"}
NOT_BROKEN = 96  # exit code of a trial whose twin could not be made: no finding about the protocol
COMPARED = ("predictions", "qa", "results", "lookup", "model", "set_aside", "source", "batches.json")


class FaultyDisk(durable_files.Disk):
    """Counts operations and strikes at number ``at`` (from 1; 0: never). Keeps what a power cut would lose."""

    def __init__(self, at: int, fault: str, attic: Path) -> None:
        self.at, self.fault, self.attic = at, fault, attic
        self.count = 0
        self.log: list[str] = []
        self._paths: dict[int, Path] = {}
        self._flushed: dict[Path, int] = {}  # bytes that are safe, of files that were created here
        self._renamed: list[tuple[Path, Path | None]] = []  # names that are not safe yet: new name, copy of what it replaced

    def _strike(self, operation: str, path: Path) -> None:
        self.count += 1
        self.log.append(f"{operation} {path.name}")
        if self.count < self.at or not self.at:
            return
        if self.fault in ("kill", "power"):
            if self.fault == "power":
                self._lose()
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self.fault)
        if self.count == self.at or (number in FOREVER and operation in WRITING):
            raise OSError(number, os.strerror(number), str(path))

    def _lose(self) -> None:
        dice = random.Random(self.at)  # what was not flushed may have reached the disk by chance
        for path, size in self._flushed.items():
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, dice.randint(size, path.stat().st_size - 1))
        for new, replaced in reversed(self._renamed):
            if dice.random() < 0.5:
                continue
            new.unlink(missing_ok=True)
            if replaced is not None:
                replaced.rename(new)

    def create(self, path: Path) -> int:
        self._strike("create", path)
        descriptor = super().create(path)
        self._paths[descriptor] = path
        self._flushed[path] = 0
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        self._strike("write", self._paths[descriptor])
        half = len(data) // 2  # a write may be cut anywhere: the first half is written before the next strike can come
        done = super().write(descriptor, data[:half]) if half else 0
        return done + super().write(descriptor, data[half:])

    def fsync(self, descriptor: int, path: Path) -> None:
        self._strike("fsync", path)
        if path.is_dir():
            self._renamed = [(new, old) for new, old in self._renamed if new.parent != path]
        else:
            self._flushed[path] = path.stat().st_size

    def rename(self, old: Path, new: Path) -> None:
        self._strike("rename", new)
        replaced = None
        if new.exists():
            replaced = self.attic / f"{self.count}"
            shutil.copy2(new, replaced)
        super().rename(old, new)
        self._flushed[new] = self._flushed.pop(old, 0)
        self._renamed.append((new, replaced))

    def unlink(self, path: Path) -> None:
        self._strike("unlink", path)
        super().unlink(path)


class HastyDisk(durable_files.Disk):
    """Leaves the writing to the system."""

    def fsync(self, descriptor: int, path: Path) -> None:
        """Nothing."""


class InlinePool:
    """The pool's interface in this very process, so that one disk sees every operation of a run."""

    def __init__(self, workers: int, attempts: int = 3, hang_seconds: float = 60.0) -> None:
        self.workers = workers

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(
        self,
        function: Callable[..., Any],
        tasks: Sequence[tuple[Any, ...]],
        done: Callable[[int, Any], None] = lambda _i, _r: None,
        names: str | Sequence[str] = "task",
    ) -> list[Any]:
        results = []
        for number, task in enumerate(tasks):
            results.append(function(*task))
            done(number, results[-1])
        return results

    def ahead(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Nothing: it would make nothing that is kept."""


def warm() -> None:
    """Import what a run imports, once, before forking. Nothing here may start a thread."""
    from importlib import import_module

    import xgboost  # noqa: F401

    import predict_age.cli
    import predict_age.pipeline.verify
    import predict_age.query.tables
    import predict_age.report.run_report  # noqa: F401
    from predict_age.step import STEPS

    for step in STEPS:
        import_module(f"predict_age.steps.{step.name}")


@contextmanager
def inline() -> Iterator[None]:
    """Inside, runs work in this process.

    All runs share one engine of DuckDB, which never spills. Plots are left out: drawing takes half of a small run's time and touches no file. Nor is anything flushed to the disk, which
    nobody takes the power from here; :class:`FaultyDisk` notes what would be.
    """
    from predict_age.pipeline import runner
    from predict_age.report import run_report
    from predict_age.runtime import forkserver
    from predict_age.source import row_rules

    pool, prepare, plots = runner.Pool, forkserver.prepare, run_report._plots
    runner.Pool = InlinePool  # type: ignore[misc,assignment]
    forkserver.prepare = lambda *_: None
    row_rules.spill_folder = lambda: ""
    run_report._plots = lambda *_: defaultdict(str)  # type: ignore[assignment]
    disk = durable_files.disk
    if type(disk) is durable_files.Disk:
        durable_files.disk = HastyDisk()
    try:
        yield
    finally:
        durable_files.disk = disk
        runner.Pool, forkserver.prepare, run_report._plots = pool, prepare, plots  # type: ignore[misc]
        row_rules.spill_folder = spill.spill_folder


def call(arguments: Sequence[object]) -> tuple[int, str, str]:
    """The command line in this process, with the inline pool: exit code, stdout, stderr."""
    from typer import main as typer_main

    from predict_age.cli import run_cli

    if not hasattr(typer_main.get_command, "cache_info"):  # the tree of commands, which is the same each time
        typer_main.get_command = cache(typer_main.get_command)
    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["predict-age", *map(str, arguments)]
    before = signal.getsignal(signal.SIGTERM)
    code: Any = 0
    try:
        with inline(), redirect_stdout(out), redirect_stderr(err):
            run_cli()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = argv
        signal.signal(signal.SIGTERM, before)
    return int(code), out.getvalue(), err.getvalue()


def in_child(work: Callable[[], Any], log: Path) -> int:
    """Run ``work`` in a fork; returns its exit code (negative: the signal that killed it). Its output goes to ``log``."""
    child = os.fork()
    if child == 0:
        code = 97
        try:
            with log.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
                found = work()
                code = found if isinstance(found, int) else 0
                stream.flush()
        except BaseException:
            with log.open("a") as stream:
                traceback.print_exc(file=stream)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def fingerprints(run: Path) -> dict[str, str]:
    """SHA-256 of every file that the result of a run consists of."""
    paths = [p for part in COMPARED for p in ([run / part] if (run / part).is_file() else (run / part).rglob("*"))]
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(paths) if p.is_file()}


@dataclass
class Trials:
    """A workspace with a published run, and the command that makes the next one, to be disturbed again and again."""

    folder: Path
    command: list[str]
    broken: Callable[[], None] = lambda: None
    new: str = ""
    old_rows: str = ""  # run, people and a fingerprint of all rows, as a reader sees them
    new_rows: str = ""
    expected: dict[str, str] = field(default_factory=dict)
    operations: int = 0
    log: list[str] = field(default_factory=list)

    @property
    def template(self) -> Path:
        return self.folder / "template"

    def prepare(self, *first: list[str]) -> None:
        """Publish the old runs with ``first``; run the command once without a fault to learn what must come out."""
        for command in first:
            self._calm(command, self.template)
        old = _current(self.template)
        calm = self.folder / "calm"
        shutil.copytree(self.template, calm)
        self._calm(self.command, calm, self.folder / "operations.txt")
        self.new = _current(calm)
        assert self.new not in ("", old)
        self.old_rows, self.new_rows = (_seen_in_child(w, self.folder) for w in (self.template, calm))
        self.expected = fingerprints(calm / "runs" / self.new)
        assert sum(n.startswith("results/") for n in self.expected) >= 4, "the run must have several parts"
        self.log = (self.folder / "operations.txt").read_text().splitlines()
        self.operations = len(self.log)

    def _calm(self, command: list[str], workspace: Path, log: Path | None = None) -> None:
        code = in_child(lambda: self._run(command, workspace, 0, "kill", log), self.folder / "calm.log")
        assert code == 0, (self.folder / "calm.log").read_text()

    def _run(self, command: list[str], workspace: Path, at: int, fault: str, log: Path | None = None) -> int:
        attic = workspace.with_name(workspace.name + ".attic")
        attic.mkdir(exist_ok=True)
        disk = durable_files.disk = FaultyDisk(at, fault, attic)
        try:
            self.broken()
        except Exception:
            traceback.print_exc()
            return NOT_BROKEN
        code, out, err = call([*command, "--workspace", workspace])
        print(out, err, sep="\n")
        if "Traceback" in err or "internal error" in err:
            return 98
        if log is not None:
            log.write_text("\n".join(disk.log) + "\n")
        return code

    def trial(self, at: int, fault: str) -> str:
        """Disturb the run at its K-th operation; returns what was wrong with the outcome, or nothing."""
        workspace = self.folder / f"trial-{fault}-{at}"
        shutil.copytree(self.template, workspace)
        log = self.folder / f"trial-{fault}-{at}.log"
        try:
            problem = self._trial(workspace, at, fault, log)
            return problem and f"{fault} at operation {at} ({self.log[at - 1] if at <= len(self.log) else '?'}): {problem}"
        finally:
            shutil.rmtree(workspace, ignore_errors=True)
            shutil.rmtree(workspace.with_name(workspace.name + ".attic"), ignore_errors=True)
            log.unlink(missing_ok=True)

    def _trial(self, workspace: Path, at: int, fault: str, log: Path) -> str:
        code = in_child(lambda: self._run(self.command, workspace, at, fault), log)
        if code == NOT_BROKEN:
            raise LookupError(f"the twin cannot be made:\n{log.read_text()}")
        allowed = {-signal.SIGKILL} if fault in ("kill", "power") else {0, 6}
        if code not in allowed:
            return f"exit code {code}\n{log.read_text()}"
        outcome = in_child(lambda: self._after(workspace, code), log)
        return "" if outcome == 0 else log.read_text()

    def _after(self, workspace: Path, code: int) -> int:
        """Check what a reader sees after the fault, and what the same command makes of it. Prints what is wrong."""
        seen = _seen(workspace)
        if seen not in (self.old_rows, self.new_rows):
            return _wrong(f"readers see {seen}, neither {self.old_rows} nor {self.new_rows}")
        if code == 0 and seen != self.new_rows:
            return _wrong("it ended well, but published nothing")
        again = self._run(self.command, workspace, 0, "kill")
        if again != 0:
            return _wrong(f"the command once more ended with {again}")
        if (now := _seen(workspace)) != self.new_rows:
            return _wrong(f"the command once more published {now}, not {self.new_rows}")
        found = fingerprints(workspace / "runs" / self.new)
        changed = sorted(k for k in {*found, *self.expected} if found.get(k) != self.expected.get(k))
        return _wrong(f"files differ from those of a calm run: {changed}") if changed else 0


def _current(workspace: Path) -> str:
    from predict_age.storage.workspace import Workspace

    return Workspace(workspace).published.current


SEEN = (
    "SELECT min(run_id) || ' ' || count(DISTINCT pid) || ' ' || sum(hash(pid, predicted_age, confidence_pct, age_lower, age_upper)) "
    "FROM predict_age_final_results_with_confidence HAVING count(DISTINCT run_id) = 1 AND count(DISTINCT pid) = count(*)"
)


def _seen(workspace: Path) -> str:
    """A reader's view: run, people, fingerprint of the rows; every file is compared with its hash on the way."""
    code, out, err = call(["sql", "--workspace", workspace, "--format", "csv", SEEN])
    lines = out.splitlines()
    return lines[1] if code == 0 and len(lines) == 2 else f"exit code {code}: {out} {err}"


def _seen_in_child(workspace: Path, folder: Path) -> str:
    log = folder / "seen.txt"
    assert in_child(lambda: print(_seen(workspace)), log) == 0, log.read_text()
    return log.read_text().strip()


def _wrong(text: str) -> int:
    print(text)
    return 1


def spread(operations: int, number: int, seed: int) -> list[int]:
    """``number`` of the operations 1..n, drawn without replacement, in order."""
    dice = random.Random(seed)
    return sorted(dice.sample(range(1, operations + 1), min(number, operations)))


CONFIG = f"""{SMALL_MODELS}workers = 1
keep_runs = 1
"""


def prepared(folder: Path, people: int = 240) -> Trials:
    """Two small sources of four files each, published runs over the first, and the trials of a run over the second.

    The older of the runs before is beyond retention: the run that is disturbed also removes it.
    """
    import pyarrow.parquet as pq

    from predict_age.synthetic.write import generate

    for seed, name in ((5, "first"), (6, "second")):
        made = folder / f"made-{name}"
        generate(made, people, seed, dt.date(2025, 10, 23), 1)
        table = pq.read_table(made / "people", use_threads=False)
        (folder / name).mkdir()
        for part in range(4):
            pq.write_table(table.slice(part * people // 4, people // 4), folder / name / f"part-{part}.parquet")
    (folder / "config.toml").write_text(CONFIG)

    def command(source: str, timestamp: str) -> list[str]:
        where = ["--source", str(folder / source), "--config", str(folder / "config.toml")]
        return ["run", *where, "--as-of", "2025-10-23", "--timestamp", timestamp, "-q"]

    warm()
    trials = Trials(folder, command("second", "2025-10-23T06:00:00Z"))
    trials.prepare(command("first", "2025-10-21T06:00:00Z"), command("first", "2025-10-22T06:00:00Z"))
    assert any(line.startswith("unlink") for line in trials.log), "retention has to be part of the run"
    return trials
