"""Import blocking: keeps libraries from importing optional modules that this program never uses, which would take seconds."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType


def block_unused_imports() -> None:
    """Block scikit-learn, pandas and NumPy's Fortran parser in a process of the program, never in that of a user's script.

    Where they are installed, XGBoost and LightGBM import scikit-learn (1 s), PyArrow imports pandas for its first array (0.7 s),
    and each works without. SciPy imports all of NumPy, including ``numpy.f2py`` (0.1 s), which is replaced by an empty module.
    """
    if not any(isinstance(finder, _Unused) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Unused())


class _Unused:
    """Finder that finds no unused package, and loader of an empty module. It has no base class because importing those is slow."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Find the empty module. Raises ModuleNotFoundError for packages (``None`` in ``sys.modules`` confuses PyArrow)."""
        if name in ("sklearn", "pandas"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return ModuleSpec(name, self) if name == "numpy.f2py" else None  # type: ignore[arg-type]

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave the creation to Python."""

    def exec_module(self, _module: ModuleType) -> None:
        """Leave the module empty."""


@contextmanager
def stub_imports(absent: Sequence[str], empty: Mapping[str, str] | None = None) -> Iterator[None]:
    """Hide the modules ``absent``, and replace each module in ``empty`` by one with a single empty class, for imports inside.

    Modules that were imported before stay. Garbage collection is off meanwhile: nearly all objects of an import are permanent.
    """
    instead: dict[str, ModuleType | None] = dict.fromkeys(absent)
    for name, held in (empty or {}).items():
        instead[name] = ModuleType(name)
        setattr(instead[name], held, type(held, (), {}))
    hidden = {name: module for name, module in instead.items() if name not in sys.modules}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
        if collects:
            gc.enable()
