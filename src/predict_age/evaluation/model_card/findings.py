"""Findings of the model card: sentences for its readers, the most serious first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from predict_age.config import CardConfig
from predict_age.distributions import binomial_lower_tail, normal_upper_quantile
from predict_age.evaluation.model_card.contents import Card, Population
from predict_age.evaluation.model_card.groups import critical_group_z
from predict_age.evaluation.model_card.proxies import STRONG_ASSOCIATION
from predict_age.models.metrics import is_short_of_coverage
from predict_age.records.model_quality import (
    MANY_WITHHELD,
    NORMAL_95,
    WITHHELD_FIX,
    WITHHELD_WHY,
    BandQuality,
    CardFinding,
    NamedGroup,
    Quality,
)
from predict_age.tally import in_number, percent

MIN_GROUP_BIAS_YEARS = 1.0
AUC_STANDARD_ERRORS = 2.6  # 1 % false positives
GROUP_COVERAGE_ALPHA = 0.01  # of all groups together
BAND_ALPHA = 0.05  # of all age bands together
MIN_BAND_STANDARD_ERRORS = 2.0
POPULATION_STANDARD_ERRORS = 2.6
LEAKAGE_WARNING_SHARE = 0.35  # share of the constant's error that remains
MIN_BAND_BIAS_YEARS = 2.0
MIN_FINDING_ROWS = 100
MIN_BAND_SHARE = 0.01
MAX_REPRESENTED_TIMES = 5.0  # share of the people to predict, as a multiple of the share of people with a known age
MIN_ERROR_INCREASE = 0.05  # relative to the held-out error

Sentence = tuple[float, str]  # severity within its kind, and the sentence


def findings(card: Card, coverage: float, settings: CardConfig, fields: Sequence[str]) -> list[CardFinding]:
    """Findings with ``kind``, ``size`` (severity within the kind) and ``sentence``; kinds in order of severity.

    ``fields``: group fields that at least one profile has.
    """
    kinds = {
        "withheld": _withheld(card),
        "group as feature": _groups_as_features(card),
        "group bias": _group_bias(card),
        "group coverage": _group_coverage(card, coverage),
        "telling feature": _leakage(card),
        "other population": _population(card),
        "few of an age": _few_of_an_age(card),
        "age band": _age_bands(card),
        "age band coverage": _band_coverage(card, coverage),
        "wrong side": _wrong_side(card),
        "proxy": _proxies(card),
        "no groups": _no_groups(card, settings, fields),
    }
    return [
        CardFinding(kind, size, sentence)
        for kind, of_kind in kinds.items()
        for size, sentence in sorted(of_kind, key=lambda f: -f[0])
    ]


def _withheld(card: Card) -> Iterator[Sentence]:
    share = card.minors.unlabelled_withheld if card.minors else None
    if card.minors and share is not None and share >= MANY_WITHHELD:
        people = f"{percent(share)} of the people without a known age ({card.minors.unlabelled:,} looked at)"
        yield share, f"{people} are withheld: {WITHHELD_WHY} {WITHHELD_FIX}"


def _groups_as_features(card: Card) -> Iterator[Sentence]:
    importance = {feature.name: feature.importance or 0.0 for feature in card.features}
    for field, names in card.group_features.items():
        if names:
            yield (
                sum(importance.get(name, 0.0) for name in names),
                f"{field}, by which this card compares people, is read by {', '.join(names)}: predictions rest on it.",
            )


def most_biased_group(card: Card) -> NamedGroup | None:
    """The named group whose bias differs most from everybody else's, by more than chance; None when there is none.

    A group that the constant median and Ridge set apart as far, on the same side, comes after all others.
    """
    apart = list(_biased_groups(card))
    return max(apart, key=lambda r: (not r.shared_with_baselines, round(abs(r.apart), 9), abs(r.bias))) if apart else None


def _group_rows(card: Card) -> list[NamedGroup]:
    return [NamedGroup(field, **vars(row)) for field, rows in card.groups.items() for row in rows]


def _biased_groups(card: Card) -> Iterator[NamedGroup]:
    named = _group_rows(card)
    return (
        row for row in named if abs(row.apart) >= MIN_GROUP_BIAS_YEARS and abs(row.apart_z) > critical_group_z(len(named), row.rows)
    )


def _who(row: NamedGroup) -> str:
    return f"People with {row.field} = {row.group} ({row.rows:,} evaluated)"


def _direction(bias: float, interval: Sequence[float]) -> str:
    """The ``bias`` in words with its 95 % ``interval`` in the same direction; a negative end is of the other one."""
    side, sign = ("old", 1) if bias > 0 else ("young", -1)
    low, high = sorted(sign * end for end in interval)
    return f"{abs(bias):.1f} years too {side} on average (95 % interval {low:.1f} to {high:.1f})"


def _group_bias(card: Card) -> Iterator[Sentence]:
    biased = list(_biased_groups(card))
    wrong = [row for row in biased if abs(row.bias) >= abs(row.apart) / 2]  # of two groups, the one that is wrong, not the other
    for row in wrong or biased:
        yield (
            abs(row.bias),
            (
                f"{_who(row)} are predicted {_direction(row.bias, row.bias_interval)}, "
                f"{abs(row.apart):.1f} years apart from everybody else."
            ),
        )


def _group_coverage(card: Card, coverage: float) -> Iterator[Sentence]:
    rows = _group_rows(card)
    for row in rows:
        is_short = is_short_of_coverage(row.rows, row.coverage, coverage)
        if is_short and _is_beyond_chance(row, coverage, GROUP_COVERAGE_ALPHA, len(rows)):
            sentence = (
                f"{_who(row)} are inside their {percent(coverage, 0)} interval only in {percent(row.coverage, 0)} of the cases."
            )
            yield coverage - row.coverage, sentence


def _is_beyond_chance(row: Quality, coverage: float, alpha: float, tests: int) -> bool:
    """Whether so few of the people are inside in at most ``alpha`` of all sets of ``tests`` groups that are covered as promised."""
    return binomial_lower_tail(round(row.coverage * row.rows), row.rows, coverage) <= alpha / max(tests, 1)


def _leakage(card: Card) -> Iterator[Sentence]:
    for score in card.leakage:
        if score.share < LEAKAGE_WARNING_SHARE:
            feature = f"The feature {score.feature} alone{f', by {score.part},' if score.part else ''}"
            yield (
                1 - score.share,
                (
                    f"{feature} reduces the error of the median age to {percent(score.share, 0)} ({score.rows:,} people): "
                    "make sure that it is known before the age is."
                ),
            )


def _population(card: Card) -> Iterator[Sentence]:
    population, error = card.population, card.held_out.mae
    if population and population.mae > error * (1 + MIN_ERROR_INCREASE) and differs(population) and _errs_more(population):
        yield (
            population.mae - error,
            (
                f"The people to predict differ from those whose age is known: among people like them the error is about "
                f"{population.mae:.2f} years, not {error:.2f} (difference {population.mae_increase:.2f}, standard error "
                f"{population.mae_increase_doubt:.2f})."
            ),
        )


def _few_of_an_age(card: Card) -> Iterator[Sentence]:
    """Bands of population.ages whose people to predict are represented by few people with a known age."""
    for band in card.population_ages:
        if band.to_predict >= MIN_BAND_SHARE and band.to_predict > MAX_REPRESENTED_TIMES * (band.known or 0.0):
            known = "fewer than 20 people" if band.known is None else percent(band.known)
            yield (
                band.to_predict,
                (
                    f"By population.ages {percent(band.to_predict)} of the people to predict are of age {band.band}, but "
                    f"{known} of those with a known age: what is said about them rests on few people."
                ),
            )


def differs(population: Population) -> bool:
    """Whether the domain classifier tells both groups of people apart by more than chance (Hanley and McNeil 1982)."""
    first, second = population.rows, population.unlabelled
    if not first or not second:
        return False
    error = np.sqrt((first + second + 1) / (12 * first * second))  # of the AUC where both are alike
    return bool(population.auc - 0.5 > AUC_STANDARD_ERRORS * error)


def _errs_more(population: Population) -> bool:
    """Whether the error weighted to the people to predict is larger than the error of all by more than chance."""
    return population.mae_increase > POPULATION_STANDARD_ERRORS * population.mae_increase_doubt


def _bias_doubt(band: BandQuality) -> float:
    """Standard error of the mean error: the variance of the errors is rmse^2 - bias^2."""
    return float(np.sqrt(max(band.rmse**2 - band.bias**2, 0.0) / max(band.rows, 1)))


def _is_biased(band: BandQuality, tests: int) -> bool:
    """Whether a band is biased by years, and by more than chance (all bands together)."""
    if band.rows < MIN_FINDING_ROWS or abs(band.bias) < MIN_BAND_BIAS_YEARS:
        return False
    return abs(band.bias) > normal_upper_quantile(BAND_ALPHA / 2 / tests) * _bias_doubt(band)


def _age_bands(card: Card) -> Iterator[Sentence]:
    for row in card.by_band:
        if _is_biased(row, len(card.by_band)):
            doubt = NORMAL_95 * _bias_doubt(row)
            yield (
                abs(row.bias),
                (
                    f"People aged {row.band} are predicted {_direction(row.bias, (row.bias - doubt, row.bias + doubt))} "
                    f"and covered by their interval in {percent(row.coverage, 0)} of the cases ({row.rows:,} evaluated)."
                ),
            )


def _band_coverage(card: Card, coverage: float) -> Iterator[Sentence]:
    """Bands whose coverage is short by more than chance; the finding on a biased band of true age says its coverage already."""
    bands = [("aged", row) for row in card.by_band if not _is_biased(row, len(card.by_band))]
    bands += [("whose predicted age is", row) for row in card.by_predicted_band]
    for who, row in bands:
        short = coverage - row.coverage
        chance = MIN_BAND_STANDARD_ERRORS * np.sqrt(coverage * (1 - coverage) / max(row.rows, 1))
        is_short = is_short_of_coverage(row.rows, row.coverage, coverage) and short > chance
        if is_short and _is_beyond_chance(row, coverage, BAND_ALPHA, len(bands)):
            yield (
                short,
                (
                    f"People {who} {row.band} ({row.rows:,} evaluated) are inside their {percent(coverage, 0)} interval only in "
                    f"{percent(row.coverage, 0)} of the cases."
                ),
            )


def _no_groups(card: Card, settings: CardConfig, fields: Sequence[str]) -> Iterator[Sentence]:
    """Sentence that the card compares no groups of people, and why."""
    if card.groups:
        return
    names, verb = ", ".join(settings.groups), in_number(len(settings.groups), "is")
    if fields:
        why = f"no value of {', '.join(fields)} is that of {settings.fewest_rows} evaluated people (card.fewest_rows)"
    elif names:
        why = f"{names} {verb} in no profile; set card.groups"
    else:
        why = "card.groups is empty"
    yield 0.0, f"No group was found: {why}."


def _wrong_side(card: Card) -> Iterator[Sentence]:
    side = card.around
    if side.above >= MIN_FINDING_ROWS and side.below >= MIN_FINDING_ROWS:
        yield (
            side.made_younger,
            (
                f"{percent(side.made_younger, 0)} of the people aged {side.age} and over are predicted to be younger than that; "
                f"{percent(side.made_older, 0)} of the younger ones are predicted to be {side.age} or older "
                f"({side.above:,} and {side.below:,} evaluated)."
            ),
        )


def _role(card: Card, field: str) -> str:
    names = card.group_features.get(field)
    return f"{field} is the feature {', '.join(names)}; besides" if names else f"{field} is not a feature, but"


def _proxies(card: Card) -> Iterator[Sentence]:
    for field, rows in card.proxies.items():
        strong = [r.feature for r in rows if r.strength >= STRONG_ASSOCIATION][:4]
        if strong:
            verb = in_number(len(strong), "is")
            yield (
                rows[0].strength,
                (
                    f"{_role(card, field)} {', '.join(strong)} {verb} strongly associated with it "
                    f"({rows[0].measure} {rows[0].strength:.2f} among {rows[0].rows:,} people)."
                ),
            )
