"""Does `make test` notice dangerous one-line changes of the AWS side?

``python benchmarks/aws_mutations.py [since=N] [every=N] [record=FILE] [scratch=FOLDER] [WORD ...]``. The tests of the AWS side
run on a copy of the repository, after one change of ``aws_changes.py``, without emulator. A change is caught by *rules* (what must
hold, whatever the text is), by the *reviewed plan* alone (any other plan than the committed one), or *not caught*. With words, only
changes whose kind or file has one of them are tried, from the N-th on with ``since=N``, and each N-th of them with ``every=N``.
With ``record`` the answers are kept in a file, and changes that it has are not tried again; with ``scratch`` the plans are kept.

Quick rules come first: the texts of the modules, then their plans (one start of Terraform for ten changes), the image, and last the
test files, those that know the changed file before all others.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from aws_changes import API, AWS, CHANGES, MACHINE, Change  # noqa: E402
from cloud.mocked import Resource, Variant, applied, applied_all  # noqa: E402
from cloud.rules import compute, problems, watching  # noqa: E402
from cloud.rules.plan import Plan  # noqa: E402
from cloud.rules.text import text_problems  # noqa: E402
from test_aws_rules import VARIANTS, messages_that_nobody_gets  # noqa: E402

BATCH = 10  # applications that one start of Terraform makes
TASK_USER = "10001:10001"
MODULE_TESTS = ("test_aws_rules.py -k 'not can_fail'", "test_aws_alarms.py", "test_aws_machine.py test_docs.py")
CODE_TESTS = (
    "test_aws_machine.py test_aws_rules.py -k 'not can_fail'",
    "test_aws_steps.py test_aws_cleanup.py",
    "test_one_logic.py test_docs.py test_aws_store.py test_aws_commands.py test_aws_suppression.py test_aws_capacity.py",
    "test_aws_models.py test_aws_emulator.py",
)
FIRST_TESTS = {  # the test files that know a file best
    "lambdas/pre_cleanup.py": "test_aws_steps.py test_aws_cleanup.py",
    "lambdas/old_runs.py": "test_aws_steps.py test_aws_commands.py",
    "lambdas/post_cleanup.py": "test_aws_cleanup.py test_aws_steps.py",
    "lambdas/rollback.py": "test_aws_steps.py test_aws_suppression.py test_aws_commands.py",
    "lambdas/final_results.py": "test_aws_steps.py",
    "lambdas/human_qa.py": "test_aws_steps.py",
    "lambdas/runtime.py": "test_aws_steps.py",
    "lambdas/batch_generator.py": "test_aws_machine.py -k every_batch",
    "athena.py": "test_aws_steps.py",
    "s3_store.py": "test_aws_store.py",
    "run_mirror.py": "test_aws_suppression.py test_aws_models.py",
    "tasks.py": "test_aws_models.py test_aws_steps.py",
    "execution_lease.py": "test_aws_cleanup.py test_aws_commands.py",
    "prices.py": "test_aws_machine.py",
    "cost_plan.py": "test_aws_machine.py",
}
REVIEWED_TEST = "test_the_plan_is_the_reviewed_one"


@contextmanager
def changed(change: Change, repository: Path) -> Iterator[None]:
    """The repository with the change in it; a changed state machine is written out again, as its author would do."""
    path, machine = repository / change.file, repository / "terraform" / "state_machine.json"
    before, committed = path.read_text(), machine.read_text()
    path.write_text(before.replace(change.old, change.new, 1))
    try:
        if change.file == MACHINE:
            env = {**os.environ, "PYTHONPATH": str(repository / "src")}
            command = [sys.executable, "-m", "predict_age.aws.state_machine"]
            machine.write_text(subprocess.run(command, check=False, env=env, capture_output=True, text=True).stdout)
        yield
    finally:
        path.write_text(before)
        machine.write_text(committed)


def copy_of(folder: Path) -> Path:
    """A copy of what the tests read."""
    target = folder / "repository"
    leave = shutil.ignore_patterns(".git", ".venv", "out", "__pycache__", ".terraform", ".*_cache", ".hypothesis", "demo")
    shutil.copytree(ROOT, target, ignore=leave)
    return target


class Answers:
    """How each change was caught, kept in ``record`` from one start to the next."""

    def __init__(self, record: Path | None) -> None:
        self.record, self.known = record, dict[str, str]()
        if record and record.exists():
            self.known = {key: said for key, said, _ in map(json.loads, record.read_text().splitlines())}

    @staticmethod
    def key(change: Change) -> str:
        return f"{change.file}\n{change.old}\n{change.new}"

    def note(self, change: Change, said: str) -> None:
        self.known[self.key(change)] = said
        print(f"{said:14s} {change.title}", flush=True)
        if self.record:
            with self.record.open("a") as out:
                out.write(json.dumps([self.key(change), said, change.title]) + "\n")

    def open(self, changes: list[Change]) -> list[Change]:
        """Those of the changes that have no answer yet."""
        return [c for c in changes if self.key(c) not in self.known]


def read_texts(repository: Path, answers: Answers, changes: list[Change]) -> None:
    """Note the changes that rules of texts catch."""
    for change in changes:
        with changed(change, repository):
            image = compute.image_problems(
                (repository / "Dockerfile").read_text(), (repository / ".dockerignore").read_text(), TASK_USER
            )
            if text_problems(repository / "terraform") or list(image):
                answers.note(change, "rules")


def apply_all(repository: Path, scratch: Path, answers: Answers, changes: list[Change]) -> None:
    """Note the changes that rules catch in applied modules; many applications take one start of Terraform."""
    for variant in ("default", "own", "api"):
        left = [c for c in answers.open(changes) if variant != "default" or c.file != API]
        for begin in range(0, len(left), BATCH):
            some = left[begin : begin + BATCH]
            with tempfile.TemporaryDirectory() as folder:
                for number, change in enumerate(some):
                    with changed(change, repository):
                        shutil.copytree(repository / "terraform", Path(folder) / str(number))
                variants = [Variant(Path(folder) / str(n), VARIANTS[variant]) for n in range(len(some))]
                for change, answer in zip(some, applied_all(variants, scratch), strict=True):
                    if isinstance(answer, str) or _problems(variant, answer):
                        answers.note(change, "rules")


def _problems(variant: str, resources: list[Resource]) -> list[str]:
    """Problems that tests of this variant find."""
    try:
        found = problems(resources)
        found += list(watching.quiet_by_default(Plan(resources))) if variant == "default" else []
    except Exception as error:  # a rule that finds nothing of what it is about: its test fails, too
        return [repr(error)]
    return [p for p in found if variant != "own" or "s3:GetObject source/part-0.parquet" not in p]


def failures(repository: Path, scratch: Path, tests: str) -> set[str]:
    """Names of the tests that fail; a run that cannot even collect counts as a failure."""
    env = {**os.environ, "PYTHONPATH": str(repository / "src"), "AWS_RULES_SCRATCH": str(scratch), "REQUIRE_TERRAFORM": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=no",
        f"--maxfail={1 + ('rules' in tests)}",
        *shlex.split(tests),
    ]
    done = subprocess.run(command, check=False, cwd=repository / "tests", env=env, capture_output=True, text=True)
    found = set(re.findall(r"^(?:FAILED|ERROR) \S+?::(\w+)", done.stdout, re.M))
    return found or ({"(no test ran)"} if done.returncode else set())


def caught(repository: Path, scratch: Path, change: Change) -> str:
    """How the change that lies in ``repository`` is caught by test files."""
    failed: set[str] = set()
    if change.file.startswith("terraform/"):
        if "condition " in change.old and messages_that_nobody_gets(repository / "terraform", scratch):
            return "rules"
        stages: tuple[str, ...] = MODULE_TESTS
    else:
        first = FIRST_TESTS.get(change.file.removeprefix(f"{AWS}/"))
        stages = (first, *CODE_TESTS) if first else CODE_TESTS
    for tests in stages:
        failed |= failures(repository, scratch, tests)
        if failed - {REVIEWED_TEST}:
            return "rules"
    return "reviewed plan" if failed else "NOT CAUGHT"


def main(words: list[str]) -> None:
    given = dict(w.split("=", 1) for w in words if "=" in w)
    since, step = int(given.get("since", 0)), int(given.get("every", 1))
    words = [w for w in words if "=" not in w]
    chosen = [c for c in CHANGES if not words or any(w in c.kind or w in c.file for w in words)][since::step]
    answers = Answers(Path(given["record"]) if "record" in given else None)
    for change in (c for c in chosen if c.old not in (ROOT / c.file).read_text()):
        answers.note(change, "TEXT GONE")
    began, before = time.monotonic(), len(answers.open(chosen))
    with tempfile.TemporaryDirectory() as folder:
        repository = copy_of(Path(folder))
        scratch = Path(given.get("scratch", Path(folder) / "scratch")).absolute()
        if broken := problems(applied(repository / "terraform", scratch)) + text_problems(repository / "terraform"):
            sys.exit(f"without any change these rules are broken: {broken}")
        read_texts(repository, answers, [c for c in answers.open(chosen) if not c.file.startswith("src/")])
        apply_all(
            repository, scratch, answers, [c for c in answers.open(chosen) if c.file.startswith("terraform/") or c.file == MACHINE]
        )
        for change in answers.open(chosen):
            with changed(change, repository):
                said = caught(repository, scratch, change)
            answers.note(change, said)
    counts = Counter(answers.known[answers.key(c)] for c in chosen)
    print(f"{len(chosen)} changes: " + ", ".join(f"{n} {k}" for k, n in counts.most_common()), end="")
    print(f" ({before} of them tried now, {time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main(sys.argv[1:])
