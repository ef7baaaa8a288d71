"""Quantiles and tails of the usual distributions, from ``scipy.special``.

``scipy.stats`` takes a second to import, and ``scipy.special`` a quarter of one, so it is imported at the first call: workers,
which import this module, never call it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _special() -> Any:
    return import_module("scipy.special")


def normal_upper_quantile(alpha: float) -> float:
    """The value that a standard normal variable exceeds with probability ``alpha``."""
    return float(-_special().ndtri(alpha))


def student_t_upper_quantile(alpha: float, degrees: float) -> float:
    """The value that Student's t with ``degrees`` > 0 degrees of freedom exceeds with probability ``alpha``."""
    return float(-_special().stdtrit(degrees, alpha))


def chi_squared_upper_quantile(alpha: float, degrees: float) -> float:
    """The value that chi-squared with ``degrees`` > 0 degrees of freedom exceeds with probability ``alpha``."""
    return float(_special().chdtri(degrees, alpha))


def binomial_lower_tail(successes: int, trials: int, probability: float) -> float:
    """The probability of at most ``successes`` in ``trials`` with ``probability`` each."""
    return float(_special().bdtr(successes, trials, probability))


def f_upper_quantile(alpha: float, numerator: float, denominator: float) -> float:
    """The value that Fisher's F with ``numerator`` and ``denominator`` degrees of freedom exceeds with probability ``alpha``."""
    return float(_special().fdtri(numerator, denominator, 1 - alpha))
