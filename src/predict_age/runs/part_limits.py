"""Limits of error for parts of the people, beside what the constant median does for the same people."""

from __future__ import annotations

from dataclasses import dataclass

from predict_age.records.model_quality import ONE_SIDED_95, BandQuality, ModelEvaluation, NamedGroup, PairedGain


@dataclass(frozen=True)
class Check:
    """Result of one check: ``passed``, and the ``expected`` and ``found`` values as text."""

    name: str
    passed: bool
    expected: str
    found: str


def worst_band(model: ModelEvaluation, bands: list[BandQuality], most: float) -> Check:
    """A band may exceed the limit where the constant median errs as much there: the table says little there."""
    gains = model.gain_by_band or {}
    worst = max(bands, key=lambda b: (b.mae > most and not _as_good_as_median(gains.get(b.band)), b.mae))
    gain = gains.get(worst.band)
    found = f"{worst.mae:.2f} years for the {worst.rows:,} people aged {worst.band} of {model.held_out.rows:,} held out"
    return Check(
        "worst age band",
        worst.mae <= most or _as_good_as_median(gain),
        f"a mean error of at most {most:g} years in each band (gates.band_error_years), or that of the constant median there",
        found + (f", constant median {worst.mae + gain.years:.2f}" if gain else ""),
    )


def _as_good_as_median(gain: PairedGain | None) -> bool:
    return gain is not None and gain.years >= -ONE_SIDED_95 * gain.standard_error


def worst_group(group: NamedGroup, most: float) -> Check:
    """A group may exceed the limit where the constant median sets it apart as far on the same side."""
    found = f"{group.apart:+.1f} years for {group.field} = {group.group}"
    return Check(
        "worst group",
        abs(group.apart) <= most or group.shared_with_median,
        f"no group further than {most:g} years apart from everybody else, or than the constant median sets it apart",
        found + (f", constant median {group.median_apart:+.1f}" if group.median_apart is not None else ""),
    )
