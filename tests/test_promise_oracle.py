"""Sources that nobody would think of, against the books kept by thirty lines of plain Python."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import AS_OF, TINY, tiny_run, write_jsonl

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "8"))
PROFILE = {"tenure_months": 40, "job_level": "Senior", "linkedin_connections": 300}
CONFIG = TINY.replace("[prediction]", "[source]\nmax_set_aside_share = 1.0\n[prediction]").replace(
    "[gates]", "[gates]\npredicted_share = 0.0"
)
WHOLE = re.compile(r"[+-]?[0-9]+([.]0*)?")


def whole(value: Any) -> int | None:
    """A whole number that fits 64 bits, as the data contract says; None for anything else."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip(" ")
    if not WHOLE.fullmatch(text):
        return None
    number = int(text.split(".")[0])
    return number if -(2**63) <= number < 2**63 else None


def years(value: Any) -> float | None:
    """An age in years, whole or not, as the data contract says; None for anything else."""
    with suppress(ValueError, TypeError, OverflowError):
        if not isinstance(value, bool) and re.fullmatch("[-+0-9.e ]+", str(value)):
            return math.floor(float(value))
    return None


@dataclass
class Oracle:
    """The books and the known ages of a source, by the words of docs/data-contract.md."""

    reasons: Counter[str] = field(default_factory=Counter)
    people: dict[int, list[tuple[int | None, str, bool]]] = field(default_factory=dict)
    minors: set[int] = field(default_factory=set)

    def add(self, row: dict[str, Any] | bytes) -> None:
        if isinstance(row, bytes):
            self.reasons["malformed_json"] += 1
            return
        pid = whole(row.get("pid"))
        if pid is None:
            given = row.get("pid")
            text = str(given).strip(" ")
            missing = given is None or text == ""
            digits = not isinstance(given, bool) and WHOLE.fullmatch(text)
            self.reasons["pid_missing" if missing else "pid_out_of_range" if digits else "pid_not_an_integer"] += 1
            return
        age, year = whole(row.get("approximate_age")), whole(row.get("birth_year"))
        given = years(row.get("approximate_age"))
        if (given is not None and 0 <= given < 18) or (year is not None and 0 <= AS_OF.year - year < 18):
            self.minors.add(pid)
        if age is not None and 18 <= age <= 100:
            found: tuple[int | None, str] = (age, "EXISTING_APPROX_AGE")
        elif year is not None and 18 <= AS_OF.year - year <= 100:
            found = (AS_OF.year - year, "EXISTING_BIRTH_YEAR")
        else:
            found = (None, "")
        self.people.setdefault(pid, []).append((*found, bool(row.get("profile_json"))))

    def winners(self) -> dict[int, tuple[int | None, str, bool]]:
        """For each person but a minor the first row with a known age, or the first row."""
        return {
            pid: (None, "WITHHELD", False) if pid in self.minors else next((r for r in rows if r[0] is not None), rows[0])
            for pid, rows in self.people.items()
        }


NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65),
    st.integers(-5, 130),
    st.sampled_from([2**53 + 1, 2**63 - 1, -(2**63), 2**63, 0]),
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=8),
    NUMBERS.map(str),
    NUMBERS.map(lambda n: f" {n} "),
    st.sampled_from(["12.0", "12.5", "+7", "007", "1e3", "-0"]),
)
PIDS = st.one_of(st.integers(-3, 3), st.integers(-3, 3).map(str), NUMBERS, ODD)
AGES = st.one_of(st.none(), st.integers(10, 105), NUMBERS, ODD)
YEARS = st.one_of(st.none(), st.integers(1915, 2020), NUMBERS, ODD)
ROWS = st.one_of(
    st.fixed_dictionaries(
        {"pid": PIDS},
        optional={"approximate_age": AGES, "birth_year": YEARS, "profile_json": st.sampled_from([PROFILE, None, PROFILE])},
    ),
    st.sampled_from([b"{broken", b"{", b'{"pid" 3}']),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES < 50)
@given(rows=st.lists(ROWS, min_size=1, max_size=40), files=st.integers(1, 3))
def test_books_and_known_ages_equal_the_oracle(rows: list[Any], files: int) -> None:
    """Read, set aside by reason, duplicates, known ages by source, defaults: every count and every known age is the oracle's."""
    folder = Path(tempfile.mkdtemp(prefix="oracle-"))
    try:
        known = [
            {"pid": 10**12 + i, "approximate_age": 20 + i % 40, "profile_json": {**PROFILE, "tenure_months": i}} for i in range(60)
        ]
        everything = [*known, *rows]
        share = -(-len(everything) // files)
        source = folder / "source"
        source.mkdir()
        parts = [everything[n * share : (n + 1) * share] for n in range(files)]
        for n, part in enumerate(parts):
            write_jsonl(source / f"{n}.jsonl", part)
        outcome = tiny_run(source, folder / "w", config=CONFIG)
        if any(part and all(isinstance(r, bytes) or whole(r.get("pid")) is None for r in part) for part in parts):
            assert outcome.code == 3, "a file without a usable record stops the run"
            return
        assert outcome.code == 0, outcome.said
        oracle = Oracle()
        for row in everything:
            oracle.add(row)
        winners = oracle.winners()
        books = outcome.run["rows"]
        assert outcome.run["set_aside_reasons"] == dict(oracle.reasons)
        assert books["read"] == len(everything)
        assert books["set_aside"] == oracle.reasons.total()
        assert books["duplicate"] == sum(len(r) for r in oracle.people.values()) - len(winners)
        assert books["distinct"] == len(winners)
        origins = Counter(s for _, s, _ in winners.values() if s)
        assert books["withheld"] == origins.pop("WITHHELD", 0)
        assert {k: n for k, n in books["existing_by_source"].items() if n} == dict(origins)
        assert books["default"] == sum(age is None and not profile and not s for age, s, profile in winners.values())
        published = outcome.rows
        assert set(published) == set(winners)
        for pid, (age, origin, profile) in winners.items():
            row = published[pid]
            if origin == "WITHHELD":
                assert (row[1], row[3], row[4]) == (None, None, origin)
            elif age is not None:
                assert (row[1], row[3], row[4]) == (age, 100, origin)
            else:
                assert row[4] == ("ML_PREDICTION" if profile else "DEFAULT")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
