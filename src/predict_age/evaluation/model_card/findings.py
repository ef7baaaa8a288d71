"""What a reader of the card must know, in sentences, the most serious first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from predict_age.evaluation.model_card.groups import surprising
from predict_age.evaluation.model_card.proxies import STRONG

LEAST_APART_YEARS = 1.0
SHORT = 0.03  # of coverage
DOUBT = 2.6  # standard errors: 1 % by chance
TELLING = 0.35  # of the constant's error left
BIASED_BAND_YEARS = 2.0
FEWEST_ROWS = 100
MORE = 0.05  # of the error

Card = dict[str, Any]
Sentence = tuple[float, str]  # how serious among its kind, and the sentence


def findings(card: Card, coverage: float) -> list[dict[str, Any]]:
    """``kind``, ``size`` (how serious among its kind) and ``sentence`` of each; kinds in the order of their weight."""
    kinds = {
        "group bias": _group_bias(card),
        "group coverage": _group_coverage(card, coverage),
        "telling feature": _telling(card),
        "other population": _population(card),
        "age band": _bands(card),
        "wrong side": _wrong_side(card),
        "proxy": _proxies(card),
    }
    return [
        {"kind": kind, "size": size, "sentence": sentence}
        for kind, found in kinds.items()
        for size, sentence in sorted(found, key=lambda f: -f[0])
    ]


def worst_group(card: Card) -> dict[str, Any] | None:
    """The named group that is furthest apart from everybody else by more than chance, with its ``field``."""
    apart = list(_apart(card))
    return max(apart, key=lambda r: abs(r["apart"])) if apart else None


def _named(card: Card) -> list[dict[str, Any]]:
    return [{"field": field, **row} for field, rows in card["groups"].items() for row in rows]


def _apart(card: Card) -> Iterator[dict[str, Any]]:
    named = _named(card)
    limit = surprising(len(named))
    return (row for row in named if abs(row["apart"]) >= LEAST_APART_YEARS and abs(row["apart_z"]) > limit)


def _who(row: dict[str, Any]) -> str:
    return f"People with {row['field']} = {row['group']} ({row['rows']:,} judged)"


def _direction(bias: float) -> str:
    return f"{abs(bias):.1f} years too {'old' if bias > 0 else 'young'}"


def _group_bias(card: Card) -> Iterator[Sentence]:
    for row in _apart(card):
        low, high = row["bias_interval"]
        yield (
            abs(row["apart"]),
            (
                f"{_who(row)} are made {_direction(row['bias'])} on average (95 % interval {low:+.1f} to {high:+.1f}), "
                f"{abs(row['apart']):.1f} years apart from everybody else."
            ),
        )


def _group_coverage(card: Card, coverage: float) -> Iterator[Sentence]:
    for row in _named(card):
        doubt = DOUBT * np.sqrt(coverage * (1 - coverage) / row["rows"])
        if row["coverage"] < coverage - SHORT - doubt:
            said = f"{_who(row)} are inside their {coverage:.0%} interval only in {row['coverage']:.0%} of the cases."
            yield coverage - row["coverage"], said


def _telling(card: Card) -> Iterator[Sentence]:
    for told in card["leakage"]:
        if told["share"] < TELLING:
            yield (
                1 - told["share"],
                (
                    f"The feature {told['feature']} alone leaves {told['share']:.0%} of the error of a constant: make sure that it "
                    "is known before the age is."
                ),
            )


def _population(card: Card) -> Iterator[Sentence]:
    population, error = card["population"], card["held_out"]["mae"]
    if population and population["mae"] > error * (1 + MORE):
        yield (
            population["mae"] - error,
            (
                f"Among people like those who are predicted the error is about {population['mae']:.2f} years, not {error:.2f}: "
                "they differ from the people whose age is known."
            ),
        )


def _bands(card: Card) -> Iterator[Sentence]:
    for row in card["by_band"]:
        if row["rows"] >= FEWEST_ROWS and abs(row["bias"]) >= BIASED_BAND_YEARS:
            yield (
                abs(row["bias"]),
                (
                    f"People of {row['band']} are made {_direction(row['bias'])} on average and covered by their interval in "
                    f"{row['coverage']:.0%} of the cases ({row['rows']:,} judged)."
                ),
            )


def _wrong_side(card: Card) -> Iterator[Sentence]:
    side = card["around"]
    if side["above"] >= FEWEST_ROWS and side["below"] >= FEWEST_ROWS:
        yield (
            side["made_younger"],
            (
                f"Of the people of {side['age']} and over, {side['made_younger']:.0%} are predicted to be younger than that; "
                f"of those below, {side['made_older']:.0%} are predicted to be {side['age']} or older."
            ),
        )


def _proxies(card: Card) -> Iterator[Sentence]:
    for field, rows in card["proxies"].items():
        strong = [r["feature"] for r in rows if r["strength"] >= STRONG]
        if strong:
            yield (
                rows[0]["strength"],
                (
                    f"{field} is no feature, but {', '.join(strong[:4])} tell much about it "
                    f"({rows[0]['measure']} {rows[0]['strength']:.2f})."
                ),
            )
