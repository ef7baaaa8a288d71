"""What libraries import where they can, and this program never uses, is kept from them: it takes longer than the work itself."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType


def block_unused_imports() -> None:
    """For the whole process: no scikit-learn, no reader of Fortran.

    XGBoost and LightGBM would import scikit-learn, which takes a second; SciPy all that NumPy has, and with it a reader of Fortran,
    which takes a tenth of one. They do without the former; SciPy does not ask, and gets an empty module.
    """
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    if not any(isinstance(finder, _Empty) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Empty())


class _Empty:
    """Finds a module that nobody needs, and nothing in it. Its base classes would be abstract, and slow to import."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == "numpy.f2py" else None  # type: ignore[arg-type]

    def create_module(self, _spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, _module: ModuleType) -> None:
        """Nothing."""


@contextmanager
def stub_imports(absent: Sequence[str], empty: Mapping[str, str] | None = None) -> Iterator[None]:
    """Modules that are imported inside find none of ``absent``, and in each module of ``empty`` one class, which can do nothing.

    What has been imported before stays. No garbage is looked for meanwhile: nearly everything that an import makes is to stay.
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
