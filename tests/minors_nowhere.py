"""Searches everything that a run wrote for numbers of minors, and compares it with a run on a source without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LIMIT = 18
ALLOWED = {"pid", "profile_key", "prediction_timestamp", "qa_timestamp", "prediction_source", "usable", "run_id"}
RUN_FACTS = ("run_id", "source", "code", "versions")
ABOUT_PUBLISHED = {  # keys of the card about those who are published: by the number of known minors, these are others
    "held_out",
    "ridge",
    "median",
    "members",
    "by_band",
    "by_predicted_band",
    "by_unknown",
    "by_confidence",
    "confidence_is_monotone",
    "confidence_sentence",
    "groups",
    "around",
    "population",
    "what_if",
    "proxies",
    "features",
    "minors",
    "findings",
}
HISTOGRAMS = ("predicted_age", "confidence_pct", "known_ages", "ages")


def told_of(run: Path, minors: list[int]) -> list[str]:
    """Values in any table below ``run`` that a row of one of the ``minors`` has besides its id, source, times and keys."""
    found = []
    for path in sorted(run.rglob("*.parquet")):
        table = pq.read_table(path)
        if "pid" not in table.column_names:
            continue
        mine = table.filter(pc.is_in(table["pid"], pa.array(minors, pa.int64())))
        for name in set(mine.column_names) - ALLOWED:
            if mine[name].null_count < mine.num_rows:
                found.append(f"{path.relative_to(run)}: {name} of {mine.num_rows - mine[name].null_count} minors")
        if "usable" in mine.column_names and pc.any(mine["usable"]).as_py():
            found.append(f"{path.relative_to(run)}: a minor is usable")
    return found


def below_the_limit(run: Path) -> list[str]:
    """Ages and bounds below the limit in any table below ``run``, and bins of younger people in any record."""
    found = []
    for path in sorted(run.rglob("*.parquet")):
        table = pq.read_table(path)
        for name in {"predicted_age", "age_lower", "age_upper", "final_age", "approximate_age"} & set(table.column_names):
            if "source" not in path.parts and pc.any(pc.less(table[name], LIMIT)).as_py():
                found.append(f"{path.relative_to(run)}: {name} below {LIMIT}")
    for path in sorted(run.rglob("*.json")):
        for where, bins in _histograms(json.loads(path.read_bytes()), ""):
            if any(bins[:LIMIT]):
                found.append(f"{path.relative_to(run)}: {where} has people below {LIMIT}")
    return found


def _histograms(value: Any, where: str) -> Iterator[tuple[str, list[float]]]:
    """Histograms of whole years in a JSON value, and counts by age in drift states, as lists from the age 0 on."""
    if isinstance(value, dict):
        for key, inner in value.items():
            is_ages = key in HISTOGRAMS[::2] or key.startswith("age:")
            if is_ages and isinstance(inner, list) and len(inner) > 100:
                yield f"{where}.{key}", inner
            elif key in ("predicted age", "known age") and isinstance(inner, dict) and all(k[:1] == "#" for k in inner):
                yield f"{where}.{key}", [inner.get(f"#{age}", 0) for age in range(LIMIT)]
            else:
                yield from _histograms(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _histograms(inner, f"{where}[{number}]")


def other_model_files(run: Path, without: Path) -> list[str]:
    """Files of the models that differ between two runs, and figures about everybody on their cards; both need the same ones."""
    names = {p.name for p in (run / "model").iterdir()} | {p.name for p in (without / "model").iterdir()}
    said = {"card.json", "card.html"}  # they name the run, its source and its numbers of people
    assert len(names) > 8
    differing = [n for n in sorted(names - said) if (run / "model" / n).read_bytes() != (without / "model" / n).read_bytes()]
    cards = [json.loads((folder / "model" / "card.json").read_bytes()) for folder in (run, without)]
    others = {*RUN_FACTS, *ABOUT_PUBLISHED}
    assert len(set(cards[0]) - others) > 8
    differing += [f"card.json: {key}" for key in cards[0] if key not in others and cards[0][key] != cards[1][key]]
    return differing


def spike(ages: np.ndarray, limit: int = LIMIT) -> float:
    """People at ``limit`` as a multiple of the mean of the four ages above it: about 1, or less, where there is no spike."""
    counts = np.bincount(ages.astype(np.int64), minlength=limit + 5)
    return float(counts[limit] / max(counts[limit + 1 : limit + 5].mean(), 1))
