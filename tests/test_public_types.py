"""Types of the Python interface: py.typed, no Any in a public signature, and imports that cost nothing."""

import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import predict_age

NAMES = [name for name in predict_age.__all__ if name != "__version__"]


def signatures(name: str) -> Iterator[tuple[str, Any]]:
    """A public function, or the public methods and properties of a public class that this package defines."""
    thing = getattr(predict_age, name)
    if not inspect.isclass(thing):
        yield name, thing
        return
    yield name, thing.__init__
    for key, member in vars(thing).items():
        function = member.fget if isinstance(member, property) else getattr(member, "func", getattr(member, "__func__", member))
        if (not key.startswith("_") or key in {"__call__", "__len__", "__arrow_c_stream__"}) and inspect.isfunction(function):
            yield f"{name}.{key}", function


def mentions_any(kind: object) -> bool:
    """Whether Any is in a type, however deep."""
    return kind is Any or any(mentions_any(inner) for inner in typing.get_args(kind) if not isinstance(inner, str))


@pytest.mark.parametrize("name", NAMES)
def test_no_public_signature_has_any(name: str) -> None:
    """Every parameter and every result has a type, which typing.get_type_hints can read, and none is Any."""
    seen = 0
    for called, function in signatures(name):
        hints = typing.get_type_hints(function)
        assert not [n for n, kind in hints.items() if mentions_any(kind)], called
        parameters = [p for p in inspect.signature(function).parameters if p not in {"self", "args", "kwargs"}]
        assert set(parameters) <= set(hints), called
        seen += 1
    assert seen


def test_the_check_can_fail() -> None:
    """Any is found inside other types."""

    def wrong(_: dict[str, list[Any]]) -> None: ...

    assert mentions_any(typing.get_type_hints(wrong)["_"])
    assert not mentions_any(dict[str, list[int]])


def test_type_checkers_read_the_package() -> None:
    """py.typed is in the package and in what the wheel takes."""
    assert files("predict_age").joinpath("py.typed").is_file()
    assert 'packages = ["src/predict_age"]' in (Path(__file__).parents[1] / "pyproject.toml").read_text()


def test_import_is_light() -> None:
    """`import predict_age` loads nothing heavy and takes less than 0.2 s of processor time more than Python itself."""
    heavy = ("numpy", "pyarrow", "duckdb", "pandas", "jinja2", "pydantic", "rich", "typer")
    code = f"""
import sys, time
began = time.process_time()
import predict_age
print(time.process_time() - began, [m for m in {heavy} if m in sys.modules])
"""
    seconds, _, loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.partition(
        " "
    )
    assert float(seconds) < 0.2
    assert loaded.strip() == "[]"
