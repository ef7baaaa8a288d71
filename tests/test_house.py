"""Rules that keep the code readable, each shown to be able to fail: sizes, names, docstrings, layers."""

from __future__ import annotations

import ast
import configparser
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

from predict_age.tally import percent

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "predict_age"
PYTHON = {p.relative_to(PACKAGE).as_posix(): p.read_text(encoding="utf-8") for p in sorted(PACKAGE.rglob("*.py"))}

MOST_LINES = 300
MOST_UNTYPED = 25  # uses of dict[str, Any]; to be lowered with every record that becomes a class, to 25
MOST_UNFORMATTED = 10  # tables that the formatter would spoil
SHARED_NAMES = {"handle"}  # the function of each Lambda, by AWS's convention
BANNED = {"luck", "told", "vouched", "losers", "lesson", "bite", "anew", "lanes", "memo", "looked_at", "judge", "mended", "wrongs"}
BANNED_STILL = {}
RIDDLES_STILL = 0  # docstrings with a bad opening
DYNAMIC_IMPORTS = {  # module that imports by name -> the names it may import
    "distributions.py": {"scipy.special"},  # on first use: it takes a quarter of a second
    "pipeline/imports_ahead.py": {"predict_age.report", "scipy.special", "lightgbm"},  # each step when its turn comes
}
FOLDERS = ("src", "tests", "benchmarks", "examples", "docs", "terraform")  # whose prose is checked, beside pages at the top
PRELOADED = {"runtime/forkserver.py": {"predict_age.forkserver_preload"}}  # a name handed to the standard library's fork server


def names_of(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines at its top level: functions, classes, constants, but no type variables."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "TypeVar"):
            yield from (n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def import_circle(modules: dict[str, str]) -> list[str]:
    """Modules of the package that import each other in a circle, wherever an import stands; empty where none do."""
    dotted = {
        ".".join(["predict_age", *name.removesuffix(".py").removesuffix("__init__").strip("/").split("/")]).strip("."): name
        for name in modules
    }
    imports: dict[str, set[str]] = {}
    for name, text in modules.items():
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom | ast.Import)]
        wanted = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= (full & dotted.keys()) or {node.module}
        imports[name] = {dotted[module] for module in wanted & dotted.keys()} - {name}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def long_modules(modules: dict[str, str]) -> set[str]:
    """Modules with too many lines. A kernel stays whole: its loops are read together."""
    return {name for name, text in modules.items() if len(text.splitlines()) > MOST_LINES and not name.startswith("kernels/")}


def twice_defined(modules: dict[str, str]) -> dict[str, set[str]]:
    """Public top-level names that several modules define, and those modules."""
    where: dict[str, set[str]] = defaultdict(set)
    for module, text in modules.items():
        for name in names_of(ast.parse(text)):
            if not name.startswith("_"):
                where[name].add(module)
    return {name: found for name, found in where.items() if len(found) > 1}


def riddles(modules: dict[str, str]) -> list[str]:
    """Docstrings that do not open with a verb or the name of a thing."""
    found = []
    for module, text in modules.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                opening = ast.get_docstring(node) or ""
                if re.match(r"(What|How|Of|The same)\b", opening):
                    found.append(f"{module}: {getattr(node, 'name', 'module')}: {opening.splitlines()[0]}")
    return found


def docstrings_and_comments(text: str) -> str:
    """Docstrings and comments of a module."""
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    docstrings = [ast.get_docstring(n) or "" for n in ast.walk(ast.parse(text)) if isinstance(n, documented)]
    return "\n".join((*docstrings, comments(text)))


def comments(text: str) -> str:
    """Comments of Python, Terraform or a Makefile."""
    return "\n".join(re.findall(r"(?m)(?:^|\s)# (.*)", text))


def sentences_of_page(text: str) -> str:
    """A Markdown page without blocks of code, headings and the header rows of tables."""
    return re.sub(r"(?ms)^ *```.*?^ *```$|^#+ [^\n]*$|^\|[^\n]*\n(?=\|[-: |]+\|$)", "", text)


def sentences_of_template(text: str) -> str:
    """A template of HTML without headings."""
    return re.sub(r"(?s)<(h[1-6])\b.*?</\1>", "", text)


PROSE: dict[str, Callable[[str], str]] = {
    ".py": docstrings_and_comments,
    ".tf": comments,
    "": comments,
    ".md": sentences_of_page,
    ".html": sentences_of_template,
}


def bad_openings(files: dict[str, str]) -> list[str]:
    """Sentences of prose that open with "What" or "Of", also in an item of a list, a cell of a table or a tag."""
    opening = re.compile(r"""(?m)(?:^|>|[.!?:|][*`"')]* )[ *_"'([-]*((?:What|Of)\b.*)""")
    return [f"{name}: {found}" for name, text in files.items() for found in opening.findall(PROSE[Path(name).suffix](text))]


def identifiers(text: str) -> set[str]:
    """Every name that the code of a module defines or uses."""
    return {
        value
        for node in ast.walk(ast.parse(text))
        for value in (getattr(node, a, None) for a in ("id", "attr", "arg", "name", "asname"))
        if isinstance(value, str)
    }


def banned_words(modules: dict[str, str]) -> dict[str, set[str]]:
    """Private words in identifiers and module names, by module."""
    found: dict[str, set[str]] = {}
    for module, text in modules.items():
        names = {n.strip("_").lower() for n in identifiers(text) | {Path(module).stem}}
        words = {w for w in BANNED for n in names if re.search(rf"(?:^|_){w}(?:_|$)", n)}
        if words:
            found[module] = words
    return found


def imported_by_name(text: str) -> set[str]:
    """Modules that ``import_module`` or ``__import__`` may reach: dotted names among the strings of such a module."""
    tree = ast.parse(text)
    if not {"import_module", "__import__"} & identifiers(text):
        return set()
    strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    dotted = {s.rstrip(".") for s in strings if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+\.?", s) and find_spec(s.partition(".")[0])}
    return dotted or {"a name that is not in the module"}


def own_modules_in_strings(module: str, text: str) -> set[str]:
    """This package's modules that strings of ``module`` name: imports that no contract sees. Its own package's data are none."""
    own = "predict_age." + module.removesuffix(".py").replace("/", ".") + "."
    strings = {n.value.rstrip(".") for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {s for s in strings if re.fullmatch(r"predict_age(\.[a-z_]+)+", s) and module_exists(s) and not own.startswith(f"{s}.")}


def module_exists(dotted: str) -> bool:
    """Whether a dotted name is a module or package of this one."""
    path = ROOT / "src" / Path(*dotted.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def layers() -> list[list[str]]:
    """The layers of the import contract, the highest first; packages beside each other share a layer."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return [re.findall(r"\w+", line) for line in parser["importlinter:contract:layers"]["layers"].split("\n") if line.strip()]


def layer_of(module: str) -> int:
    """The number of the layer of a module, 0 for the highest."""
    top = module.removeprefix("predict_age.").replace("/", ".").split(".")[0]
    return next(number for number, packages in enumerate(layers()) if top in packages)


def test_modules_are_short() -> None:
    """No module has more than 300 lines, kernels excepted."""
    assert not long_modules(PYTHON)
    assert long_modules({"a.py": "x = 1\n" * 301, "kernels/b.py": "x = 1\n" * 301, "c.py": "x = 1\n" * 300}) == {"a.py"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not even inside functions or for types alone: what two modules share is in a third."""
    assert import_circle(PYTHON) == []
    example = {
        "p/__init__.py": "",
        "p/a.py": "from predict_age.p import b",
        "p/b.py": "def f():\n    from predict_age.c import x",
        "c.py": "if TYPE_CHECKING:\n    import predict_age.p.a",
    }
    assert set(import_circle(example)) == {"p/a.py", "p/b.py", "c.py"}
    assert import_circle(example | {"c.py": "import predict_age.p"}) == []


def percentages_without_a_blank(modules: dict[str, str]) -> list[str]:
    """Places that write a share without the blank of ``tally.percent``: "90%", or Python's own format."""
    found = []
    for name, text in modules.items():
        tree = ast.parse(text)
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        found += [
            f"{name}: {t}"
            for t in texts
            if re.search(r"(?<![\w%.])\d+(\.\d+)?%(?![\w%;])|^[+,]?(\.\d)?%$|:\.\d%\}", t) and t != "%"
        ]
    return found


def folders_put_first(modules: dict[str, str]) -> list[str]:
    """Modules that put a folder before those in which Python looks for modules."""
    return [
        name
        for name, text in modules.items()
        for node in ast.parse(text).body
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith("sys.path.insert")
    ]


def test_no_test_puts_a_folder_before_that_of_the_tests() -> None:
    """In whichever order they are collected: a process that a test spawns looks for ``faults`` in the same folders."""
    assert not folders_put_first({p.name: p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("*.py")})
    assert folders_put_first({"a.py": "import sys\nsys.path.insert(0, 'benchmarks')", "b.py": "sys.path.append('c')"}) == ["a.py"]


def test_percentages_are_written_in_one_way() -> None:
    """On the terminal, in the report and on the card: "90 %", by one function."""
    assert percentages_without_a_blank(PYTHON) == []
    example = {"a.py": 'x = f"{y:.1%}"', "b.py": 'x = "90%"', "c.py": 'x = "{:.0%}"', "d.py": 'x, y = "90 %", "width:100%;"'}
    assert [place[:4] for place in percentages_without_a_blank(example)] == ["a.py", "b.py", "c.py"]
    assert [percent(0.905), percent(1, 0), percent(0.12345, 2), percent(0)] == ["90.5 %", "100 %", "12.35 %", "0.0 %"]
    for thousandths in range(1001):
        assert percent(thousandths / 1000).replace(" %", "%") == f"{thousandths / 1000:.1%}"


def test_public_names_are_unique() -> None:
    """One name, one thing: no two modules define the same public top-level name."""
    assert not {n: m for n, m in twice_defined(PYTHON).items() if n not in SHARED_NAMES}
    example = {
        "a.py": "def plan(): ...\n_x = 1\nT = TypeVar('T')",
        "b.py": "plan, other = 1, 2\n_x = 2\nT = TypeVar('T')",
        "c.py": "from a import plan\nother: int = 3",
    }
    assert twice_defined(example) == {"plan": {"a.py", "b.py"}, "other": {"b.py", "c.py"}}


def test_docstrings_open_with_a_verb_or_a_noun() -> None:
    """A reader learns from the first words whether a function does something or is something."""
    found = riddles(PYTHON)
    assert len(found) <= RIDDLES_STILL, "\n".join(found)
    assert riddles({"a.py": '"""Of the people."""\ndef f():\n    """Howitzer."""\nclass C:\n    """The same of t."""'}) == [
        "a.py: module: Of the people.",
        "a.py: C: The same of t.",
    ]


def test_no_sentence_opens_with_what_or_of() -> None:
    """Such sentences hide their subject. Docstrings, comments, pages and templates have none."""
    paths = [*ROOT.glob("*.md"), ROOT / "Makefile", *(p for f in FOLDERS for p in (ROOT / f).rglob("*.*") if p.suffix in PROSE)]
    files = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}
    assert {".py", ".tf", "", ".md", ".html"} == {Path(name).suffix for name in files}
    found = bad_openings(files)
    assert not found, "\n".join(found)
    example = {
        "a.md": "# What is it?\n\nIt is. Of\ncourse.\n```sh\nWhat now\n```\n\n* **What c.**\n1. Of d",
        "b.md": "| What | b |\n|---|---|\n| a | What b |\n",
        "a.py": '# What e\n"""Sum. What it is."""\nx = "Of it"\ndef f():\n    """Whatever."""\n',
        "a.tf": "# Note: Of f\n",
        "a.html": "<h2>What is it?</h2>\n<p>What g</p>",
    }
    assert bad_openings(example) == [
        "a.md: Of",
        "a.md: What c.**",
        "a.md: Of d",
        "b.md: What b |",
        "a.py: What it is.",
        "a.py: What e",
        "a.tf: Of f",
        "a.html: What g</p>",
    ]


def count(pattern: str, modules: dict[str, str]) -> int:
    """How often a pattern occurs."""
    return sum(len(re.findall(pattern, text)) for text in modules.values())


@pytest.mark.parametrize(("pattern", "most"), [(r"#\s*fmt:\s*(skip|off)", MOST_UNFORMATTED), (r"dict\[str, Any\]", MOST_UNTYPED)])
def test_exceptions_stay_few(pattern: str, most: int) -> None:
    """Tables laid out by hand, and dictionaries of anything between modules."""
    tests = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "tests").glob("*.py") if p.name != Path(__file__).name}
    assert count(pattern, PYTHON | tests if "fmt" in pattern else PYTHON) <= most
    assert count(pattern, {"a.py": "x = [1]  # fmt: skip\ny: dict[str, Any]\n# fmt: off\nz: dict[str, Any]"}) == 2


def test_identifiers_use_the_field_s_words() -> None:
    """Words of the glossary's left column name nothing any more."""
    found = {m: words - BANNED_STILL.get(m, set()) for m, words in banned_words(PYTHON).items()}
    assert not {m: words for m, words in found.items() if words}
    example = {
        "a.py": "def f(_memo): return x.looked_at",
        "lanes.py": "import m as luck_of",
        "c.py": "judgement = memorable = 'luck'",
    }
    assert banned_words(example) == {"a.py": {"memo", "looked_at"}, "lanes.py": {"lanes", "luck"}}


def test_imports_by_name_are_listed() -> None:
    """``import_module`` escapes the import contracts: each use is listed, and reaches only into lower layers."""
    for module, text in PYTHON.items():
        assert imported_by_name(text) <= DYNAMIC_IMPORTS.get(module, set()), module
        assert own_modules_in_strings(module, text) <= DYNAMIC_IMPORTS.get(module, set()) | PRELOADED.get(module, set()), module
    for module, targets in DYNAMIC_IMPORTS.items():
        assert imported_by_name(PYTHON[module]), f"{module} imports nothing by name any more"
        for target in targets:
            if target.startswith("predict_age."):
                assert layer_of(target) > layer_of(module.removesuffix(".py")), (module, target)
    assert imported_by_name("import importlib as i\ni.import_module(f'predict_age.steps.{x}')") == {"predict_age.steps"}
    assert imported_by_name("__import__(x)") == {"a name that is not in the module"}
    assert own_modules_in_strings("sql/a.py", "load('predict_age.runs.run', 'predict_age.nothing', 'predict_age.sql')") == {
        "predict_age.runs.run"
    }
    assert layer_of("runtime/forkserver") > layer_of("steps/training") > layer_of("cli/app")


def unplaced(files: set[str], contract: configparser.SectionProxy) -> set[str]:
    """Modules and packages at the top that the layers contract does not place."""
    return files - set(re.findall(r"\w+", contract["layers"])) - set(contract["exhaustive_ignores"].split())


def test_layers_place_every_package() -> None:
    """The layers contract is exhaustive, and names what exists and nothing else."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    contract = parser["importlinter:contract:layers"]
    assert contract.getboolean("exhaustive")
    assert contract["containers"].split() == ["predict_age"]
    there = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()} - {"__init__"}
    assert not unplaced(there, contract)
    assert {package for layer in layers() for package in layer} | set(contract["exhaustive_ignores"].split()) == there
    assert unplaced(there | {"attic"}, contract) == {"attic"}


RULES: tuple[Callable[[dict[str, str]], object], ...] = (long_modules, twice_defined, riddles, banned_words)


@pytest.mark.parametrize("rule", RULES)
def test_a_clean_module_breaks_no_rule(rule: Callable[[dict[str, str]], object]) -> None:
    """The rules object to faults only."""
    assert not rule({"a.py": '"""Sums of numbers."""\n\ndef add(a, b):\n    """Add two numbers."""\n    return a + b\n'})
