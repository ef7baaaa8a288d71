"""Purposes of a run: those that ages may be inferred for, and those that are refused by name."""

from __future__ import annotations

import difflib

from predict_age.letters import folded_words, nearest

PURPOSES = ("aggregate_statistics", "data_quality", "research", "service_eligibility_review")
NOT_STATED = "not stated"
NOTE = f"no purpose stated: say with --purpose, or purpose under [run], what the ages are for ({', '.join(PURPOSES)})"

# Beginnings of words, by what they stand for. Age is a protected attribute: nobody may be treated by an inferred one.
REFUSED = {
    "hiring": (
        "hire hiring rehir recruit applicant candidate shortlist headhunt employ staffing vacanc job "
        "interview onboard talent einstellung bewerb embauch recrutement contratacion"
    ),
    "promotion": ("promot demot advancement succession beforderung befoerderung"),
    "dismissal": (
        "dismiss fire fired firing layoff laid redundan terminat retrench sack sever offboard kundig kuendig "
        "entlassung licenci despido downsiz"
    ),
    "pay": ("pay paid payroll wage salar compensat remunerat bonus gehalt lohn salaire sueldo"),
    "credit": ("credit kredit loan lend lending borrow mortgage creditworth underwrit debt collection bnpl"),
    "insurance": ("insur reinsur actuar premium versicherung assurance seguro pension annuit"),
    "advertising targeting": (
        "advert advertis ad ads adtech target retarget marketing market campaign audience lookalike segment "
        "promo upsell werbung publicit publicidad personaliz personalis"
    ),
    "policing": (
        "polic law lawenforcement surveil crim prosecut border immigra asyl deport polizei police predictivepolic intelligence"
    ),
    "housing": ("hous tenan rent rental landlord evict lease leasing"),
    "profiling of single people": ("profil blacklist scor individual discriminat"),
}
REASON = (
    "age is a protected attribute (ADEA, 2000/78/EC), and an inferred age is an estimate: nobody may be hired, promoted, "
    "dismissed, paid, lent to, insured, targeted or policed by it"
)
_SHORT = 4  # letters up to which a word must be equal
_WHOLE_WORDS = {
    "ad",
    "ads",
    "pay",
    "paid",
    "fire",
    "fired",
    "law",
    "job",
    "hire",
    "laid",
    "debt",
    "sack",
    "rent",
    "premium",
    "market",
}
_SIMILAR = 0.84


class PurposeError(ValueError):
    """A purpose that is refused or unknown; the text says why."""


def stated(purpose: str) -> str:
    """The purpose as records have it."""
    return purpose or NOT_STATED


def checked_purpose(text: str) -> str:
    """The purpose that ``text`` names, in its canonical spelling; empty for an empty text. Raises PurposeError for any other."""
    if not text:
        return ""
    words = folded_words(text)
    name = "_".join(words)
    if name in PURPOSES:
        return name
    if refused := _refused(words):
        raise PurposeError(f"{text!r} is refused ({refused}): {REASON}; expected one of {', '.join(PURPOSES)}")
    near = nearest(name, PURPOSES)
    hint = f" (did you mean {near!r}?)" if near else ""
    raise PurposeError(f"{text!r} is not a purpose that ages are inferred for; expected one of {', '.join(PURPOSES)}{hint}")


def _refused(words: list[str]) -> str:
    """Name of the refused purpose that the ``words`` stand for; empty where they stand for none."""
    known = {word for purpose in PURPOSES for word in purpose.split("_")}
    joined = "".join(words)
    candidates = [*(w for w in words if w not in known), *({joined} if joined not in known else set())]
    for meaning, beginnings in REFUSED.items():
        for beginning in beginnings.split():
            if any(_stands_for(word, beginning) for word in candidates):
                return meaning
    return ""


def _stands_for(word: str, beginning: str) -> bool:
    if beginning in _WHOLE_WORDS or len(beginning) < _SHORT:
        return word in (beginning, f"{beginning}s")
    if word.startswith(beginning):
        return True
    part = word[: len(beginning)]
    return len(beginning) > _SHORT + 1 and difflib.SequenceMatcher(None, part, beginning).ratio() >= _SIMILAR
