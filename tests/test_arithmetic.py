"""Small pure parts: batches, quarters, books, merging, lines of TOML files."""

import datetime as dt
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from predict_age.cli.console import PlainConsole
from predict_age.cli.render_runs import _quality
from predict_age.config import LimitsConfig, TrainingConfig
from predict_age.distributions import chi_squared_upper_quantile, f_upper_quantile, normal_upper_quantile, student_t_upper_quantile
from predict_age.errors import IntegrityError
from predict_age.pipeline.measured_speeds import TRAINING_SECONDS, prediction_rate, training_seconds
from predict_age.runs.batching import number_of_batches, plan_batches
from predict_age.runs.budget import seconds_left
from predict_age.runs.quarter import latest_complete_quarter
from predict_age.storage.row_accounting import RowAccounting
from predict_age.tally import Tally, counted, in_number, number_or_dash, share_or_dash, sum_tallies
from predict_age.toml_lines import line_of


def test_the_documents_batches_are_788() -> None:
    """ceil(236,296,501 / 300,000) is 788, not 898; the formula is printed with its inputs."""
    assert number_of_batches(236_296_501, 300_000, 2) == (788, "ceil(236,296,501 / 300,000) = 788")


@given(st.lists(st.integers(0, 120_000), min_size=1, max_size=200), st.integers(1, 300_000), st.integers(1, 16))
def test_every_split_is_in_exactly_one_batch(to_predict: list[int], batch_rows: int, workers: int) -> None:
    """Batches are consecutive, complete, not empty, and hold at most batch_rows unless one split alone does."""
    plan = plan_batches(to_predict, batch_rows, workers)
    assert [s for batch in plan.batches for s in batch] == list(range(len(to_predict)))
    for batch, rows in zip(plan.batches, plan.to_predict, strict=True):
        assert rows == sum(to_predict[s] for s in batch)
        assert rows <= batch_rows or sum(1 for s in batch if to_predict[s]) == 1


def test_equal_splits_make_equal_batches_for_one_worker() -> None:
    """100 splits of 30,000 rows in batches of 300,000: ten batches of ten."""
    assert [len(b) for b in plan_batches([30_000] * 100, 300_000, 1).batches] == [10] * 10


def test_several_workers_end_together() -> None:
    """The last batches are ever smaller: whichever worker is slower, by a third, the other waits for a row group's time at most."""
    for workers in (2, 3, 8):
        plan = plan_batches([31_000] * 300, 300_000, workers)
        assert plan.to_predict[: 200 // 9 - workers] == [9 * 31_000] * (200 // 9 - workers)
        assert plan.to_predict[-workers:] == [31_000] * workers
        assert plan.to_predict == sorted(plan.to_predict, reverse=True)
        free = [0.0] * workers
        for rows in plan.to_predict:
            worker = free.index(min(free))
            free[worker] += rows * (1.33 if worker % 2 else 1.0)
        assert max(free) - min(free) <= 31_000 * 1.33
        assert f"ceil(9,300,000 / 300,000) = 31, {len(plan.batches)} in whole row groups, the last ones smaller" == plan.formula


@pytest.mark.parametrize(
    ("date", "quarter"),
    [
        ("2025-10-23", "2025q3"),
        ("2020-06-30", "2020q2"),
        ("2020-06-29", "2020q1"),
        ("2026-01-05", "2025q4"),
        ("2025-12-31", "2025q4"),
    ],
)
def test_quarter(date: str, quarter: str) -> None:
    """The latest quarter complete at the date; on the document's own date it is the document's table."""
    assert latest_complete_quarter(dt.date.fromisoformat(date)) == quarter


GOOD = RowAccounting(100, 10, 90, 80, 10, 1, {"EXISTING_APPROX_AGE": 20, "EXISTING_BIRTH_YEAR": 10}, 45, 5)


def test_books_balance() -> None:
    """All three equations hold."""
    GOOD.check()
    assert GOOD.existing == 30


def test_suppressed_people_are_distinct_ones_who_are_not_in_the_result() -> None:
    """They balance the books as a source of age does, and shares are those of the others."""
    books = replace(GOOD, distinct=84, usable=94, read=104, suppressed=4)
    books.check()
    assert books.people == books.counts().people == 80
    tally = Tally({"high:ML_PREDICTION": 40})
    assert books.quality(tally)["high_quality_share"] == 0.5
    with pytest.raises(IntegrityError, match="suppressed"):
        replace(books, suppressed=5).check()
    assert (books.as_rows()["suppressed"], "suppressed" in GOOD.as_rows()) == (4, False)


def test_withheld_people_are_in_the_result_without_an_age() -> None:
    """They balance the books, keep their row, and are in no share."""
    books = replace(GOOD, distinct=84, usable=94, read=104, withheld=4)
    books.check()
    assert books.people == books.counts().people == 84
    assert books.quality(Tally({"high:ML_PREDICTION": 40}))["high_quality_share"] == 0.5
    with pytest.raises(IntegrityError, match="withheld"):
        replace(books, withheld=3).check()
    assert (books.as_rows()["withheld"], "withheld" in GOOD.as_rows()) == (4, False)


@pytest.mark.parametrize("field", ["read", "set_aside", "usable", "distinct", "duplicate", "predicted", "default"])
def test_one_row_off_is_an_integrity_error(field: str) -> None:
    """Any single count that is off by one is noticed, with both numbers."""
    with pytest.raises(IntegrityError, match=r"do not balance[\s\S]*against"):
        replace(GOOD, **{field: getattr(GOOD, field) + 1}).check()


TALLIES = st.builds(
    Tally,
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 99)),
    st.dictionaries(st.sampled_from("hk"), st.lists(st.integers(0, 9), min_size=4, max_size=4)),
)


@given(st.lists(TALLIES, max_size=6), st.randoms(use_true_random=False))
def test_merging_ignores_order(parts: list[Tally], random: object) -> None:
    """The merge of parts in any order is the same."""
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sum_tallies(parts) == sum_tallies(shuffled)


def test_merging_adds_counters_and_histograms() -> None:
    """Counters and the bins of histograms of both are added; what only one has is kept."""
    merged = sum_tallies([Tally({"a": 1, "b": 2}, {"h": [1, 2, 0]}), Tally({"a": 3}, {"h": [4, 1, 0], "k": [5]})])
    assert merged == Tally({"a": 4, "b": 2}, {"h": [5, 3, 0], "k": [5]})


def test_time_that_is_left_counts_the_time_used() -> None:
    """The tighter limit counts, time or money, less the time of earlier attempts; no limit, no number."""
    assert seconds_left(LimitsConfig(max_minutes=2), 50) == 70
    assert seconds_left(LimitsConfig(max_minutes=2, max_cost_usd=0.5, usd_per_hour=30), 50) == 10
    assert seconds_left(LimitsConfig(), 50) is None


def test_line_of() -> None:
    """The line of a key, of a table, and of the nearest parent."""
    text = "format = 1\n\n[features.a]\nkind = 'x'\n[features.b]\n  path = 'y'\n"
    assert line_of(text, ("format",)) == 1
    assert line_of(text, ("features", "b", "path")) == 6
    assert line_of(text, ("features", "a", "nothing")) == 3
    assert line_of(text, ("other",)) is None


@pytest.mark.parametrize("chance", [0.5, 0.05, 1e-3, 1e-6])
def test_quantiles_equal_scipy(chance: float) -> None:
    """The quick quantiles are those of scipy.stats."""
    assert normal_upper_quantile(chance) == pytest.approx(stats.norm.isf(chance), abs=1e-12)
    for freedom in (1, 7.5, 400):
        assert student_t_upper_quantile(chance, freedom) == pytest.approx(stats.t.isf(chance, freedom), rel=1e-9, abs=1e-9)
        assert chi_squared_upper_quantile(chance, freedom) == pytest.approx(stats.chi2.isf(chance, freedom), rel=1e-9)
        assert f_upper_quantile(chance, freedom, 30) == pytest.approx(stats.f.isf(chance, freedom, 30), rel=1e-6)


def test_the_time_of_training_follows_what_was_measured() -> None:
    """Exact at the measured numbers of people, growing in between and beyond, never free, and shared by a few workers at most."""
    for people, seconds in TRAINING_SECONDS[1:]:
        assert training_seconds(people, 1) == seconds
    times = [training_seconds(people, 2) for people in range(20, 2_000_000, 9_973)]
    assert times == sorted(times)
    assert training_seconds(1_875, 2) == 34.5, "few people are not trained on in a second"
    assert training_seconds(0, 2) == 0
    assert training_seconds(5_000, 64) == training_seconds(5_000, 4)
    assert training_seconds(2_000_000, 1) == 2 * training_seconds(1_000_000, 1)


def test_numbers_that_are_not_known_are_not_shown_as_numbers() -> None:
    """A dash for each; a target that a record does not have is left out, and is not 0 %."""
    assert [number_or_dash(n, "{:.1f}") for n in (None, float("nan"), 0.0)] == ["\N{EN DASH}", "\N{EN DASH}", "0.0"]
    assert [share_or_dash(n) for n in (None, float("nan"), 0.0)] == ["\N{EN DASH}", "\N{EN DASH}", "0.0 %"]
    metrics = dict.fromkeys(("mae", "ridge_mae", "median_mae", "width"), 2.5) | {"coverage": 0.912}
    for target, shown in ((0.9, "target 90 %, mean width 2.5 years"), (None, "mean width 2.5 years")):
        console = PlainConsole(io.StringIO(), 100)
        console.print(_quality({**metrics, "target_coverage": target}, None, None))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert (shown in text, "target" in text) == (True, target is not None)


def test_the_rate_of_prediction_follows_the_size_of_the_model() -> None:
    """Models of 3,000 to 30,000 people are larger, unless the configuration says that all are alike."""
    rates = [prediction_rate(people, TrainingConfig()) for people in (0, 2_999, 3_000, 29_999, 30_000, 1_000_000)]
    assert rates == [rates[0], rates[0], rates[2], rates[2], rates[0], rates[0]]
    assert rates[2] < 0.9 * rates[0]
    assert prediction_rate(3_000, TrainingConfig(size_presets=False)) == rates[0]


def test_words_follow_the_number() -> None:
    """Regular nouns, others and verbs."""
    assert [counted(n, word) for n in (0, 1, 2_000) for word in ("row", "hash")] == [
        "0 rows",
        "0 hashes",
        "1 row",
        "1 hash",
        "2,000 rows",
        "2,000 hashes",
    ]
    assert [in_number(n, word) for n in (1, 2) for word in ("is", "was", "has")] == ["is", "was", "has", "are", "were", "have"]
