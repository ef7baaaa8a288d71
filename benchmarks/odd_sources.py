"""Sources and configurations that nobody would write: ``python benchmarks/odd_sources.py [SOURCES] [CONFIGURATIONS] [FIRST]``.

Each number makes one source of at most 60 records and a configuration for it: any format, dialect, encoding, Arrow type, name of a
column or folder, compression, ending or damage. ``plan`` looks at every source, ``run`` reads every tenth one until it would train,
and every tenth of these runs is a whole one. No command may end with exit code 1 (an internal error), leave a crash file or take
ten seconds of processor time, and ``run`` refuses what ``plan`` refuses, with the same exit code. Configurations and feature files
end with 0 or 2.
Prints each failure with its number, and exits with 1 when there is one. ``ONLY=N KEEP=DIR`` makes source N again and keeps it.
"""

from __future__ import annotations

import faulthandler
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults import call, warm
from odd_configurations import config_text, feature_text
from odd_inputs import OddSource, make_source
from predict_age.errors import PredictAgeError

SECONDS = 10.0
SOURCE_CODES, CONFIG_CODES = {0, 2, 3, 5, 6}, {0, 2}
RUN_EVERY, WHOLE_RUN_EVERY = 10, 100
AS_OF = "2025-10-23"


@dataclass(frozen=True)
class Failure:
    """A command that ended as none may: number of the input, command, what is wrong, and what it was made of."""

    number: int
    command: str
    problem: str
    made: str

    def __str__(self) -> str:
        return f"{self.number} {self.command}: {self.problem}\n    {self.made}"


class _BeforeTrainingError(PredictAgeError):
    exit_code = 0


@contextmanager
def reading_only() -> Iterator[None]:
    """Inside, a run ends with exit code 0 when it would train."""
    from predict_age.steps import training

    def stop(*_: object) -> None:
        raise _BeforeTrainingError("the source was read")

    before = training.train_models
    training.train_models = stop  # type: ignore[assignment]
    try:
        yield
    finally:
        training.train_models = before


def problem_of(arguments: list[object], codes: set[int]) -> tuple[int, str]:
    """Exit code of a command in this process, and what is wrong with it; empty: nothing."""
    crash_files = Path(tempfile.gettempdir())
    began = time.process_time()
    try:
        code, _, said = call(arguments)
    except Exception as error:
        return 1, f"{type(error).__name__} was not caught: {error}"
    seconds = time.process_time() - began
    crashes = sorted(crash_files.glob("predict-age-*.txt"))
    if crashes:
        text = crashes[0].read_text()
        for crash in crashes:
            crash.unlink()
        return code, f"exit code {code}, crash file:\n{text[-1500:]}"
    if code not in codes:
        return code, f"exit code {code}: {said[:600]}"
    if "Traceback" in said:
        return code, f"a traceback: {said[:600]}"
    if code and not said.startswith("predict-age: ") and "\npredict-age: " not in said:
        return code, f"exit code {code} without a reason: {said[:600]!r}"
    return code, f"{seconds:.1f} seconds of processor time" if seconds > SECONDS else ""


def try_source(number: int, folder: Path, *, run: bool | None = None) -> tuple[int, list[Failure]]:
    """Exit code of ``plan`` for source ``number``, and the failures of ``plan`` and ``run``."""
    made = make_source(number, folder)
    config = folder / "config.toml"
    config.write_text(made.config, encoding="utf-8")
    common: list[object] = ["--source", made.path, "--as-of", AS_OF, "--config", config, "--workers", "1"]
    planned, problem = problem_of(["plan", *common], SOURCE_CODES)
    failures = [Failure(number, "plan", problem, made.description)] if problem else []
    if run if run is not None else number % RUN_EVERY == 0:
        failures += _try_run(number, made, common, planned, folder)
    return planned, failures


def _try_run(number: int, made: OddSource, common: list[object], planned: int, folder: Path) -> list[Failure]:
    arguments = ["run", *common, "--workspace", folder / "workspace", "--quiet"]
    if number % WHOLE_RUN_EVERY == 0:
        ended, problem = problem_of(arguments, SOURCE_CODES)
    else:
        with reading_only():
            ended, problem = problem_of(arguments, SOURCE_CODES)
    if not problem and ended != planned and not (planned == 0 and ended == 5):  # a quality gate needs a model
        problem = f"plan ended with {planned}, run with {ended}"
    return [Failure(number, "run", problem, made.description)] if problem else []


def try_configuration(number: int, folder: Path) -> tuple[int, list[Failure]]:
    """Exit code and failures of ``plan`` with configuration ``number``, or with feature file ``number``, and a sound source."""
    draw = random.Random(f"configuration {number}")
    source = make_source(-1, folder).path
    option, data = draw.choice([("--config", config_text), ("--features", feature_text)])
    content = data(draw)
    file = folder / "odd.toml"
    file.write_bytes(content)
    more: list[object] = ["--workers", "1"] if draw.random() < 0.5 else []
    codes = CONFIG_CODES | ({3} if option == "--config" else set())  # a sound configuration may describe another source
    arguments: list[object] = ["plan", "--source", source, "--as-of", AS_OF, option, file, *more]
    code, problem = problem_of(arguments, codes)
    return code, [Failure(number, f"plan {option}", problem, repr(content[:400]))] if problem else []


def main(sources: int = 10_000, configurations: int = 300, first: int = 0) -> int:
    """Try all; returns the number of failures."""
    faulthandler.enable()
    keep = Path(os.environ["KEEP"]) if "KEEP" in os.environ else None
    root = Path(tempfile.mkdtemp(prefix="odd-"))
    tempfile.tempdir = str(root)
    warm()
    ended, failed, began = Counter[int](), 0, time.monotonic()
    numbers = [int(os.environ["ONLY"])] if "ONLY" in os.environ else range(first, first + sources)
    tasks = [(try_source, n) for n in numbers] + [(try_configuration, n) for n in range(configurations)]
    try:
        for done, (work, number) in enumerate(tasks, start=1):
            folder = keep or root / f"{work.__name__}-{number}"  # files are cached by path
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            faulthandler.dump_traceback_later(120, exit=True)
            (root / "number").write_text(f"{work.__name__} {number}")
            code, failures = work(number, folder)
            faulthandler.cancel_dump_traceback_later()
            ended[code] += 1
            failed += len(failures)
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)
            for failure in failures:
                print(failure, flush=True)
            if done % 500 == 0:
                print(f"{done} of {len(tasks)} in {time.monotonic() - began:.0f} s, {failed} failures", flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    codes = dict(sorted(ended.items()))
    print(f"{len(tasks)} inputs in {time.monotonic() - began:.0f} s; exit codes of plan: {codes}; {failed} failures")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
