"""Who is drawn for training when there are many more people than needed."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from conftest import run_json
from predict_age.config import TrainingConfig
from predict_age.kernels import kernels_usable
from predict_age.source.row_group_reader import Split
from predict_age.steps.training_sample import MIN_SPLITS_TO_CHOOSE, OVERSAMPLING, choose_splits


def splits(number: int) -> list[Split]:
    """Splits of 50,000 people each."""
    return [Split(i, i // 5, "", i % 5, 50_000, 0, False) for i in range(number)]


def test_all_splits_are_read_when_few_people_are_known() -> None:
    """Up to four times as many known ages as needed, or few row groups, everything is looked at."""
    settings = TrainingConfig()
    for number, labelled in ((1, 10), (80, 1_400_000), (200, 2 * OVERSAMPLING * settings.sample_rows - 1), (150, 10**9)):
        assert choose_splits(splits(number), labelled, settings) == (splits(number), 1)


def test_one_of_so_many_consecutive_splits() -> None:
    """378 million people: one row group of each 35, drawn by the seed, the same each time."""
    everything = splits(7561)
    some, times = choose_splits(everything, 141_759_065, TrainingConfig(seed=7))
    assert times == 35 and len(some) == 217
    assert [s.id // 35 for s in some] == list(range(217))
    places = [s.id % 35 for s in some]
    assert len(set(places)) > 25  # a fixed place of each 35 would follow whatever rhythm the source has
    assert choose_splits(everything, 141_759_065, TrainingConfig(seed=7)) == (some, times)
    assert choose_splits(everything, 141_759_065, TrainingConfig(seed=8))[0] != some
    assert len(some) * 18_750 > 3 * 1_000_000


def test_as_many_people_as_asked_for(people: Path, quick: Path, tmp_path: Path) -> None:
    """A run over 200 small files reads a part of them and draws the people it is told to, from all over the source."""
    table = pq.read_table(people / "people")
    (tmp_path / "s").mkdir()
    for number in range(200):  # small row groups of one file would be joined to one split
        pq.write_table(table.slice(15 * number, 15), tmp_path / "s" / f"people-{number:03}.parquet")
    config = tmp_path / "c.toml"
    config.write_text(quick.read_text().replace("[training]", "[training]\nsample_rows = 140"))
    assert kernels_usable()  # kernels that are loaded already read even so few rows: much sooner than SQL does
    some, times = choose_splits(splits(200), 1125, TrainingConfig(sample_rows=140))
    assert times == 2 and len(some) == 100 >= MIN_SPLITS_TO_CHOOSE
    run = run_json(tmp_path / "s", tmp_path / "w", "--config", config)
    assert run["rows"]["read"] == table.num_rows == 3000
    (recorded,) = (tmp_path / "w").rglob("source/splits.json")
    assert len(json.loads(recorded.read_text())["splits"]) == 200
    learned = next(s["rows"] for s in run["stages"] if s["name"] == "training")
    assert 110 <= learned <= 140  # a binomial number of mean 140, cut at 140
