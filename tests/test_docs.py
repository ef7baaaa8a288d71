"""The documentation is followed to the letter: what it tells a newcomer to write must run."""

import csv
import random
import re
import runpy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conftest import TINY, cli, run_json

DOCS = Path(__file__).parents[1] / "docs"


def staff(path: Path, rows: int) -> None:
    """A flat CSV of invented staff with ten columns and an age in some rows, as feature-file.md describes it."""
    dice = random.Random(4)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["staff_no", "age", "role", "grade", "start_date", "visits", "newsletter", "headline", "site", "badge"])
        for number in range(1001, 1001 + rows):
            age = dice.randint(20, 64)
            here = dice.randint(0, min(age - 19, 25))
            grade = "High" if age + dice.gauss(0, 8) > 48 else "Mid" if age + dice.gauss(0, 8) > 32 else "Low"
            role = dice.choice(["Porter", "Nurse", "Senior nurse", "Surgeon"])
            start = dice.choice([f"{2025 - here}", f"{2025 - here}-0{dice.randint(1, 9)}-15", "", "unknown"])
            writer.writerow(
                [
                    number,
                    age if dice.random() < 0.4 else "",
                    role,
                    grade,
                    start,
                    dice.choice(["", dice.randint(0, 40), "many"]),
                    dice.choice(["yes", "no", ""]),
                    'Works, with "care"\nand joy',
                    dice.choice(["North", "South"]),
                    f"B{number}",
                ]
            )


def test_the_five_minutes_of_the_feature_file_page(tmp_path: Path) -> None:
    """Configuration, features and commands of docs/feature-file.md, copied from the page, run on such a CSV."""
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "feature-file.md").read_text(encoding="utf-8"), re.S)
    config, features, expression = blocks
    (tmp_path / "staff-config.toml").write_text(config + "\n[training]\nrounds = 40\nforest_trees = 5\nnetworks = 1\n")
    (tmp_path / "staff-features.toml").write_text(features + expression)
    staff(tmp_path / "staff.csv", 1500)
    files = ("--features", tmp_path / "staff-features.toml", "--config", tmp_path / "staff-config.toml")
    assert "known ages" in cli("plan", "--source", tmp_path / "staff.csv", *files).stdout
    run = run_json(tmp_path / "staff.csv", tmp_path / "work", *files)
    assert run["rows"]["distinct"] == 1500
    assert run["rows"]["set_aside"] == run["rows"]["default"] == 0
    assert run["metrics"]["mae"] < 0.8 * run["metrics"]["median_mae"]


def test_the_age_column_is_no_feature(tmp_path: Path) -> None:
    """A flat file's own age column is refused as a feature, whatever it is called."""
    staff(tmp_path / "staff.csv", 10)
    (tmp_path / "c.toml").write_text('[source]\npid = "staff_no"\napproximate_age = "jahre"\nprofile_json = "*"\n')
    (tmp_path / "f.toml").write_text(
        'format = 1\n[features.x]\nkind = "number"\npath = "jahre"\nmin = 0\nmax = 9\ndefault = 1\nmeaning = "m"\n'
    )
    done = cli(
        "plan", "--source", tmp_path / "staff.csv", "--features", tmp_path / "f.toml", "--config", tmp_path / "c.toml", check=2
    )
    assert "f.toml, line 4: feature x is refused: 'jahre' is the column the known age comes from" in done.stderr


def test_the_readme_names_commands_that_exist() -> None:
    """Every predict-age command in README and docs is a command of the program."""
    listed = cli("--help").stdout
    for page in [DOCS.parent / "README.md", *DOCS.glob("*.md")]:
        for command in re.findall(r"(?:^|`)predict-age ([a-z]+)", page.read_text(encoding="utf-8"), re.M):
            assert f" {command} " in listed, (page.name, command)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link in README, ARCHITECTURE, docs, decisions and examples names a file, and a heading of it, that exist."""
    root = DOCS.parent
    pages = [*root.glob("*.md"), *DOCS.rglob("*.md"), *(root / "examples").rglob("*.md")]
    broken = []
    for page in pages:
        for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(root)}: {link}")
    assert not broken
    assert len(pages) > 15


def test_picture_of_the_layers_is_current() -> None:
    """docs/layers.svg is drawn from the import contract and the packages' docstrings."""
    namespace = runpy.run_path(str(DOCS / "layers.py"))
    assert (DOCS / "layers.svg").read_text(encoding="utf-8") == namespace["drawing"]()
    assert {"cli", "steps", "errors"} <= {name for row in namespace["layers"]() for name in row}


def test_the_examples_of_the_python_page_run(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of docs/python.md, one after another, in a folder with people.parquet; small models instead of the default ones."""
    monkeypatch.chdir(tmp_path)
    pq.write_table(pq.read_table(people / "people").slice(0, 1200), "people.parquet")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {}
    assert len(blocks) == 6
    for number, text in enumerate(blocks):
        block = text
        if number == 5:  # of people whom this run has predicted
            rows = names["table"].to_pylist()
            some = [row["pid"] for row in rows if row["prediction_source"] == "ML_PREDICTION"][:2]
            block = block.replace("100055433", str(some[0])).replace("100307214", str(some[1]))
        exec(compile(block, f"block {number} of python.md", "exec"), names)
        if number == 0:
            with Path("predict-age.toml").open("a") as stream:
                stream.write(f"\n{TINY}")
    assert names["answer"].num_rows == 2
    assert names["scores"].all.rows == 2
    assert names["table"].num_rows == 1200
