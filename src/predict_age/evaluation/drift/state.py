"""State of a run's data that the next run is compared with, and the comparison."""

from __future__ import annotations

from dataclasses import asdict, replace

from predict_age.config import DriftConfig
from predict_age.evaluation.drift.comparison import OverDispersion, compare_counts, over_dispersion
from predict_age.evaluation.drift.sketch import OTHER, SPECIAL, Sketch, histogram_counts, sum_sketches, text_key
from predict_age.records.drift_state import DriftComparison, DriftFinding, DriftState
from predict_age.tally import fold_small_counts, fold_tails

PREDICTED_AGE, KNOWN_AGE = "predicted age", "known age"
LIST_KINDS = ("flags", "words")  # the number of such a feature is a mean age of people with an item, by the model


def drift_state(
    run_id: str,
    as_of: str,
    model: str,
    batches: list[Sketch],
    predicted: list[list[int]],
    known: list[int],
    definitions: dict[str, str] | None = None,
) -> DriftState:
    """Drift record of a run: sketches and predicted ages of its batches, and the known ages, as counts of whole years.

    ``definitions`` of its features tell the next run which of them it may compare.
    """
    ages = [Sketch({PREDICTED_AGE: histogram_counts(h)}) for h in predicted]
    total = sum_sketches([*batches, *ages, Sketch({KNOWN_AGE: histogram_counts(known)})])
    state = DriftState(
        run_id, as_of, model, total.in_order(), {**over_dispersion(batches), **over_dispersion(ages)}, definitions or {}
    )
    return without_small_groups(state)


def without_small_groups(state: DriftState) -> DriftState:
    """State that shows a category's value, or the ends of a feature's range, only where at least 20 people share them.

    Values of fewer people are counted together. Texts of categories, which earlier versions recorded, become hashes.
    """
    return replace(state, counts={name: _shown(name, counts) for name, counts in state.counts.items()})


def _shown(name: str, counts: dict[str, int]) -> dict[str, int]:
    numbers = sorted((k for k in counts if k.startswith("#")), key=lambda k: int(k[1:]))
    if numbers:
        folded = zip(numbers, fold_tails([counts[k] for k in numbers]), strict=True)
        shown = {k: n for k, n in counts.items() if k in SPECIAL} | {k: n for k, n in folded if n}
    else:
        hashed = {text_key(name, k[1:]) if k.startswith("=") else k: n for k, n in counts.items()}
        shown = fold_small_counts(hashed, OTHER, SPECIAL)
    return dict(sorted(shown.items()))


def _from_age(youngest: int, counts: dict[str, int]) -> dict[str, int]:
    return {k: n for k, n in counts.items() if not (k[:1] == "#" and int(k[1:]) < youngest)}


def compare_states(before: DriftState | None, now: DriftState, settings: DriftConfig, youngest: int = 0) -> DriftComparison:
    """Compare two runs; without an earlier run there are no findings. Ages below ``youngest``, who are withheld now, are left out.

    Predicted ages of different models differ for that reason alone, so their change is reported but never counts as drift. A
    feature that is defined otherwise has other values for that reason alone: it is named, and not compared. Lists and free text are
    numbers of the model: with another one, only the shares without a value are compared.
    """
    if not before:
        return DriftComparison()
    same = before.model == now.model
    counts = {name: _from_age(youngest, of) if name in (PREDICTED_AGE, KNOWN_AGE) else of for name, of in before.counts.items()}
    before = replace(before, counts=counts)
    other = redefined(before, now)
    before = replace(before, counts={name: of for name, of in before.counts.items() if name not in other})
    if not same:
        before, now = (replace(s, counts={n: _as_model_sees(n, of, now) for n, of in s.counts.items()}) for s in (before, now))
    first, second = ({n: OverDispersion(**asdict(s)) for n, s in of.dispersion.items()} for of in (before, now))
    spread = {n: first.get(n, OverDispersion()) | second.get(n, OverDispersion()) for n in now.counts}
    kinds = {PREDICTED_AGE: "prediction", KNOWN_AGE: "label"}
    findings = compare_counts(before.counts, now.counts, spread, settings, lambda n: kinds.get(n, "feature"))
    findings = [f if same or f.of != "prediction" else replace(f, drifted=False, sentence="") for f in findings]
    findings += [_not_compared(name, sentence) for name, sentence in other.items()]
    findings.sort(key=lambda f: (not f.drifted, -f.moved))
    drifted = tuple(f.sentence for f in findings if f.drifted)
    return DriftComparison(before.run, before.as_of, same, tuple(findings), drifted)


def _as_model_sees(name: str, counts: dict[str, int], now: DriftState) -> dict[str, int]:
    """Counts that do not depend on the model: of lists and free text, people with and without a value."""
    if (now.definitions or {}).get(name, "").partition(" ")[0] not in LIST_KINDS:
        return counts
    return {k: n for k, n in counts.items() if k in SPECIAL} | {"#0": sum(n for k, n in counts.items() if k not in SPECIAL)}


def redefined(before: DriftState, now: DriftState) -> dict[str, str]:
    """Sentences about features that both runs have and that are not defined alike, by name."""
    found = {}
    for name in before.counts.keys() & now.counts.keys():
        then, today = ((state.definitions or {}).get(name, "") for state in (before, now))
        kinds = (then.partition(" ")[0], today.partition(" ")[0])
        if then and today and then != today:
            how = "other settings" if kinds[0] == kinds[1] else f"{kinds[0]} then, {kinds[1]} now"
        elif _has_numbers(before.counts[name]) is (not _has_numbers(now.counts[name])):
            how = "texts then, numbers now" if _has_numbers(now.counts[name]) else "numbers then, texts now"
        else:
            continue
        found[name] = f"{name}: the feature is defined otherwise than in run {before.run} ({how}), so its values are not compared"
    return dict(sorted(found.items()))


def _has_numbers(counts: dict[str, int]) -> bool | None:
    """Whether the counts are those of numbers; None where there is no value."""
    keys = counts.keys() - SPECIAL
    return all(key.startswith("#") for key in keys) if keys else None


def _not_compared(name: str, sentence: str) -> DriftFinding:
    return DriftFinding("feature", name, 0.0, 0.0, None, None, 0.0, (0.0, 0.0), (0.0, 0.0), drifted=False, sentence=sentence)
