"""Limits of error for parts of the people, beside the constant median's and Ridge's errors for the same people."""

from __future__ import annotations

from dataclasses import dataclass

from predict_age.records.model_quality import AHEAD_YEARS, BandQuality, ModelEvaluation, NamedGroup

BASELINES = f"{AHEAD_YEARS:g} more than with the constant median and with Ridge"


@dataclass(frozen=True)
class Check:
    """Result of one check: ``passed``, and the ``expected`` and ``found`` values as text."""

    name: str
    passed: bool
    expected: str
    found: str


def worst_band(model: ModelEvaluation, bands: list[BandQuality], most: float) -> Check:
    """A band may exceed the limit where neither the constant median nor Ridge does clearly better: the table says little there."""
    worst = max(bands, key=lambda b: (b.mae > most and not _shared_with_baselines(model, b.band), b.mae))
    found = f"{worst.mae:.2f} years for the {worst.rows:,} people aged {worst.band} of {model.held_out.rows:,} held out"
    for baseline, gains in (("constant median", model.gain_by_band), ("centred Ridge", model.ridge_gain_by_band)):
        if gains and worst.band in gains:
            found += f", {baseline} {worst.mae + gains[worst.band].years:.2f}"
    return Check(
        "worst age band",
        worst.mae <= most or _shared_with_baselines(model, worst.band),
        f"a mean error of at most {most:g} years in each band (gates.band_error_years), or at most {BASELINES} there",
        found,
    )


def _shared_with_baselines(model: ModelEvaluation, band: str) -> bool:
    """Whether both baselines err about as much in the ``band``; a record that lacks one of them excuses nothing."""
    gains = [(by_band or {}).get(band) for by_band in (model.gain_by_band, model.ridge_gain_by_band)]
    return all(gain is not None and gain.shared_with_baseline for gain in gains)


def worst_group(group: NamedGroup, most: float) -> Check:
    """A group may exceed the limit where the constant median and Ridge set it apart about as far on the same side."""
    found = f"{group.apart:+.1f} years for {group.field} = {group.group}"
    for baseline, apart in (("constant median", group.median_apart), ("Ridge", group.ridge_apart)):
        found += f", {baseline} {apart:+.1f}" if apart is not None else ""
    return Check(
        "worst group",
        abs(group.apart) <= most or group.shared_with_baselines,
        f"no group further than {most:g} years apart from everybody else, or than {BASELINES} on the same side",
        found,
    )
