"""Sentences about a source's profile: what to know first."""

from __future__ import annotations

from collections.abc import Sequence

from predict_age.proposal.profile_contents import THE_AGE, FieldProfile, KnownAges
from predict_age.tally import MIN_SHOWN_PEOPLE, part_in_words, share_in_words

MOST_NAMED = 6  # fields of a sentence


def profile_findings(
    fields: Sequence[FieldProfile], ages: KnownAges | None, problem: str, records: int, people: int, hidden: str
) -> list[str]:
    """Sentences about ids, ages and fields; ``hidden`` is one about keys that few people have."""
    sentences = []
    if problem:
        sentences.append(f"{problem}: name the columns with --pid and --age, --birth-year or --birth-date")
    if ages:
        share = (
            f"{part_in_words(ages.known, people)} people ({share_in_words(ages.known, people)}) have an age that a run would use"
        )
        few = f"; {ages.known} are too few to train on" if not ages.known else "; they are too few to train on"
        sentences.append(share + (few if ages.known < MIN_SHOWN_PEOPLE else ""))
        if ages.guessed:
            sentences.append(f"the age column is a guess: {', '.join(ages.guessed)}")
        sentences += ages.unused + ([f"likely: {ages.likely}"] if ages.likely else [])
        if ages.withheld:
            sentences.append("people whose given age is below 18 are counted, and described nowhere else")
    if people < records:
        sentences.append(f"{records:,} records are of {people:,} people: of each person the first one is described here")
    for words, names in (
        ("protected, and no feature", [f.name for f in fields if f.protected and f.note != THE_AGE]),
        ("the age itself, and no feature", [f.name for f in fields if f.note == THE_AGE]),
        ("suspected ids or names of people, whose values are not shown", [f.name for f in fields if f.identity]),
        ("empty, or the same value everywhere", [f.name for f in fields if f.distinct <= 1 and not f.role and f.kind != "list"]),
        ("missing for more than half of the people", [f.name for f in fields if f.missing > 0.5 and not f.nested and not f.role]),
    ):
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            sentences.append(f"{words}: {', '.join(names[:MOST_NAMED])}{more}")
    if hidden:
        sentences.append(f"not named: {hidden}")
    useful = sum(bool(f.proposed) for f in fields)
    sentences.append(f"{useful:,} of {len(fields):,} fields can become features: `predict-age init` proposes them")
    return sentences
