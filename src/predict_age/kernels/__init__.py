"""Numba kernels: compiled loops that give the same results as the NumPy or DuckDB code that serves where they cannot run.

The only package that imports Numba. The import takes a quarter of a second, and compiling a kernel some seconds, once a machine.
:func:`use_kernels` decides whether there are enough rows to make up for that, and whether kernels work at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from predict_age.runtime.import_blocking import stub_imports

UNUSED_NUMBA_IMPORTS = ("scipy.linalg", "cffi")  # Numba imports them at its first kernel if it can, but kernels do not use them
MIN_KERNEL_ROWS = 4096  # below that, the slower code finishes before a kernel is loaded


@dataclass
class KernelSwitch:
    """Process-wide switch: when ``on`` is False, the slower code serves everywhere, so that both can be compared."""

    on: bool = True


kernel_switch = KernelSwitch()


@cache
def kernels_usable() -> bool:
    """Return True when kernels can be compiled and run on this machine."""
    try:
        with stub_imports(UNUSED_NUMBA_IMPORTS):
            from predict_age.kernels.jit import kernels_work

            return kernels_work()
    except Exception:  # a missing or broken installation may raise anything; the slower code gives the same result
        return False


def prepare_kernels(rows: int) -> None:
    """Load kernels if they pay for ``rows`` rows in total, which may arrive in slices that are too small alone."""
    use_kernels(rows)


def use_kernels(rows: int) -> bool:
    """Return True when kernels should process ``rows`` rows: if there are many, or if kernels are loaded already."""
    return kernel_switch.on and (rows >= MIN_KERNEL_ROWS or kernels_usable.cache_info().currsize > 0) and kernels_usable()
