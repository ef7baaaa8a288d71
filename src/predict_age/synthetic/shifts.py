"""Simulated drift of synthetic people, which a drift monitor must detect."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from predict_age.synthetic.model import People

SHARE = 0.15


class Shift(StrEnum):
    """Kinds of simulated drift, each in 15 % of the people.

    ``missing``: the job level is missing; ``longer``: tenure is 8 years longer; ``unseen``: the mail provider is new; ``older``:
    people are replaced by people over 50. ``unstated`` is selection by the age itself: the older people are,
    the fewer of those who would state it do.
    """

    missing = "missing"
    longer = "longer"
    unseen = "unseen"
    older = "older"
    unstated = "unstated"


def shifted(people: People, shifts: tuple[Shift, ...], rng: np.random.Generator) -> People:
    """People after all ``shifts``, unchanged when there are none."""
    for shift in shifts:
        if shift is Shift.unstated:
            continue
        chosen = rng.random(len(people.age)) < SHARE
        if shift is Shift.older:
            old = np.flatnonzero(people.age > 50)
            source = np.arange(len(people.age))
            if len(old):
                source[chosen] = rng.choice(old, int(chosen.sum()))
            people = People(people.age[source], {name: values[source] for name, values in people.shown.items()})
            continue
        shown = dict(people.shown)
        if shift is Shift.missing:
            shown["job_level"] = np.where(chosen, 0, shown["job_level"]).astype(np.uint8)
        elif shift is Shift.longer:
            longer = np.minimum(shown["tenure_months"] + 8, 46)
            shown["tenure_months"] = np.where(chosen & (shown["tenure_months"] > 0), longer, shown["tenure_months"]).astype(
                np.uint8
            )
        else:
            shown["email_provider"] = np.where(chosen, 8, shown["email_provider"]).astype(np.uint8)
        people = People(people.age, shown)
    return people


def states_age(age: NDArray[np.integer], shifts: tuple[Shift, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether people of ``age`` (n,) who would state it do: all; with ``unstated`` from 95 % at 20 to 7 % at 65 and over."""
    if Shift.unstated not in shifts:
        return np.ones(len(age), np.bool_)
    return rng.random(len(age)) < np.clip(1.35 - 0.02 * age, 0.07, 1.0)
