"""Withheld minors in the model card: how many adults are withheld, and how many minors are probably published all the same."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from predict_age.evaluation.model_card.card_sample import TrainingSample
from predict_age.evaluation.model_card.contents import MinorsWithheld
from predict_age.models.bundle import Bundle
from predict_age.models.held_out import HeldOutPredictions
from predict_age.records.model_quality import MinorsRate
from predict_age.tally import MIN_SHOWN_PEOPLE

YOUNG_YEARS = 7  # years above the limit in which most adults who are withheld have their age


def without_withheld(
    sample: TrainingSample, bundle: Bundle, held_out: HeldOutPredictions, rate: MinorsRate | None
) -> tuple[TrainingSample, MinorsWithheld | None]:
    """The sample without the people of unknown age whom ``bundle`` withholds, and what that means; None where nobody is withheld.

    Adults are measured on held-out people, whose age is known. Minors cannot be: their number is the sum of the probabilities of
    being one, as the model extrapolates them and the ``rate`` corrects them.
    """
    rule = bundle.ensemble.rule
    if not rule.min_age:
        return sample, None
    outputs = bundle.member_outputs(bundle.encoders.encode(sample.others))
    withheld, younger = bundle.ensemble.withheld(outputs), outputs.younger
    published, known = pa.array(~withheld), rate.known if rate else 0
    hidden, adults = held_out.withheld_age, len(held_out.age) + len(held_out.withheld_age)
    young = [int((ages < rule.min_age + YOUNG_YEARS).sum()) for ages in (held_out.age, hidden)]
    minors = MinorsWithheld(
        min_age=rule.min_age,
        probability=rule.probability,
        adults=adults,
        adults_withheld=len(hidden) / adults if adults else None,
        young_below=rule.min_age + YOUNG_YEARS,
        young=sum(young),
        young_withheld=young[1] / sum(young) if sum(young) >= MIN_SHOWN_PEOPLE else None,
        unlabelled=len(withheld),
        unlabelled_withheld=float(withheld.mean()) if len(withheld) else None,
        minors_among_published=float(younger[~withheld].mean()) if (~withheld).any() else None,
        minors_found=float(younger[withheld].sum() / younger.sum()) if younger.sum() else None,
        rate=rule.rate,
        known=known if known >= MIN_SHOWN_PEOPLE else None,
        any_known=known > 0,
        expected=round(rate.expected, 1) if rate else 0.0,
        by_ages=round(rate.by_ages, 1) if rate else 0.0,
    )
    return replace(sample, others=sample.others.filter(published), other_groups=_filtered(sample.other_groups, published)), minors


def _filtered(groups: pa.Table, rows: pa.Array) -> pa.Table:
    return groups.filter(rows) if groups.num_columns else groups
