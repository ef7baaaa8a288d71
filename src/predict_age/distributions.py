"""Quantiles of the usual distributions, from ``scipy.special``: importing ``scipy.stats`` takes a second.

Even ``scipy.special`` takes a quarter of one, so it waits until somebody asks: workers, which import this module, never do.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _special() -> Any:
    return import_module("scipy.special")


def normal_upper_quantile(chance: float) -> float:
    """What a standard normal variable exceeds with probability ``chance``."""
    return float(-_special().ndtri(chance))


def student_t_upper_quantile(chance: float, freedom: float) -> float:
    """The same of Student's t with ``freedom`` > 0 degrees."""
    return float(-_special().stdtrit(freedom, chance))


def chi_squared_upper_quantile(chance: float, freedom: float) -> float:
    """The same of chi-squared."""
    return float(_special().chdtri(freedom, chance))


def f_upper_quantile(chance: float, first: float, second: float) -> float:
    """The same of Fisher's F."""
    return float(_special().fdtri(first, second, 1 - chance))
