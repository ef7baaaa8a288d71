"""Pages as a reader uses them: the site has them all, commands in them are accepted, tutorial and README are run."""

import functools
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import predict_age
from conftest import TINY, cli
from predict_age.cli.reference import command_line

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


def in_nav(entries: list[object]) -> Iterator[str]:
    """Pages of a navigation."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            yield from in_nav(list(entry.values()))
        elif isinstance(entry, list):
            yield from in_nav(entry)


def test_the_site_has_every_page_once(tmp_path: Path) -> None:
    """The navigation names each page that is copied, but single decisions, and no other."""
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["strict"]
    assert set(settings["validation"].values()) == {"warn"}
    runpy.run_path(str(ROOT / "docs" / "site.py"))["stage"](tmp_path / "pages")
    there = {p.relative_to(tmp_path / "pages").as_posix() for p in (tmp_path / "pages").rglob("*.md")}
    named = list(in_nav(settings["nav"]))
    assert len(named) == len(set(named))
    assert set(named) == {page for page in there if not re.match(r"docs/adr/\d", page)}
    assert [next(iter(entry)) for entry in settings["nav"]][1:] == ["Tutorial", "How to", "Reference", "Explanation"]
    decisions = (tmp_path / "pages" / "docs" / "adr" / "index.md").read_text()
    assert all(path.name in decisions for path in (ROOT / "docs" / "adr").glob("0*.md"))


def commands_of(page: Path) -> list[str]:
    """Lines of code blocks that call the program, without comments and redirections."""
    blocks = re.findall(r"^```(?:sh|bash)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = re.sub(r"\\\n", " ", "".join(blocks)).splitlines()
    return [re.split(r"\s+(?:#|\d?>|\||&)", line)[0] for line in lines if line.startswith("predict-age ")]


@pytest.mark.parametrize("page", [p for p in PAGES if commands_of(p)], ids=lambda p: p.name)
def test_commands_on_pages_are_accepted(page: Path) -> None:
    """Every command in a code block: it exists, and so do its options; nothing is run."""
    for line in commands_of(page):
        _, name, *rest = shlex.split(line)
        if "..." not in rest:
            command_line()[name].make_context(name, rest)


def test_a_wrong_command_on_a_page_is_found(tmp_path: Path) -> None:
    """The check above can fail."""
    (tmp_path / "p.md").write_text("```\npredict-age verify --workspace w --deep  # all\n```\n")
    [line] = commands_of(tmp_path / "p.md")
    with pytest.raises(Exception, match="No such option: --deep"):
        command_line()["verify"].make_context("verify", shlex.split(line)[2:])


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of docs/first-result.md, one after another, with fewer people and small models."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "first-result.md").read_text(), re.M | re.S)
    assert len(blocks) == 7
    said = ""
    for block in blocks:
        for code in re.findall(r"<<'PYTHON'\n(.*?)^PYTHON", block, re.M | re.S):
            generated = block.splitlines()[0].replace("--rows 6000", "--rows 1200")
            cli(*shlex.split(generated)[1:])
            exec(compile(code, "first-result.md", "exec"), {})
        for line in block.splitlines() if "PYTHON" not in block else ():
            said += cli(*shlex.split(line)[1:]).stdout
        if "predict-age init" in block:
            with Path("predict-age.toml").open("a") as stream:
                stream.write(f"\n{TINY}")
    assert Path("people.html").stat().st_size > 10_000
    assert "ML_PREDICTION" in said
    assert len(Path("ages.csv").read_text().splitlines()) == 1201


def test_the_readme_s_python_runs(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python of the README in a folder with people, with small models instead of the default ones."""
    monkeypatch.chdir(tmp_path)
    Path("people").mkdir()
    pq.write_table(pq.read_table(people / "people").slice(0, 600), "people/people.parquet")
    Path("c.toml").write_text(TINY)
    monkeypatch.setattr(predict_age, "run", functools.partial(predict_age.run, config="c.toml", progress=False))
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["model"], predict_age.AgeModel)
