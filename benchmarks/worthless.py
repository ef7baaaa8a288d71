"""Sources that allow no result worth publishing, and sources that do: ``python benchmarks/worthless.py [SEEDS] [SURVEY]``.

Each kind runs with SEEDS (20) seeds and small models. Worthless kinds must end with exit code 2 (no feature can be read) or 5 (a
quality gate) and publish nothing; the others must be published. SURVEY is a file such as profiles.jsonl.gz of the survey in
examples/it-survey, of whose people 3,000 are drawn for each seed. Prints a table, and exits with 1 when a run ends otherwise.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from predict_age.cli import run_cli
from predict_age.storage.workspace import Workspace
from predict_age.synthetic.write import generate

EXAMPLE = Path(__file__).parents[1] / "examples" / "it-survey" / "features.toml"
SETTINGS = """
[training]
rounds = 60
light_rounds = 60
networks = 1
network_passes = 6
forest_trees = 8
min_rows = 20
[running]
workers = 1
"""
Rows = list[dict[str, object]]
AS_OF = "2025-10-23"


def invented(rng: np.random.Generator, n: int, label: Callable[[np.ndarray], np.ndarray], **profile: object) -> Rows:
    """``n`` people with a tenure; every second one has the age that ``label`` makes of it."""
    tenure = rng.integers(0, 480, n)
    age = label(tenure)
    return [
        {
            "pid": i + 1,
            "approximate_age": int(age[i]) if i % 2 else None,
            "profile_json": profile or {"tenure_months": int(tenure[i]), "job_level": "senior" if rng.random() < 0.5 else "junior"},
        }
        for i in range(n)
    ]


def kinds(seed: int, survey: list[dict[str, object]]) -> dict[str, tuple[Rows, tuple[int, ...]]]:
    """Source and expected exit codes of each kind."""
    rng = np.random.default_rng(seed)

    def noise(tenure: np.ndarray) -> np.ndarray:
        return rng.integers(20, 65, len(tenure))

    def real(tenure: np.ndarray) -> np.ndarray:
        return np.clip(22 + (tenure - 200) ** 2 // 1500 + rng.integers(-4, 5, len(tenure)), 18, 90)

    made: dict[str, tuple[Rows, tuple[int, ...]]] = {
        "shuffled label": (invented(rng, 2000, noise), (5,)),
        "constant label": (invented(rng, 2000, lambda t: np.full(len(t), 40)), (5,)),
        "30 people with a label": (invented(rng, 60, noise), (5,)),
        "no feature of the file": (invented(rng, 600, real, visits=3), (2,)),
        "empty profiles": (invented(rng, 600, real), (2,)),
        "nobody predicted": (invented(rng, 2000, real), (5,)),
        "a feature that tells": (invented(rng, 2000, real), (0,)),
    }
    for row in made["empty profiles"][0]:
        row["profile_json"] = {}
    for row in made["nobody predicted"][0]:
        if row["approximate_age"] is None:
            row["profile_json"] = None
    if survey:
        chosen = rng.choice(len(survey), 3000, replace=False)
        made["survey, 3,000 people"] = ([survey[i] for i in chosen], (0,))
    return made


def ended(source: Path, workspace: Path, features: Path | None, as_of: str) -> tuple[int, str]:
    """Exit code of a run, and its first line on stderr that is an error."""
    (workspace.parent / "c.toml").write_text(SETTINGS)
    arguments = [
        "run",
        "--source",
        source,
        "--workspace",
        workspace,
        "--as-of",
        as_of,
        "--config",
        workspace.parent / "c.toml",
        "-q",
    ]
    arguments += ["--features", features] if features else []
    sys.argv = ["predict-age", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_cli()
        except SystemExit as stop:
            code = int(stop.code or 0)
    said = [line for line in err.getvalue().splitlines() if line.startswith("predict-age:")]
    return code, said[0] if said else ""


def main(seeds: int, survey_file: str) -> int:
    """Run all kinds; returns the exit code."""
    survey = [json.loads(line) for line in gzip.decompress(Path(survey_file).read_bytes()).splitlines()] if survey_file else []
    counts: dict[str, Counter[str]] = {}
    wrong = 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            sources = kinds(seed, survey)
            generate(Path(folder) / "g", 3000, seed, dt.date.fromisoformat(AS_OF), 1)
            for number, (kind, (rows, expected)) in enumerate([*sources.items(), ("generated people", ([], (0,)))]):
                source = Path(folder) / f"{number}.jsonl"
                source.write_text("".join(json.dumps(row) + "\n" for row in rows))
                source = source if rows else Path(folder) / "g" / "people"
                of_survey = kind.startswith("survey")
                workspace = Path(folder) / f"w{number}"
                code, said = ended(source, workspace, EXAMPLE if of_survey else None, "2020-06-30" if of_survey else AS_OF)
                published = bool((workspace / "published.json").exists() and Workspace(workspace).published.current)
                right = code in expected and published == (code == 0)
                wrong += not right
                counts.setdefault(kind, Counter())[f"exit code {code}{'' if right else ' WRONG'} {said}"[:150]] += 1
    for kind, codes in counts.items():
        print(f"{kind}: " + "; ".join(f"{n} x {text}" for text, n in codes.most_common()))
    print(f"{wrong} of {sum(sum(c.values()) for c in counts.values())} runs ended otherwise than they should")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2] if len(sys.argv) > 2 else ""))
