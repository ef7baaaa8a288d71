"""Generated people: reproducible, realistic in shares, and with an exact best prediction."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from predict_age.errors import ConfigError
from predict_age.features.extract import extract_features
from predict_age.features.spec import default_text
from predict_age.source.row_rules import connect
from predict_age.synthetic import write
from predict_age.synthetic.model import AGES, FINISHING_AGE, OFFSET_ZERO, People, draw, model
from predict_age.synthetic.posterior import best_prediction, posterior
from predict_age.synthetic.write import Chunk, generate, people, record_batch

AS_OF = dt.date(2025, 10, 23)
CHUNK = Chunk(3, 0, 20_000, AS_OF)


def test_same_seed_same_bytes_whatever_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process and two workers write identical files; another seed writes others. A single file needs no other process."""
    pools: list[int] = []
    monkeypatch.setattr(write, "ROWS_PER_FILE", write.ROWS_PER_CHUNK)
    pool = write.ProcessPoolExecutor
    monkeypatch.setattr(write, "ProcessPoolExecutor", lambda n, **more: pools.append(n) or pool(n, **more))
    for name, seed, workers in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1)):
        generate(tmp_path / name, 52_000, seed, AS_OF, workers)
    assert pools == [2]
    read = {n: [path.read_bytes() for path in sorted((tmp_path / n).rglob("*.parquet"))] for n in "abc"}
    assert len(read["a"]) == 3
    assert read["a"] == read["b"] != read["c"]
    generate(tmp_path / "d", 10_000, 1, AS_OF, 2)
    assert pools == [2]


def test_shares_and_fields() -> None:
    """37.5 % have a known age, pids are distinct, profiles are JSON with 50 and more different fields."""
    batch, truth = record_batch(CHUNK)
    known = 1 - np.mean(batch["birth_year"].is_null().to_numpy(False) & batch["approximate_age"].is_null().to_numpy(False))
    assert abs(known - 0.375) < 0.012  # 3.5 standard errors of 20,000 draws
    assert len(set(batch["pid"].to_pylist())) == 20_000
    profiles = [json.loads(p) for p in batch["profile_json"].to_pylist()[:2000]]
    assert len(set().union(*profiles)) >= 55
    assert min(len(p) for p in profiles) >= 25
    ages = truth["true_age"].to_numpy()
    assert ages.min() >= 18
    assert ages.max() <= 75
    born = batch["birth_year"].to_numpy(False)
    assert np.all((AS_OF.year - born == ages) | np.isnan(born))


def test_profiles_never_carry_the_age() -> None:
    """No key of a profile names an age or a birth."""
    batch, _ = record_batch(Chunk(3, 0, 500, AS_OF))
    keys = set().union(*(json.loads(p) for p in batch["profile_json"].to_pylist()))
    assert not {k for k in keys if "birth" in k or k == "age"}


def test_posterior_is_calibrated_and_optimal() -> None:
    """Realised error equals the error the posterior expects; no shifted prediction does better; coverage is right."""
    sample = people(CHUNK)
    p = posterior(sample)
    assert np.allclose(p.sum(axis=1), 1)
    best = best_prediction(sample)
    expected = (p * np.abs(AGES - best[:, None])).sum(axis=1)
    realised = np.abs(best - sample.age)
    standard_error = (realised - expected).std() / np.sqrt(len(best))
    assert abs(realised.mean() - expected.mean()) < 4 * standard_error
    for shift in (-1, 1):
        assert np.abs(best + shift - sample.age).mean() > realised.mean()
    cumulative = p.cumsum(axis=1)
    rank = cumulative[np.arange(len(best)), sample.age - AGES[0]]
    before = rank - p[np.arange(len(best)), sample.age - AGES[0]]
    assert abs((before + rank).mean() / 2 - 0.5) < 0.01  # mid-rank of the truth is uniform when the posterior is right


def test_posterior_equals_brute_force() -> None:
    """Summing over every combination of education, delay and offset, one by one, gives the same numbers."""
    sample = draw(np.random.default_rng(1), 3)
    tables = model()
    for i in range(3):
        joint = np.zeros(len(AGES))
        for a, age in enumerate(AGES):
            for e, base in enumerate(FINISHING_AGE):
                for delay, p_delay in enumerate(tables.delay.pmf[e]):
                    z = max(0, age - base - delay)
                    for slot, p_offset in enumerate(tables.offset.pmf[0]):
                        x = max(0, z + slot - OFFSET_ZERO)
                        weight = tables.age.pmf[0, a] * tables.education.pmf[a, e] * p_delay * p_offset
                        parents = {"a": a, "e": e, "z": z, "x": x, "xe": x * 6 + e}
                        for v in tables.variables:
                            weight *= v.table.pmf[parents[v.parent], sample.shown[v.name][i]]
                        g = int(sample.shown["graduation"][i])
                        weight *= tables.graduation_shown.pmf[e, 1] * (g - 1 == z) if g else tables.graduation_shown.pmf[e, 0]
                        joint[a] += weight
        one = People(sample.age[[i]], {k: v[[i]] for k, v in sample.shown.items()})
        assert np.allclose(posterior(one)[0], joint / joint.sum(), atol=1e-12)


def test_features_see_what_the_yardstick_sees() -> None:
    """Each of the 22 features is missing exactly when its variable is not shown, and tells its outcomes apart."""
    batch, _ = record_batch(CHUNK)
    drawn = people(CHUNK)
    made = extract_features(connect(), batch["profile_json"], default_text(), AS_OF).columns
    pairs = {
        "tenure_years": "tenure_months",
        "job_level": "job_level",
        "connections": "connections",
        "education_level": "education_level",
        "years_experience": "years_experience",
        "years_since_graduation": "graduation",
        "years_since_career_start": "career_start",
        "title_seniority": "title_word",
        "positions_count": "positions",
        "skills_count": "skills",
        "places_count": "locations",
        "certifications_count": "certifications",
        "salary": "salary",
        "team_size": "team_size",
        "publications_count": "publications",
        "email_provider": "email_provider",
        "years_since_joining": "membership",
        "primary_skill": "primary_skill",
        "career_stage": "career_stage",
        "has_photo": "has_photo",
        "has_fixed_line": "has_fixed_line",
        "is_student": "is_student",
    }
    assert set(pairs) == set(made.column_names)
    assert set(pairs.values()) == set(drawn.shown)
    for feature, variable in pairs.items():
        outcomes: dict[object, set[int]] = {}
        for value, shown in zip(made[feature].to_pylist(), drawn.shown[variable].tolist(), strict=True):
            outcomes.setdefault(value, set()).add(shown)
        ambiguous = {v: s for v, s in outcomes.items() if len(s) > 1}
        assert not ambiguous, (feature, ambiguous)
        assert outcomes.get(None) == {0}, feature


def test_wants_an_empty_folder(tmp_path: Path) -> None:
    """Existing people are never overwritten."""
    generate(tmp_path, 10, 1, AS_OF, 1)
    with pytest.raises(ConfigError, match="not empty"):
        generate(tmp_path, 10, 1, AS_OF, 1)
    assert pq.read_table(tmp_path / "truth.parquet").num_rows == 10
    with pytest.raises(ConfigError, match="a file is in the way"):
        generate(tmp_path / "truth.parquet", 10, 1, AS_OF, 1)
