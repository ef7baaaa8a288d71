"""Texts that are written twice must agree, and texts that must not be written are not there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml

from conftest import cli, cli_process
from faults import call
from predict_age import errors
from predict_age.cli import COMMAND_ORDER, app
from predict_age.cli.reference import command_line, reference
from predict_age.config import Config
from predict_age.features.reference_table import feature_table
from predict_age.features.spec import load_features

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("command", command_line())
def test_every_command_has_help_with_an_example(command: str) -> None:
    """``--help`` and ``-h`` of each command show how to call it."""
    shown = call([command, "--help"])
    assert f"predict-age {command} " in " ".join(shown[1].split())
    assert call([command, "-h"])[:2] == shown[:2]  # stderr may have a warning about what other tests left
    assert shown[0] == 0


def test_a_command_that_was_parsed_alone_knows_both_names_of_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """As schedules and these tests parse it: Typer gives a command object the help options of its first use."""
    group = typer.main.get_group(app)
    monkeypatch.setattr(typer.main, "get_command", lambda _: group)
    group.commands["serve"].make_context("serve", ["--workspace", "work"])
    assert [call(["serve", name])[0] for name in ("--help", "-h")] == [0, 0]


def test_help_lists_the_commands_in_the_order_of_a_run() -> None:
    """The program's commands are those of the list, each once, and ``--help`` shows all that are not hidden in its order."""
    visible = [name for name in COMMAND_ORDER if not name.startswith("aws-")]
    assert sorted(c.name or "" for c in app.registered_commands) == sorted(COMMAND_ORDER)
    assert (
        re.findall(r"^\W*([a-z]+(?:-[a-z]+)*)  ", cli_process("--help", env={"COLUMNS": "200"}).stdout, re.M)[-len(visible) :]
        == visible
    )


def test_the_reference_of_the_command_line_is_current() -> None:
    """docs/cli.md is made from the program: ``python -m predict_age.cli.reference > docs/cli.md``."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert reference() == text
    assert all(f"\n## {name}\n" in text for name in COMMAND_ORDER)


def test_limits_of_options_are_those_of_their_keys() -> None:
    """A number outside the range of a key is refused as the option that it came from, for every command that has the option."""
    for option, section, key in (("--workers", "running", "workers"), ("--tune", "training", "tune_minutes")):
        field = Config.model_fields[section].annotation.model_fields[key]  # type: ignore[union-attr]
        most = next(m.le for m in field.metadata if hasattr(m, "le"))
        found = [p.max for c in command_line().values() for p in c.params if option in p.opts]
        assert found
        assert set(found) == {most}
    refused = cli("run", "--source", "x", "--workspace", "y", "--as-of", "2025-10-23", "--workers", "9999", check=2).stderr
    assert "'--workers'" in refused


def test_help_lists_the_exit_codes() -> None:
    """The exit codes are an interface: the error tree and the help agree."""
    codes = {c.exit_code for c in errors.PredictAgeError.__subclasses__() if c.__module__.startswith("predict_age.")}
    assert codes == {2, 3, 4, 5, 6, 75}
    assert "predict-age 0." in cli("--version").stdout


def test_documented_features_are_the_declared_ones() -> None:
    """docs/features.md is generated from the feature file."""
    assert feature_table(load_features(None)) in (ROOT / "docs" / "features.md").read_text(encoding="utf-8")


def test_documented_configuration_is_the_real_one() -> None:
    """Every key of the configuration stands in docs/configuration.md with its default, and no other key does."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    declared = {f"{s}.{k}" for s, section in Config.model_fields.items() for k in section.annotation.model_fields}  # type: ignore[union-attr]
    assert set(re.findall(r"^\| `(\w+\.\w+)`", text, re.M)) == declared


def test_light_modules_import_nothing_heavy() -> None:
    """The order of steps, the configuration and the errors are importable where DuckDB and XGBoost are not."""
    code = "import sys, predict_age.runs.run, predict_age.runs.batching, predict_age.storage.row_accounting, predict_age.cli, predict_age.pipeline.runner; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"duckdb", "pyarrow", "numpy", "xgboost", "lightgbm", "sqlglot"} & set(loaded)


def test_the_program_trains_without_scikit_learn_and_pandas() -> None:
    """Both are installed here for the tests; XGBoost, LightGBM and PyArrow would import them, and work without."""
    code = "import sys, xgboost, lightgbm, pyarrow; pyarrow.array([1.0]); print(*sorted(sys.modules))"
    blocked = "from predict_age.runtime.import_blocking import block_unused_imports; block_unused_imports(); " + code
    unblocked, loaded = (
        set(subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True).stdout.split())
        for c in (code, blocked)
    )
    unused = {"sklearn.base", "scipy.stats", "pandas.core.api"}
    assert unused <= unblocked
    assert {"xgboost", "lightgbm", "pyarrow"} <= loaded
    assert not unused & loaded


def test_a_command_imports_no_pandas(tmp_path: Path) -> None:
    """Where it is installed, nothing waits for it."""
    (tmp_path / "people.csv").write_text("pid,age,tenure\n" + "".join(f"{n},{20 + n},{n}\n" for n in range(40)))
    code = f"import sys; sys.argv = ['predict-age', 'init', '--source', {str(tmp_path / 'people.csv')!r}, '--yes']\nfrom predict_age.__main__ import main\ntry: main()\nfinally: sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "pyarrow.lib" in done.stderr.split()
    assert "pandas.core.api" not in done.stderr.split()


def test_help_is_the_library_s_without_half_of_its_imports() -> None:
    """The imports that the program keeps from the library that prints its help do not change the help."""
    ours = "import sys; sys.argv = ['predict-age', 'run', '--help']\nfrom predict_age.cli import run_cli\ntry: run_cli()\nfinally: sys.stderr.write(' '.join(sys.modules))"
    theirs = "import typer.rich_utils\n" + ours
    quick, whole = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for code in (ours, theirs)
    )
    assert "--workspace" in quick.stdout
    assert quick.stdout == whole.stdout
    kept_away = {"markdown_it", "pygments", "attr", "rich.markdown", "rich.traceback", "multiprocessing"}
    assert not kept_away & set(quick.stderr.split())
    assert {"markdown_it", "rich.markdown", "rich.traceback"} <= set(whole.stderr.split())


def test_no_registry_and_no_local_path_in_the_repository() -> None:
    """No tracked file names a package registry's host or a path of somebody's machine."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not files:
        pytest.skip("not a git checkout")
    forbidden = re.compile("|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "/" + "work/", "/" + "root/", "/" + "home/"]))
    found = [f for f in files if forbidden.search((ROOT / f).read_text(encoding="utf-8", errors="ignore"))]
    assert not found


def locked(name: str) -> dict[str, str]:
    """The packages of a requirements file: each with its versions, markers and hashes as the file writes them."""
    blocks = re.split(r"\n(?=\S)", (ROOT / f"requirements-{name}.txt").read_text(encoding="utf-8").strip())
    found: dict[str, str] = {}
    for block in blocks:
        package = re.split(r"[=<> ;]", block)[0]
        found[package] = found.get(package, "") + block + "\n"
    return found


@pytest.mark.parametrize("name", ["run", "aws", "serve", "dev", "checkov"])
def test_requirements_are_pinned_and_hashed(name: str) -> None:
    """Every requirement has an exact version and hashes."""
    packages = locked(name)
    assert len(packages) > 20
    for text in packages.values():
        versions = [line for line in text.splitlines() if not line.startswith(" ")]
        assert all("==" in line for line in versions)
        assert text.count("--hash=sha256:") >= len(versions)


def test_requirements_hold_what_the_package_declares() -> None:
    """The run set covers the package's dependencies; each larger set holds the smaller one, version for version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run, aws, serve, dev = (locked(name) for name in ("run", "aws", "serve", "dev"))
    declared = {re.split(r"[\[=<>]", text)[0] for text in project["project"]["dependencies"]}
    tools = {re.split(r"[\[=<>]", text)[0] for text in project["dependency-groups"]["dev"]}
    assert declared <= set(run)
    assert tools <= set(dev)
    assert not tools & set(aws)
    assert "boto3" in set(aws) - set(run)
    assert run.items() <= aws.items() <= dev.items()
    assert {"uvicorn", "httptools", "uvloop"} <= set(serve) - set(run)
    assert run.items() <= serve.items() <= dev.items()


def test_makefile_imports_modules_that_exist() -> None:
    """``make run`` imports modules once after the installation, so that Python keeps them compiled; all of them exist."""
    [used] = re.findall(r"^USED := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    names = used.split(", ")
    assert len(names) > 4
    assert all(importlib.util.find_spec(name) for name in names)


def test_ci_runs_the_developers_commands_on_every_supported_python() -> None:
    """The workflow runs ``.ci/run``, from the oldest Python that the package declares on; its actions have exact versions."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    job = yaml.safe_load(text)["jobs"]["check"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"]["python"] == [oldest, "3.12", "3.13", "3.14"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [action.partition("@")[0] for action in actions] == [
        "actions/checkout",
        "actions/setup-python",
        "hashicorp/setup-terraform",
    ]
    assert job["steps"][-1]["env"] == {"REQUIRE_TERRAFORM": "1"}, "the rules of the Terraform modules are not skipped"
    assert all(re.search(r"@v\d+\.\d+\.\d+$", action) for action in actions)
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_forms_are_forms(name: str) -> None:
    """Every field that asks something has an id and a label; at least one must be filled in."""
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)
