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


def test_what_scrolls_can_be_reached_by_keyboard() -> None:
    """Blocks that scroll sideways take the focus: in reports, model cards and on the site, whose pages load nothing from another host."""
    pages = {path.name: path.read_text() for path in (ROOT / "src" / "predict_age" / "html").glob("*.html")}
    blocks = [tag for text in pages.values() for tag in re.findall(r"<[^>]*\bscroll\b[^>]*>", text)]
    assert len(blocks) > 10
    assert all('tabindex="0"' in tag for tag in blocks)
    built = runpy.run_path(str(ROOT / "docs" / "site.py"))["on_post_page"](
        '<div class="navbar fixed-top"></div><pre><code>x</code></pre><table>\n<tr><th></th><th>a</th></tr></table>', page=None
    )
    assert built == (
        '<div role="banner" class="navbar fixed-top"></div><pre tabindex="0"><code>x</code></pre>'
        '<div class="wide" tabindex="0"><table>\n<tr><td></td><th>a</th></tr></table></div>'
    )
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["hooks"] == ["docs/site.py"]
    assert settings["theme"]["highlightjs"] is False


def contrast(one: str, other: str) -> float:
    """Ratio of the luminances of two colours ``#rrggbb`` (WCAG 2.1, 1.4.3)."""
    bright = []
    for colour in (one, other):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        bright.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(bright) / min(bright)


def test_text_has_contrast() -> None:
    """At least 4.5 to 1: colours that docs/site.css sets, white on the site's bar, and those of reports, light and dark."""
    css = (ROOT / "docs" / "site.css").read_text()
    colours = dict(re.findall(r"--bs-([a-z-]+): (#[0-9a-f]{6})", css))
    assert len(colours) == 5
    assert {name: c for name, c in colours.items() if contrast(c, "#f8f9fa") < 4.5} == {}
    (bar,) = re.findall(r"bg-primary \{ background: (#[0-9a-f]{6})", css)
    assert contrast(bar, "#ffffff") >= 4.5
    style = (ROOT / "src" / "predict_age" / "html" / "style.css").read_text()
    for theme in re.findall(r":root \{(.*?)\}", style):
        named = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", theme))
        named = {name: c if len(c) == 7 else "#" + "".join(2 * part for part in c[1:]) for name, c in named.items()}
        texts = [named[name] for name in ("ink", "soft", "blue", "orange", "red", "green")]
        assert min(contrast(c, named[ground]) for c in texts for ground in ("paper", "tint")) >= 4.5
    assert contrast("#2fa4e7", "#f8f9fa") < 4.5, "the theme's own colour, which is the reason"


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
        for line in block.replace("\\\n", " ").splitlines() if "PYTHON" not in block else ():
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
