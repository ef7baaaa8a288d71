"""Duplicates and fingerprints against a small oracle in plain Python."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predict_age.config import AgesConfig, SourceConfig
from predict_age.errors import IntegrityError
from predict_age.hashing import CHUNK_IDS, checksum, splitmix64
from predict_age.source.convert import floor_mod
from predict_age.source.duplicate_rows import counting_rows, find_duplicates, write_duplicate_rows
from predict_age.source.external_partition import bucket_of, gather, scatter, together
from predict_age.source.id_hashes import UNKEYED, key_of_run, keyed_hashes, people_checksum
from predict_age.source.row_classifier import classify_rows
from predict_age.source.row_group_reader import Split, read_split
from predict_age.source.row_rules import RowRules
from predict_age.source.scan import ENTRY, NO_AGE, WITHHELD, scan

RUN_KEY = key_of_run("20251023T060000Z-0a0a0a0a", "checksum")
RULES = RowRules(AgesConfig(), dt.date(2025, 10, 23))
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1)), st.one_of(st.none(), st.integers(0, 120))
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(ROWS, min_size=1, max_size=3), buckets=st.integers(1, 4))
def test_winners_equal_the_oracle(tmp_path: Path, files: list[list[tuple[int | None, int | None]]], buckets: int) -> None:
    """The first minor wins, else the first row with a known age, else the first row; every pid is counted once."""
    splits = []
    for i, rows in enumerate(files):
        columns = {"pid": pa.array([r[0] for r in rows], pa.int64()), "approximate_age": pa.array([r[1] for r in rows], pa.int64())}
        path = tmp_path / f"{i}.parquet"
        pq.write_table(pa.table({**columns, "profile_json": pa.nulls(len(rows), pa.string())}), path)
        if rows:
            splits.append(Split(len(splits), i, f"{path}", 0, len(rows), 0, False))
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    scans = [splits[:1], splits[1:]]
    counts = [c for n, s in enumerate(scans) for c in scan(n, s, SourceConfig(), RULES, buckets, scratch, None, ["f"] * len(files))]
    found = [find_duplicates(b, [0, 1], scratch, RUN_KEY) for b in range(buckets)]
    write_duplicate_rows(tmp_path / "losers.npy", found)

    winners: dict[int, tuple[int, int, int]] = {}
    filled = [rows for rows in files if rows]
    for split, rows in enumerate(filled):
        for row, (pid, age) in enumerate(rows):
            known = 0 if age is None or not 0 <= age <= 100 else 2 if age < 18 else 1
            if pid is not None and (pid not in winners or known > winners[pid][2]):
                winners[pid] = (split, row, known)
    assert sum(d.distinct for d in found) == len(winners)
    assert sum(d.checksum for d in found) % 2**64 == people_checksum(np.array(list(winners), np.int64), RUN_KEY)
    rank = [sum(r == wanted for _, _, r in winners.values()) for wanted in (0, 1, 2)]
    lost = np.concatenate([d.ages for d in found])
    assert rank[0] == sum(c.needs_prediction for c in counts) - (lost == NO_AGE).sum()
    assert rank[1] == sum(sum(c.known.values()) for c in counts) - (lost < WITHHELD).sum()
    assert rank[2] == sum(c.withheld for c in counts) - (lost == WITHHELD).sum()
    kept = set()
    for split, rows in enumerate(filled):
        mask = counting_rows(splits[split], tmp_path / "losers.npy")
        kept |= {(split, row) for row, (pid, _) in enumerate(rows) if pid is not None and (mask is None or mask[row])}
    assert kept == {(s, r) for s, r, _ in winners.values()}
    assert [c.read for c in counts] == [len(rows) for rows in filled]
    assert sum(sum(c.set_aside.values()) for c in counts) == sum(pid is None for rows in files for pid, _ in rows)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.integers(1, 1000))
def test_floor_modulo_gives_every_pid_one_batch(pids: list[int], batches: int) -> None:
    """Negative pids too: the remainder of the document's formula would leave half of them in no batch."""
    found = floor_mod(np.array(pids, np.int64), batches)
    assert found.tolist() == [pid % batches for pid in pids]
    assert all(0 <= b < batches for b in found)


@given(st.lists(st.integers(-(2**62), 2**62), unique=True), st.randoms())
def test_checksum_ignores_order_and_notices_change(pids: list[int], shuffle: object) -> None:
    """The fingerprint of a set: any order, but another one when a pid is lost. Unkeyed, the pid -1 counted for nothing."""
    a = np.array(pids, np.int64)
    for key in (UNKEYED, RUN_KEY):
        assert people_checksum(a, key) == people_checksum(a[::-1], key)
    if len(a):
        assert people_checksum(a, RUN_KEY) != people_checksum(a[1:], RUN_KEY)


def test_judged_together_is_judged_alone(tmp_path: Path) -> None:
    """Splits of files whose ids have different types, in slices larger and smaller than what is judged at once."""
    kinds = (pa.int64(), pa.string(), pa.string(), pa.int64())
    splits = []
    for i, kind in enumerate(kinds):
        pids = pa.array([10 * i + n if n % 3 else None for n in range(5)], pa.int64()).cast(kind)
        columns = {"pid": pids, "approximate_age": pa.array([n * 20 for n in range(5)], pa.int64())}
        pq.write_table(pa.table({**columns, "profile_json": pa.nulls(5, pa.string())}), tmp_path / f"{i}.parquet")
        splits.append(Split(i, i, f"{tmp_path / f'{i}.parquet'}", 0, 5, 0, False))
    together = list(classify_rows(splits, SourceConfig(), RULES))
    alone = [found for split in splits for found in classify_rows([split], SourceConfig(), RULES)]
    assert [split.id for split, _, _ in together] == [0, 1, 2, 3]
    for (split, piece, found), (_, _, same) in zip(together, alone, strict=True):
        assert found.equals(same)
        assert found["pid"].to_pylist() == [10 * split.id + n if n % 3 else None for n in range(piece.first, piece.first + 5)]


def test_buckets_hold_every_entry_once_in_order(tmp_path: Path) -> None:
    """Scattered entries come back, bucket by bucket, in arrays of their own and not as pages of a file."""
    rng = np.random.default_rng(3)
    several = [np.zeros(n, ENTRY) for n in (0, 1, 5000, 70)]
    for number, entries in enumerate(several):
        entries["pid"], entries["row"] = rng.integers(0, 40, len(entries)), np.arange(len(entries))
        entries["split"] = number
        scatter(tmp_path, number, entries, 7)
    everything = np.concatenate(several)
    for bucket in range(7):
        expected = everything[bucket_of(everything["pid"], 7) == bucket]
        parts = list(gather(tmp_path, range(4), bucket))
        assert all(part.flags.owndata for part in parts)
        assert np.array_equal(np.concatenate(parts), expected)
        assert np.array_equal(together(tmp_path, range(4), bucket, ENTRY), expected)
        assert np.array_equal(together(tmp_path, range(4), bucket, ENTRY, "pid"), expected["pid"])


def test_a_bucket_that_lost_entries_is_not_read(tmp_path: Path) -> None:
    """A file that has become shorter stops the run, where its last entries would be missed."""
    entries = np.zeros(1000, ENTRY)
    entries["pid"] = np.arange(1000)
    scatter(tmp_path, 0, entries, 2)
    path = tmp_path / "0.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert len(together(tmp_path, [0], 0, ENTRY)) > 400
    with pytest.raises(IntegrityError, match="has become shorter"):
        together(tmp_path, [0], 1, ENTRY)


@pytest.mark.parametrize("many", [0, 1, CHUNK_IDS, 3 * CHUNK_IDS + 1])
def test_fingerprint_is_the_sum_of_all_however_many(many: int) -> None:
    """It is added up in parts, modulo 2^64."""
    pids = np.random.default_rng(many).integers(-(2**63), 2**63 - 1, many)
    assert people_checksum(pids, UNKEYED) == checksum(pids) == sum(splitmix64(pids + 1).tolist()) % 2**64
    assert people_checksum(pids, RUN_KEY) == sum(keyed_hashes(pids, RUN_KEY).tolist()) % 2**64


def test_two_runs_that_differ_in_one_person_do_not_give_the_person_away() -> None:
    """Each run has a key of its own, so that the difference of two checksums is nobody's hash; the same run has the same key."""
    pids = np.arange(1, 1001)
    keys = [key_of_run(run, "checksum") for run in ("20251023T060000Z-0a0a0a0a", "20251024T060000Z-0b0b0b0b")]
    assert keys[0] != keys[1] and keys[0] == key_of_run("20251023T060000Z-0a0a0a0a", "checksum") != key_of_run(
        "20251023T060000Z-0a0a0a0a", "x"
    )
    difference = (people_checksum(pids, keys[0]) - people_checksum(pids[1:], keys[1])) % 2**64
    of_the_person = {int(keyed_hashes(pids[:1], key)[0]) for key in keys} | {checksum(pids[:1])}
    assert difference not in of_the_person
    assert (checksum(pids) - checksum(pids[1:])) % 2**64 in of_the_person, "unkeyed ones did"


def test_a_file_that_was_written_again_is_opened_again(tmp_path: Path) -> None:
    """Files that stay open are known by what they hold, not by their name alone."""
    path = tmp_path / "p.parquet"
    for ids in ([1, 2, 3], [4, 5, 6]):
        columns = {"pid": ids, "approximate_age": [30] * 3, "profile_json": pa.nulls(3, pa.string())}
        pq.write_table(pa.table(columns), tmp_path / "new")
        (tmp_path / "new").replace(path)
        [piece] = read_split(Split(0, 0, str(path), 0, 3, 0, False), SourceConfig(), with_profile=True)
        assert piece.raw["pid"].to_pylist() == ids
