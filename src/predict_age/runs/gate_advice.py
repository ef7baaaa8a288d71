"""When a failed check of a quality gate may be accepted."""

from __future__ import annotations

from collections.abc import Sequence

ACCEPT_WHEN = {
    "worst age band": "nobody reads the ages of that band alone, or errors of this size do no harm; they stay as they are",
    "better than the constant median": "ages that say no more than the median does will do",
    "not worse than Ridge": "you need intervals and can do with the larger error",
    "not worse than published": "the people have become harder to predict, and the published model cannot go on",
    "not worse than when it was trained": "you know why the people differ, and cannot train a new model",
    "worst group": "nobody compares that group with others",
    "coverage": "nobody uses the intervals",
    "too good to be true": "the features are known before the age is, and lead to it by themselves",
    "given ages can be used": "the other ages are right",
    "people predicted": "the default age serves for the others",
}
OTHERWISE = "you know the cause, and it does not matter for the purpose"


def accept_when(failed: Sequence[str]) -> str:
    """Words for when the ``failed`` checks may be accepted."""
    return "; and ".join(dict.fromkeys(ACCEPT_WHEN.get(name, OTHERWISE) for name in failed[:3]))
