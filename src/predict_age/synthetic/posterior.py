"""Best possible prediction for a synthetic person: the exact posterior of the age given the profile."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from predict_age.synthetic.model import AGES, FINISHING_AGE, N_YEARS, OFFSET_ZERO, Floats, People, model


@lru_cache(maxsize=1)
def _transitions() -> tuple[Floats, Floats]:
    """P(z | a, e) as (6, n_ages, 60) and P(x | z) as (60, 60), from the same slots that :func:`draw` uses."""
    tables = model()
    to_z = np.zeros((len(FINISHING_AGE), len(AGES), N_YEARS))
    for e, base in enumerate(FINISHING_AGE):
        for delay, probability in enumerate(tables.delay.pmf[e]):
            np.add.at(to_z[e], (np.arange(len(AGES)), np.maximum(0, AGES - base - delay)), probability)
    to_x = np.zeros((N_YEARS, N_YEARS))
    for slot, probability in enumerate(tables.offset.pmf[0]):
        x = np.clip(np.arange(N_YEARS) + slot - OFFSET_ZERO, 0, N_YEARS - 1)
        np.add.at(to_x, (np.arange(N_YEARS), x), probability)
    return to_z, to_x


def posterior(people: People) -> Floats:
    """P(age | everything shown) by summing out education, delay and career exactly (Bayes' rule on finite tables).

    Returns (n, 58) for the ages 18..75; rows sum to 1. About 1 kB of working memory a person: pass samples, not millions.
    """
    tables = model()
    to_z, to_x = _transitions()
    n = len(people.age)
    likelihood = {"a": np.ones((n, len(AGES))), "x": np.ones((n, N_YEARS)), "z": np.ones((n, N_YEARS)), "e": np.ones((n, 6))}
    level = np.ones((n, N_YEARS, 6))
    for variable in tables.variables:
        columns = variable.table.pmf.T[people.shown[variable.name]]
        if variable.parent == "xe":
            level = columns.reshape(n, N_YEARS, 6)
        else:
            likelihood[variable.parent] *= columns
    graduation = people.shown["graduation"].astype(int)
    graduated_in = np.where(graduation[:, None] > 0, graduation[:, None] - 1 == np.arange(N_YEARS), 1.0)
    shown = tables.graduation_shown.pmf[:, 1]
    likelihood["e"] *= np.where(graduation[:, None] > 0, shown, 1 - shown)
    likelihood["z"] *= graduated_in

    joint = np.zeros((n, len(AGES)))
    for e in range(6):
        given_z = (likelihood["x"] * level[:, :, e]) @ to_x.T * likelihood["z"]
        joint += given_z @ to_z[e].T * tables.education.pmf[:, e] * likelihood["e"][:, [e]]
    joint *= likelihood["a"] * tables.age.pmf[0]
    result: Floats = joint / joint.sum(axis=1, keepdims=True)
    return result


def best_prediction(people: People) -> NDArray[np.int64]:
    """The posterior median (n,), years: no prediction from the same profiles has a smaller expected absolute error."""
    cumulative = np.cumsum(posterior(people), axis=1)
    median: NDArray[np.int64] = AGES[(cumulative >= 0.5).argmax(axis=1)]
    return median
