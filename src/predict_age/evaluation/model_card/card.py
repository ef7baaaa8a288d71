"""Construction of the model card: figures first, then findings as sentences, the most serious first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from predict_age.config import Config
from predict_age.evaluation.model_card.card_sample import TrainingSample
from predict_age.evaluation.model_card.contents import (
    AgeSides,
    Card,
    FeatureSummary,
    Population,
    PopulationBand,
    Subject,
)
from predict_age.evaluation.model_card.findings import findings
from predict_age.evaluation.model_card.groups import metrics_by_group, threshold_errors
from predict_age.evaluation.model_card.leakage import LeakageScore
from predict_age.evaluation.model_card.minors import without_withheld
from predict_age.evaluation.model_card.population import MAX_SHIFT_ROWS, covariate_shift, error_increase
from predict_age.evaluation.model_card.proxies import proxy_features
from predict_age.evaluation.model_card.what_if import older_or_younger
from predict_age.features.spec import FeatureSet
from predict_age.models.age_weights import AgeWeights
from predict_age.models.bundle import Bundle
from predict_age.models.held_out import HeldOutPredictions
from predict_age.models.metrics import confidence_sentence, evaluate, weighted_metrics
from predict_age.records.model_quality import BandQuality, Metrics, MinorsRate, Quality
from predict_age.tally import AGE_BINS, MIN_SHOWN_PEOPLE, pooled

CARD_LIMITS = (
    "A predicted age is an estimate about a person, not a fact. Age is a protected attribute in many laws (ADEA, 2000/78/EC): do "
    "not decide about individuals by it.",
    "Predictions lean to the middle: the young are made older and the old younger. Sums over many people inherit that.",
    "The interval holds for all people together, not for every band of true age.",
    "Everything here was measured on people whose age is known. Whoever is not like them in ways that no feature shows may be "
    "served worse than the card says.",
)


def build_card(
    sample: TrainingSample,
    leakage_scores: list[LeakageScore],
    bundle: Bundle,
    held_out: HeldOutPredictions,
    metrics: Metrics,
    subject: Subject,
    config: Config,
    threads: int,
    weights: AgeWeights | None = None,
    rate: MinorsRate | None = None,
) -> Card:
    """Build the card; ``subject`` names the run, the data and the versions. ``weights`` by age, of ``population.ages``.

    ``rate``: how frequent minors are, by which ``bundle`` withholds.
    """
    settings = config.card
    sample, minors = without_withheld(sample, bundle, held_out, rate)
    itself = _same_path(bundle.features, settings.groups)
    predictions, target = held_out.predictions, config.training.coverage
    groups = metrics_by_group(held_out, sample.groups, settings.around, settings.fewest_rows)
    side = threshold_errors(held_out.age, predictions.age, settings.around)
    card = Card(
        subject=subject,
        held_out=metrics.held_out,
        ridge=metrics.ridge,
        median=metrics.median,
        members=metrics.members,
        by_band=metrics.by_band,
        by_predicted_band=metrics.by_predicted_band,
        by_unknown=_by_unknown(held_out),
        by_confidence=metrics.by_confidence,
        confidence_is_monotone=metrics.confidence_is_monotone,
        confidence_sentence=confidence_sentence(metrics.by_confidence),
        groups=groups,
        around=AgeSides(settings.around, side.above, side.made_younger, side.below, side.made_older),
        population=_population(sample, bundle, held_out, metrics.held_out if weights else None, config, threads),
        what_if=[] if weights else older_or_younger(held_out),
        population_ages=_population_ages(weights),
        leakage=leakage_scores,
        proxies=proxy_features(
            _both(sample.columns, sample.others),
            _both(sample.groups, sample.other_groups),
            itself,
        ),
        ages=pooled(np.bincount(sample.age.astype(np.int64), minlength=AGE_BINS).tolist()),
        features=_features(bundle.features, metrics, sample.others),
        limits=list(CARD_LIMITS),
        minors=minors,
        group_features={field: sorted(name for name, of in itself if of == field) for field in settings.groups},
    )
    return replace(card, findings=findings(card, target, settings, sample.groups.column_names))


def _same_path(features: FeatureSet, groups: Mapping[str, str]) -> set[tuple[str, str]]:
    """Pairs of a feature and a group field that read the same path of the profile."""
    paths = {name: getattr(feature, "path", None) for name, feature in features.features.items()}
    return {(name, field) for name, path in paths.items() for field, group in groups.items() if path == group}


def _both(first: pa.Table, second: pa.Table) -> pa.Table:
    """Concatenate at most MAX_SHIFT_ROWS rows of each table."""
    return pa.concat_tables([t.slice(0, MAX_SHIFT_ROWS) for t in (first, second) if t.num_rows or not second.num_rows])


def _by_unknown(held_out: HeldOutPredictions) -> list[BandQuality]:
    """Quality by the number of missing features, in quarters of the people."""
    edges = np.unique(np.quantile(held_out.missing_count, (0.25, 0.5, 0.75), method="lower"))
    cell = np.searchsorted(edges, held_out.missing_count, side="left")
    rows = []
    for number in np.unique(cell):
        chosen = cell == number
        low, high = int(held_out.missing_count[chosen].min()), int(held_out.missing_count[chosen].max())
        name = f"{low}" if low == high else f"{low}\N{EN DASH}{high}"
        predictions = held_out.predictions
        quality = evaluate(held_out.age[chosen], predictions.age[chosen], predictions.lower[chosen], predictions.upper[chosen])
        rows.append(BandQuality(name, **vars(quality)))
    return rows


def _population(
    sample: TrainingSample, bundle: Bundle, held_out: HeldOutPredictions, whole: Quality | None, config: Config, threads: int
) -> Population | None:
    """Quality weighted to the people without a known age; None where there are too few of either kind.

    ``whole``: quality by age weights, where these are known.
    """
    rows = held_out.rows[:MAX_SHIFT_ROWS]
    if sample.others.num_rows < 2 * config.card.fewest_rows or len(rows) < 2 * config.card.fewest_rows:
        return None
    known, others = (
        bundle.encoders.encode(columns)[:, : len(bundle.features)]
        for columns in (sample.columns.take(pa.array(rows)), sample.others)
    )
    shift = covariate_shift(known, others, config.training.seed, threads)
    predictions = held_out.predictions
    first_rows = slice(0, MAX_SHIFT_ROWS)
    measured = weighted_metrics(
        held_out.age[first_rows],
        predictions.age[first_rows],
        predictions.lower[first_rows],
        predictions.upper[first_rows],
        shift.weights,
    )
    if whole:  # the ages say who the people to predict are, better than the features can
        measured = {name: getattr(whole, name) for name in measured}
    else:
        errors = np.abs(predictions.age[first_rows] - held_out.age[first_rows])
        measured["mae_increase"], measured["mae_increase_doubt"] = error_increase(errors, shift.weights)
    return Population(len(rows), sample.others.num_rows, shift.auc, whole.rows if whole else shift.effective, **measured)


def _population_ages(weights: AgeWeights | None) -> list[PopulationBand]:
    if weights is None:
        return []
    known, to_predict = (sum(getattr(band, name) for band in weights.bands) for name in ("labelled", "to_predict"))
    return [
        PopulationBand(b.band, b.to_predict / to_predict, b.labelled / known, b.weight)
        if b.labelled >= MIN_SHOWN_PEOPLE
        else PopulationBand(b.band, b.share, None, None)
        for b in weights.bands
    ]


def _features(features: FeatureSet, metrics: Metrics, others: pa.Table) -> list[FeatureSummary]:
    return [
        FeatureSummary(
            name,
            feature.kind,
            feature.meaning,
            feature.unit,
            metrics.importance.get(name, 0.0),
            metrics.missing[name],
            others[name].null_count / others.num_rows if others.num_rows else None,
        )
        for name, feature in features.features.items()
    ]
