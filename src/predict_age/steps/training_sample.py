"""Sample of people for step 3: which row groups are read, whose features are extracted, and reading the sample back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.config import Config, TrainingConfig
from predict_age.evaluation.model_card.card_sample import TrainingSample
from predict_age.features.extract import extract_features
from predict_age.features.group_fields import NOT_GIVEN, read_groups, with_one_spelling
from predict_age.hashing import sampling_hash, uniform_hash
from predict_age.kernels import prepare_kernels
from predict_age.source.duplicate_rows import counting_rows
from predict_age.source.id_hashes import fingerprints, read_fingerprints
from predict_age.source.row_classifier import classify_rows
from predict_age.source.row_group_reader import SLICE_BYTES, SLICE_ROWS, Split, merged, read_split
from predict_age.source.row_rules import RowRules, connect
from predict_age.storage.durable_files import creating

GROUP, AGE, SAMPLING_HASH, FINGERPRINT = "group:", "age", "row:sampling_hash", "row:fingerprint"  # no names of features
OVERSAMPLING = 4
MIN_SPLITS_TO_CHOOSE = 100


@dataclass(frozen=True)
class SamplingTask:
    """Settings of the sample: the shares (0..1) of people with and without a known age to draw, and how profiles are read.

    ``key``: of their fingerprints; ``except_for``: file with the fingerprints of people who are not drawn, ascending.
    """

    config: Config
    rules: RowRules
    duplicate_rows: Path
    features: str
    known: float
    others: float
    key: bytes
    except_for: Path | None = None


def choose_splits(splits: list[Split], labelled: int, settings: TrainingConfig) -> tuple[list[Split], int]:
    """Splits to draw people from, and how many times as many there are: with many more people than needed, not all are read.

    The seed draws one of so many consecutive splits. The drawn ones together hold :data:`OVERSAMPLING` times the people to draw,
    so that a person's neighbours hardly matter: the sample is spread over the whole source, however it is sorted.
    """
    times = max(1, min(int(labelled / (OVERSAMPLING * settings.sample_rows)), len(splits) // MIN_SPLITS_TO_CHOOSE))
    draws = uniform_hash(np.arange(len(splits) // times + 1, dtype=np.int64) + settings.seed * 1_000_003)
    chosen = [
        first + int(draw * min(times, len(splits) - first))
        for first, draw in zip(range(0, len(splits), times), draws, strict=False)
    ]
    return [splits[i] for i in chosen], times


def draw_people(number: int, splits: list[Split], drawing: SamplingTask, folder: Path) -> tuple[int, str]:
    """Write features of people drawn from ``splits`` to ``folder/<number>.parquet``.

    Returns the number of those with a known age, and the path or nothing when nobody was drawn.

    Columns: the features, the group fields as ``group:<name>``, ``age`` (NULL where unknown), ``row:sampling_hash``,
    ``row:fingerprint``. A person is drawn when the sampling hash is below the share; only then the profile is parsed.
    """
    connection = connect()
    config = drawing.config
    tables = []
    prepare_kernels(int(sum(split.rows for split in splits) * min(drawing.known, drawing.others)))
    few = None if drawing.except_for is None else _strangers(splits, drawing, *read_fingerprints(drawing.except_for))
    for raw in merged(_slices(splits, drawing, few), SLICE_ROWS, SLICE_BYTES):  # those of small splits together
        judged = drawing.rules.canonical(connection, raw, ("pid", "known_age", "withheld"))
        usable = judged["pid"].is_valid().to_numpy() & ~judged["withheld"].to_numpy()
        known = judged["known_age"].is_valid().to_numpy()
        pids = judged["pid"].fill_null(0).to_numpy()
        hashes = sampling_hash(pids, config.training.seed)
        chosen = usable & (hashes < np.where(known, drawing.known, drawing.others))
        if not chosen.any():
            continue
        profiles = raw["profile"].filter(chosen)
        made = extract_features(connection, profiles, drawing.features, drawing.rules.as_of)
        groups = read_groups(connection, profiles, config.card.groups)
        table = made.with_text_categories().append_column("age", judged["known_age"].filter(chosen))
        table = table.append_column(SAMPLING_HASH, pa.array(hashes[chosen]))
        table = table.append_column(FINGERPRINT, pa.array(fingerprints(pids[chosen], drawing.key)))
        for name in groups.column_names:
            table = table.append_column(GROUP + name, groups[name])
        tables.append(table.filter(made.problem.is_null()))
    if not tables:
        return 0, ""
    path = folder / f"{number}.parquet"
    drawn = pa.concat_tables(tables)
    with creating(path) as stream:
        pq.write_table(drawn, stream, compression="zstd")
    return drawn.num_rows - drawn["age"].null_count, str(path)


def _slices(splits: list[Split], drawing: SamplingTask, few: dict[int, NDArray[np.bool_]] | None) -> Iterator[pa.Table]:
    """Rows that count, with profiles; ``few``: these alone of each split, by its id."""
    for split in splits:
        wanted = counting_rows(split, drawing.duplicate_rows)
        if few is not None:
            wanted = few[split.id] if wanted is None else few[split.id] & wanted
            if not wanted.any():
                continue
        for piece in read_split(split, drawing.config.source, with_profile=True, only=wanted):
            yield piece.raw


def _strangers(
    splits: list[Split], drawing: SamplingTask, key: bytes, familiar: NDArray[np.uint32]
) -> dict[int, NDArray[np.bool_]]:
    """Mask of the rows of each split, by its id: people of known age to be drawn whose fingerprint is not ``familiar``.

    Profiles are not read: among the people of known age, few are strangers.
    """
    found = {split.id: np.zeros(split.rows, np.bool_) for split in splits}
    for split, piece, judged in classify_rows(splits, drawing.config.source, drawing.rules, ("pid", "known_age")):
        pids = judged["pid"].fill_null(0).to_numpy()
        drawn = sampling_hash(pids, drawing.config.training.seed) < drawing.known
        known = (judged["pid"].is_valid().to_numpy()) & judged["known_age"].is_valid().to_numpy()
        marks = fingerprints(pids, key)
        place = np.minimum(np.searchsorted(familiar, marks), max(len(familiar) - 1, 0))
        seen = familiar[place] == marks if len(familiar) else np.zeros(len(marks), np.bool_)
        found[split.id][piece.first : piece.first + len(pids)] = drawn & known & ~seen
    return found


def load_sample(files: list[str], most: int) -> TrainingSample:
    """The people drawn, in the order of their sampling hash: the same whatever the files were."""
    if not files:
        empty = pa.table({})
        return TrainingSample(empty, np.empty(0, np.float32), np.empty(0), empty, empty, empty, np.empty(0, np.uint32))
    table = pa.concat_tables([pq.read_table(f) for f in files])
    table = table.take(pa.array(np.argsort(table[SAMPLING_HASH].to_numpy(), kind="stable")))
    table = with_one_spelling(table, [n for n in table.column_names if n.startswith(GROUP)])
    known = table["age"].is_valid()
    labelled, others = table.filter(known).slice(0, most), table.filter(pc.invert(known))
    features = [n for n in table.column_names if not n.startswith(GROUP) and n not in (AGE, SAMPLING_HASH, FINGERPRINT)]

    def groups(of: pa.Table) -> pa.Table:
        """Fields that occur: one that nobody has says nothing."""
        named = {n.removeprefix(GROUP): table[n] for n in table.column_names if n.startswith(GROUP)}
        there = [n for n, column in named.items() if not pc.all(pc.equal(column, NOT_GIVEN)).as_py()]
        return of.select([GROUP + n for n in there]).rename_columns(there)

    return TrainingSample(
        labelled.select(features),
        labelled["age"].to_numpy().astype(np.float32),
        labelled[SAMPLING_HASH].to_numpy(),
        groups(labelled),
        others.select(features),
        groups(others),
        labelled[FINGERPRINT].to_numpy(),
    )
