"""Page of a source's profile: one HTML file without scripts, complete in itself."""

from __future__ import annotations

from collections.abc import Sequence

from predict_age.html import page, plots, svg
from predict_age.proposal.profile_contents import FieldProfile, ProfileContents
from predict_age.runtime.progress import size
from predict_age.tally import number_of_people, part_in_words, percent, share_in_words
from predict_age.version import __version__

BARS_WIDTH, BARS_HEIGHT = 210.0, 30.0


def profile_page(profile: ProfileContents) -> bytes:
    """Render the page as UTF-8."""
    years = profile.ages.years if profile.ages else []
    return page(
        "profile.html",
        p=profile,
        version=__version__,
        missing=missing_in_words,
        share=share_in_words,
        part=part_in_words,
        number=number_of_people,
        size=size(profile.bytes),
        ages=plots.known_ages(years) if any(years) else "",
        fields=[(field, _picture(field)) for field in profile.fields if not field.nested],
        nested=[(field, _picture(field)) for field in profile.fields if field.nested],
    )


def missing_in_words(field: FieldProfile) -> str:
    """Share of people without a value; "<0.5 %" where it is that of fewer than 20."""
    whole = round(field.people / (1 - field.missing)) if field.missing < 1 else 0
    return share_in_words(whole - field.people, whole) if whole else percent(field.missing)


def _picture(field: FieldProfile) -> str:
    """A small histogram of a field's values; nothing where there is no shape to show."""
    if field.shape.bins:
        label = f"{field.name}: from {field.shape.low} to {field.shape.high}, median {field.shape.middle}"
        return _bars(field.shape.bins, label)
    return ""


def _bars(heights: Sequence[float], label: str) -> str:
    top, step = max(heights) or 1.0, BARS_WIDTH / len(heights)
    bars = [
        svg.element(
            "rect", x=i * step + 0.5, y=BARS_HEIGHT - h / top * BARS_HEIGHT, width=max(step - 1, 0.5), height=h / top * BARS_HEIGHT
        )
        for i, h in enumerate(heights)
        if h
    ]
    return svg.picture(bars, BARS_WIDTH, BARS_HEIGHT, label)
