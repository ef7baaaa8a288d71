"""Loops that are compiled to machine code by Numba: exact twins of slower code, which stays and serves where they cannot run.

The only place that knows Numba. Its import takes a quarter of a second and compiling a kernel some seconds, once for a machine:
:func:`use_kernels` says whether there are rows enough to win that back, and whether kernels can be had at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from predict_age.runtime.import_blocking import stub_imports

UNUSED_NUMBA_IMPORTS = ("scipy.linalg", "cffi")  # Numba imports them at its first kernel where it can, for what kernels do not use
MIN_KERNEL_ROWS = 4096  # below that the slower code is done before a kernel is loaded


@dataclass
class KernelSwitch:
    """``on``: kernels may serve in this process. Off, the slower code does, whoever asks: for comparing both."""

    on: bool = True


kernel_switch = KernelSwitch()


@cache
def kernels_usable() -> bool:
    """Whether kernels can be compiled and run here."""
    try:
        with stub_imports(UNUSED_NUMBA_IMPORTS):
            from predict_age.kernels.jit import kernels_work

            return kernels_work()
    except Exception:  # whatever a missing or broken installation raises: the slower code gives the same
        return False


def prepare_kernels(rows: int) -> None:
    """Load kernels when they are worth it for ``rows`` rows that will come in slices, none of which may be worth it alone."""
    use_kernels(rows)


def use_kernels(rows: int) -> bool:
    """Whether kernels do ``rows`` rows here: many, or any number once they have been loaded. The result is the same."""
    return kernel_switch.on and (rows >= MIN_KERNEL_ROWS or kernels_usable.cache_info().currsize > 0) and kernels_usable()
