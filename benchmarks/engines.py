"""The published model inside Spark and Ray Data, beside our own processes: ``python benchmarks/engines.py WORKSPACE PEOPLE``.

Names of engines may follow (spark, ray).

PEOPLE are the Parquet files that the published run of WORKSPACE has read. Each engine reads them, predicts everybody with two
workers and gives the answers back. Twice: once in peace, for the speed, and once while a worker is killed as soon as it has
answered a batch.
Each time every person must be there once, with the answer that our own processes give, and, where the age is not known, that of the
published result. Speed is rows for each second of processor time, of all processes that the engine has, starting them not counted.
The engine's own share is the time of the same job with a function that answers nothing: nulls in the columns of the answers.
Spark predicts the partitions that it reads. A repartition before that moves every profile between processes and gains nothing.

The engines are looked for where ``benchmarks/rivals.py`` looks for them, or in the folder that ENGINE_LIBRARIES names.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import predict_age

LIBRARIES = os.environ.get("ENGINE_LIBRARIES", str(Path("out").absolute() / "rivals-libraries"))
MARK = "PREDICT_AGE_ENGINE"
WORKERS = 2
ROWS = 10_000  # of a batch
COMPARED = ("predicted_age", "confidence_score", "confidence_pct", "prediction_source", "age_lower", "age_upper", "usable")
COLUMNS = ["pid", "profile_json"]
TICK = os.sysconf("SC_CLK_TCK")


class Nothing:
    """Stands for a predictor: nulls as answers, but the ids, so that the work of the engine itself remains."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def __call__(self, people: pa.Table) -> pa.Table:
        ids = {"pid": people["pid"]}
        return pa.table([ids.get(field.name, pa.nulls(len(people), field.type)) for field in self.schema], schema=self.schema)


class Noted:
    """A predictor that leaves a file named by its process when it has answered a batch: whom to kill."""

    def __init__(self, predictor: Callable[[pa.Table], pa.Table], schema: str, folder: str) -> None:
        self.predictor, self.spark_schema, self.folder = predictor, schema, folder

    def __call__(self, people: pa.Table) -> pa.Table:
        made = self.predictor(people)
        Path(self.folder, str(os.getpid())).touch()
        return made

    def each(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from self(pa.table(batch)).to_batches()


def processor_seconds() -> float:
    """Seconds of processor time of all processes that carry our mark, and of their children that have ended."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={os.environ[MARK]}".encode() in (folder / "environ").read_bytes():
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


def killer(folder: str, ended: threading.Event) -> list[int]:
    """Kill the first process that leaves a note in ``folder``; the list holds it then."""
    killed: list[int] = []

    def wait() -> None:
        while not ended.is_set() and not killed:
            for note in Path(folder).iterdir():
                os.kill(int(note.name), signal.SIGKILL)
                killed.append(int(note.name))
                return
            time.sleep(0.01)

    threading.Thread(target=wait, daemon=True).start()
    return killed


def own(files: list[str], noted: Noted) -> Iterator[Callable[[Noted], pa.Table]]:
    """Two processes of ours, each loading the model once."""
    with get_context("spawn").Pool(WORKERS) as pool:
        batches = [b for f in files for b in pq.ParquetFile(f).iter_batches(ROWS, columns=COLUMNS)]
        tables = [pa.Table.from_batches([b]) for b in batches]
        pool.map(noted, [t.slice(0, 50) for t in tables[: 2 * WORKERS]], 1)
        yield lambda one: pa.concat_tables(pool.imap_unordered(one, tables))


def spark(files: list[str], noted: Noted) -> Iterator[Callable[[Noted], pa.Table]]:
    """Spark's mapInArrow, two cores, a task may fail four times."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "3g",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS),
        "spark.python.worker.reuse": "true",
    }
    builder = SparkSession.builder.master(f"local[{WORKERS},4]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    frame = session.read.parquet(*files).select(*COLUMNS)
    frame.limit(100).repartition(WORKERS).mapInArrow(noted.each, noted.spark_schema).toArrow()
    yield lambda one: frame.mapInArrow(one.each, one.spark_schema).toArrow()
    session.stop()


def ray(files: list[str], noted: Noted) -> Iterator[Callable[[Noted], pa.Table]]:
    """Ray Data's map_batches in tasks, two at a time."""
    import ray as engine

    engine.init(num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    engine.data.DataContext.get_current().enable_progress_bars = False

    def answers(one: Noted) -> pa.Table:
        people = engine.data.read_parquet(files, columns=COLUMNS).repartition(4 * WORKERS)
        made = people.map_batches(one, batch_format="pyarrow", batch_size=ROWS)
        return pa.concat_tables(engine.get(made.to_arrow_refs()))

    engine.data.read_parquet(files[:1], columns=COLUMNS).limit(100).map_batches(noted, batch_format="pyarrow").materialize()
    yield answers
    engine.shutdown()


ENGINES = {"own": own, "spark": spark, "ray": ray}


def timed(job: Callable[[Noted], pa.Table], one: Noted) -> tuple[pa.Table, float, float]:
    """Answers of the ``job``, its seconds on the clock and of processor time."""
    began, used = time.perf_counter(), processor_seconds()
    made = job(one)
    return made, time.perf_counter() - began, processor_seconds() - used


def compared(answers: pa.Table, expected: pa.Table | None, published: pa.Table) -> str:
    """Difference of the answers from the expected and published ones; empty: none."""
    answers = answers.select(["pid", *COMPARED]).sort_by("pid").combine_chunks()
    if expected is not None and not answers.equals(expected.cast(answers.schema)):
        return f"{answers.num_rows:,} answers differ from the {expected.num_rows:,} of our own processes"
    unknown = answers.filter(pc.is_in(answers["pid"], published["pid"])).combine_chunks()
    if not unknown.equals(published.cast(unknown.schema)):
        return "answers differ from the published result"
    return "" if len(answers["pid"].unique()) == answers.num_rows else "somebody is there twice"


def main(workspace: str, people: str, *chosen: str) -> None:
    os.environ[MARK] = uuid.uuid4().hex  # processes that are started from now on carry it
    sys.path.append(LIBRARIES)
    os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), LIBRARIES])
    files = sorted(map(str, Path(people).glob("*.parquet")))
    run = predict_age.open_run(workspace)
    result = run.results.select(["pid", *COMPARED]).to_arrow()
    published = result.filter(pc.invert(pc.starts_with(result["prediction_source"], "EXISTING"))).sort_by("pid").combine_chunks()
    print(f"{len(result):,} people, {len(published):,} of them of unknown age")
    predictor = predict_age.batch_predictor(workspace)
    expected: pa.Table | None = None
    for name in ["own", *(chosen or ("spark", "ray"))]:
        with tempfile.TemporaryDirectory() as folder:
            noted = Noted(predictor, predictor.spark_schema, folder)
            prepared = ENGINES[name](files, noted)
            answers = next(prepared)
            _, _, itself = timed(answers, Noted(Nothing(predictor.schema), predictor.spark_schema, folder))
            made, seconds, used = timed(answers, noted)
            wrong = compared(made, expected, published)
            print(
                f"{name:6} {made.num_rows:,} answers, {wrong or 'all right'}; {seconds:.1f} s, {used:.1f} s of processor time, "
                f"{made.num_rows / used:,.0f} rows/s a core; {itself:.1f} s of it without a prediction",
                flush=True,
            )
            if name == "own":
                expected = made.select(["pid", *COMPARED]).sort_by("pid").combine_chunks()
            else:
                ended = threading.Event()
                for note in Path(folder).iterdir():
                    note.unlink()
                killed = killer(folder, ended)
                made = answers(noted)
                ended.set()
                wrong = compared(made, expected, published)
                print(f"{name:6} {len(killed)} worker killed: {made.num_rows:,} answers, {wrong or 'all right'}", flush=True)
            next(prepared, None)


if __name__ == "__main__":
    main(*sys.argv[1:])
