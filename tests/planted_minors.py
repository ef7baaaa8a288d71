"""Minors planted among generated people: known ones, in every column and form of an age, and young people of unknown age."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.synthetic.fields import fields
from predict_age.synthetic.model import SLOTS, People, model
from predict_age.synthetic.write import ROWS_PER_CHUNK, Chunk, record_batch

AS_OF = dt.date(2025, 10, 23)
FIRST_PID = 9_000_000_000
FORMS = (
    "age",
    "age as text",
    "fraction",
    "zero",
    "year",
    "date",
    "compact date",
    "age against year",
    "year against age",
    "no century",
)
SCHEMA = pa.schema(
    [
        ("pid", pa.int64()),
        ("birth_year", pa.string()),
        ("approximate_age", pa.string()),
        ("birth_date", pa.string()),
        ("profile_json", pa.string()),
    ]
)


@dataclass(frozen=True)
class PlantedMinors:
    """Ids of the minors whose age the source knows, and of those whose age it does not know."""

    known: list[int]
    unknown: list[int]


def minor_people(count: int, rng: np.random.Generator) -> People:
    """People of 12 to 17 whose profiles are those of the youngest adults without a career: nothing else tells them apart."""
    tables = model()
    nobody = np.zeros(count, np.uint8)
    shown = {v.name: v.table.draw(nobody, rng.integers(0, SLOTS, count, np.uint16)) for v in tables.variables}
    shown["graduation"] = nobody
    return People(rng.integers(12, 18, count).astype(np.int32), shown)


def _age_columns(form: str, age: int, number: int) -> dict[str, str]:
    """Age columns of a known minor."""
    year, day = str(AS_OF.year - age), dt.date(AS_OF.year - age, 1 + number % 9, 1 + number % 28)
    return {
        "age": {"approximate_age": str(age)},
        "age as text": {"approximate_age": f" {age}.0 "},
        "fraction": {"approximate_age": f"{age}.9"},
        "zero": {"approximate_age": "0"},
        "year": {"birth_year": year},
        "date": {"birth_date": day.isoformat()},
        "compact date": {"birth_date": f"{day:%Y%m%d}"},
        "no century": {"birth_date": f"{day:%d-%b-%y}"},
        "age against year": {"approximate_age": str(age), "birth_year": "1980"},
        "year against age": {"approximate_age": "45", "birth_year": year},
    }[form]


def telling_profiles(age: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """Profiles (n,) that tell the ``age`` (n,) within a few years, from few people of known age: small models see it, too."""
    years = np.maximum(np.rint(age - 18 + rng.normal(0, 2.5, (3, len(age)))), 0).astype(int)
    names = ("years_experience", "tenure_months", "positions_count")
    profiles = [dict(zip(names, (int(a), int(b) * 12, int(c)), strict=True)) for a, b, c in years.T]
    return pa.array([json.dumps(profile) for profile in profiles])


def write_source(
    folder: Path, people: int, known: int, unknown: int, seed: int = 7, forms: tuple[str, ...] = FORMS, *, telling: bool = False
) -> tuple[Path, PlantedMinors]:
    """Write ``people`` generated ones with so many minors among them; the generated rows are the same whatever the minors are.

    With ``telling`` profiles, few people are enough to train on.
    """
    folder.mkdir(parents=True)
    minors = minor_people(known + unknown, np.random.default_rng(seed))
    dice = np.random.default_rng(seed + 1)
    profiles = telling_profiles(minors.age, dice) if telling else fields(AS_OF.year, AS_OF.month).render(minors, dice)
    rows = []
    for number, (age, profile) in enumerate(zip(minors.age.tolist(), profiles.to_pylist(), strict=True)):
        columns = _age_columns(forms[number % len(forms)], age, number) if number < known else {}
        rows.append(dict.fromkeys(SCHEMA.names) | columns | {"pid": FIRST_PID + number, "profile_json": profile})
    planted = pa.Table.from_pylist(rows, SCHEMA)
    for part, first in enumerate(range(0, people, ROWS_PER_CHUNK)):
        made, truth = record_batch(Chunk(seed, first, min(ROWS_PER_CHUNK, people - first), AS_OF))
        if telling:
            told = telling_profiles(truth["true_age"].to_numpy(), np.random.default_rng([seed, part]))
            made = made.set_column(made.schema.get_field_index("profile_json"), "profile_json", told)
        generated = pa.Table.from_batches([made]).append_column("birth_date", pa.nulls(made.num_rows, pa.string()))
        table = generated.select(SCHEMA.names).cast(SCHEMA)
        pq.write_table(table, folder / f"part-{part:03d}.parquet", compression="zstd")
    if known + unknown:
        pq.write_table(planted, folder / "young.parquet", compression="zstd", row_group_size=20_000)
    return folder, PlantedMinors([FIRST_PID + n for n in range(known)], [FIRST_PID + known + n for n in range(unknown)])
