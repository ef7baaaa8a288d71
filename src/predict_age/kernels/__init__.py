"""Loops that are compiled to machine code by Numba: exact twins of slower code, which stays and serves where they cannot run.

The only place that knows Numba. Its import takes a quarter of a second and compiling a kernel some seconds, once for a machine:
callers ask for kernels only when there are rows enough to win that back, and :func:`usable` says whether they can.
"""

from __future__ import annotations

from functools import cache

WORTH_ROWS = 4096  # below that the slower code is done before a kernel is loaded


@cache
def usable() -> bool:
    """Whether kernels can be compiled and run here."""
    try:
        from predict_age.kernels.compile import works
    except Exception:  # whatever a missing or broken installation raises: the slower code gives the same
        return False
    return works()
