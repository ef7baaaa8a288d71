"""Are minors nowhere? ``python benchmarks/minors.py [PEOPLE] [KNOWN] [UNKNOWN]`` (200,000, 7,000 and 3,000).

Plants known minors, in every column and form of an age, and young people of unknown age among generated adults, runs the whole
pipeline, and runs it on the same source without the known ones. No table, record or model may hold a number, bound or histogram bin
of a minor; the models have to be equal to the byte; predicted ages and bounds have no spike at the limit. Prints for both runs how
many minors of unknown age are still published and how many adults are withheld, beside what the model card estimated. Exits with 1
when something is found. ``KEEP=DIR`` keeps the sources and runs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults import call
from minors_nowhere import below_the_limit, other_model_files, spike, told_of
from planted_minors import AS_OF, write_source
from predict_age.report import write_report
from predict_age.storage.workspace import Workspace
from predict_age.synthetic.write import ROWS_PER_CHUNK, Chunk, record_batch

MOST_AT_THE_LIMIT = 1.5  # people at the limit, against the mean of the four ages above it
LIMIT_YEARS = 18


def run(source: Path, workspace: Path) -> Path:
    """The folder of a whole run."""
    began = time.monotonic()
    stamp = "2025-11-01T00:00:00+00:00"
    arguments = ["run", "--source", source, "--workspace", workspace, "--as-of", AS_OF, "--timestamp", stamp, "--json"]
    code, out, err = call(arguments)
    if code:
        raise SystemExit(f"exit code {code}\n{err}")
    print(f"{source.name}: {time.monotonic() - began:.0f} s, {json.loads(out)['rows']}", flush=True)
    folder = Workspace(workspace).run(str(json.loads(out)["run_id"]))
    print(f"report: {write_report(folder)}", flush=True)  # with its pictures, which runs of tests leave out
    return folder.path


def table_of(folder: Path, name: str) -> pa.Table:
    """All rows of a table of a run."""
    return pa.concat_tables(pq.read_table(path) for path in sorted((folder / name).glob("*_*.parquet")))


def measured(results: pa.Table, unknown: list[int], people: int, seed: int = 7) -> None:
    """Print what became of minors and adults of unknown age, and of adults by their true age."""
    chunks = [Chunk(seed, first, min(ROWS_PER_CHUNK, people - first), AS_OF) for first in range(0, people, ROWS_PER_CHUNK)]
    truth = pa.concat_tables(pa.Table.from_batches([record_batch(chunk)[1]]) for chunk in chunks)
    joined = results.select(["pid", "predicted_age", "prediction_source", "age_lower", "age_upper"]).join(truth, "pid")
    of_unknown_age = pc.is_in(joined["prediction_source"], pa.array(["ML_PREDICTION", "WITHHELD"]))
    adults = joined.filter(pc.and_(pc.is_valid(joined["true_age"]), of_unknown_age))
    hidden = pc.equal(adults["prediction_source"], "WITHHELD").to_numpy()
    age = adults["true_age"].to_numpy()
    minors = results.filter(pc.is_in(results["pid"], pa.array(unknown, pa.int64())))
    published = pc.sum(pc.equal(minors["prediction_source"], "ML_PREDICTION")).as_py() or 0  # None where there are no such minors
    print(f"minors of unknown age: {minors.num_rows:,}, still published {published:,} ({published / max(minors.num_rows, 1):.1%})")
    print(f"adults of unknown age: {len(age):,}, withheld {hidden.sum():,} ({hidden.mean():.1%})")
    for low, high in ((18, 20), (21, 24), (25, 29), (30, 120)):
        band = (age >= low) & (age <= high)
        print(f"  {low}-{high}: {band.sum():,}, withheld {hidden[band].sum():,} ({hidden[band].mean():.1%})")
    shown = adults.filter(pa.array(~hidden))
    inside = (shown["age_lower"].to_numpy() <= age[~hidden]) & (age[~hidden] <= shown["age_upper"].to_numpy())
    error = np.abs(shown["predicted_age"].to_numpy() - age[~hidden])
    print(f"published adults of unknown age: error {error.mean():.3f} years, {inside.mean():.2%} inside the interval")


def said_on_card(folder: Path) -> None:
    """Print the card's figures about minors and about held-out people."""
    card = json.loads((folder / "model" / "card.json").read_bytes())
    print(f"model card: {card['minors']}; held out {card['held_out']}")


def main() -> int:
    """Number of findings, printed; 0 when there are none."""
    people, known, unknown = (int(sys.argv[i]) if len(sys.argv) > i else n for i, n in ((1, 200_000), (2, 7_000), (3, 3_000)))
    folder = Path(os.environ.get("KEEP") or tempfile.mkdtemp(prefix="minors-"))
    source, minors = write_source(folder / "with", people, known, unknown)
    other, _ = write_source(folder / "without", people, known, unknown)
    young = pq.read_table(other / "young.parquet")
    rest = young.filter(pc.is_in(young["pid"], pa.array(minors.unknown, pa.int64())))
    pq.write_table(rest, other / "young.parquet", compression="zstd", row_group_size=20_000)
    with_minors = run(source, folder / "run-with")
    without = run(other, folder / "run-without")
    results = table_of(with_minors, "results")
    withheld = results.filter(pc.equal(results["prediction_source"], "WITHHELD"))["pid"].to_pylist()
    found = told_of(with_minors, withheld) + below_the_limit(with_minors) + other_model_files(with_minors, without)
    missing = set(minors.known) - set(withheld)
    found += [f"{len(missing):,} known minors are not withheld"] if missing else []
    predicted = results.filter(pc.equal(results["prediction_source"], "ML_PREDICTION"))
    for name in ("predicted_age", "age_lower"):
        counts = np.bincount(predicted[name].to_numpy().astype(np.int64), minlength=40)[LIMIT_YEARS - 2 : LIMIT_YEARS + 12]
        height = spike(predicted[name].to_numpy())
        print(f"{name} from {LIMIT_YEARS - 2} on: {counts.tolist()}, at the limit {height:.2f} times the four ages above")
        found += [f"{name}: a spike at the limit"] if height > MOST_AT_THE_LIMIT else []
    measured(results, minors.unknown, people)
    said_on_card(with_minors)
    print("the same source without the known minors, as if their rows had been filtered out:")
    measured(table_of(without, "results"), minors.unknown, people)
    said_on_card(without)
    for sentence in found:
        print(f"FOUND: {sentence}")
    print(f"{len(found)} findings in {folder}")
    return len(found)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
