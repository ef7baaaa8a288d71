"""The same rows and models by what people would write instead: ``python benchmarks/rivals.py [ROWS]``.

Everybody gets the same Parquet files of generated people and the same model, and writes Parquet, in two stages: *predict* (scan,
smart filter, parse, 22 features, point and interval) and *results* (known ages and predictions in one table). That is done with two
models: the one that the pipeline chooses itself (the networks), and the architecture document's (XGBoost for the age, the quantile
forest for the interval). Each contender's predictions are compared with ours. Ours does more: it reads the source once to check it,
looks for duplicates in a way that fits any memory, and makes the QA tables; that is in its whole.

Starting Spark and Ray, and a first pass over a few rows that warms them up, is not counted; ours counts the start of its processes.
Everything is done twice, the better time counts. How contenders are tuned is said at each. They are looked for in a folder of
their own, so that ours runs without what only they need; one that is not there is skipped, loudly. To install them:

    .venv/bin/pip install --target out/rivals-libraries --no-deps pandas pyspark py4j ray filelock msgpack protobuf
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from predict_age import kernels
from predict_age.features.extract import compile_features
from predict_age.models.bundle import Bundle
from predict_age.runtime.resource_usage import Measure
from predict_age.runtime.worker_pool import available_cores
from stages import processor

OUT = Path("out") / "rivals"
LIBRARIES = Path("out").absolute() / "rivals-libraries"
sys.path.append(str(LIBRARIES))
AS_OF = dt.date(2025, 10, 23)
SCHEMA = "pid long, predicted_age int, confidence_score double, age_lower double, age_upper double"
ENDS = ("predicted_age", "age_lower", "age_upper")
YES, NO = {"true", "yes", "y", "1", "t", "1.0"}, {"false", "no", "n", "0", "f", "0.0"}


@cache
def model(folder: str, seal: str) -> Bundle:
    """The model, once a process."""
    from predict_age.models.artifact import load_model

    return load_model(Path(folder), seal)[0]


def libraries_only() -> None:
    """Rivals evaluate the models with NumPy, SciPy and the libraries: our kernels are ours."""
    kernels.kernel_switch.on = False


def number(value: object, low: float, high: float, scale: float = 1.0, clip: bool = False) -> float:
    """A number inside its bounds, or NaN."""
    if value is None or isinstance(value, bool):
        return np.nan
    try:
        found = float(value) * scale
    except (TypeError, ValueError):
        return np.nan
    if clip:
        return max(low, min(high, found))
    return found if low <= found <= high else np.nan


def years(value: object, high: float) -> float:
    """Years since a date that may lack its day or its month."""
    parts = str(value).split("-") if value is not None else []
    try:
        found = AS_OF.year - float(parts[0])
        found += (AS_OF.month - float(parts[1])) / 12 if len(parts) > 1 else 0
        found += (AS_OF.day - float(parts[2])) / 365.25 if len(parts) > 2 else 0
    except (IndexError, ValueError):
        return np.nan
    return found if 0 <= found <= high else np.nan


def truth(value: object) -> float:
    """1, 0 or NaN."""
    if value is None:
        return np.nan
    word = str(value).lower()
    return 1.0 if word in YES else 0.0 if word in NO else np.nan


def length(value: object, high: float) -> float:
    """The length of a list."""
    return min(float(len(value)), high) if isinstance(value, list) else np.nan


def script(bundle: Bundle) -> Callable[[str], list[float]]:
    """One profile to 22 numbers, with json.loads: what a careful person writes for one row."""
    features = bundle.features.features
    ranks = {
        name: {w.strip().lower(): float(rank) for rank, level in enumerate(features[name].synonyms) for w in level}
        for name in ("job_level", "education_level")
    }
    rules = {
        name: [(re.compile(rule.match, re.IGNORECASE), rule.value) for rule in features[name].rules]
        for name in ("title_seniority", "career_stage")
    }
    otherwise = {name: features[name].otherwise for name in rules}
    encoders = bundle.encoders

    def rank(name: str, value: object) -> float:
        return ranks[name].get(value.strip().lower(), np.nan) if isinstance(value, str) else np.nan

    def text(name: str, value: object) -> float:
        if value is None:
            return np.nan
        return next((v for pattern, v in rules[name] if pattern.search(str(value))), otherwise[name])

    def category(name: str, value: object) -> float:
        return encoders.known(name, [text := str(value).strip()]).get(text, encoders.mean) if value not in (None, "") else np.nan

    def row(profile: str) -> list[float]:
        p = json.loads(profile)
        education = p.get("education") or [{}]
        return [
            number(p.get("tenure_months"), 0, 60, 1 / 12),
            rank("job_level", p.get("job_level")),
            number(p.get("linkedin_connections"), 0, 30000, clip=True),
            rank("education_level", p.get("education_level")),
            number(p.get("years_experience"), 0, 65),
            years(education[0].get("end_year"), 70),
            years((p.get("career") or {}).get("start"), 65),
            text("title_seniority", p.get("current_title")),
            length(p.get("positions"), 60),
            length(p.get("skills"), 200),
            length(p.get("certifications"), 100),
            length(p.get("locations"), 50),
            number(p.get("estimated_salary_usd"), 0, 2000, 0.001, clip=True),
            number((p.get("management") or {}).get("team_size"), 0, 10000, clip=True),
            number(p.get("publications_count"), 0, 500, clip=True),
            category("email_provider", p.get("email_provider")),
            years(p.get("member_since"), 40),
            category("primary_skill", p.get("primary_skill")),
            text("career_stage", p.get("summary")),
            truth(p.get("has_photo")),
            truth((p.get("contact") or {}).get("fixed_line")),
            truth(p.get("is_student")),
        ]

    return row


def predicted(bundle: Bundle, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of a prediction."""
    made = bundle.predict(matrix)
    return {"predicted_age": made.age, "confidence_score": made.width, "age_lower": made.lower, "age_upper": made.upper}


def by_script(folder: str, seal: str, profiles: Any) -> dict[str, np.ndarray]:
    """A batch of profile texts, row by row."""
    libraries_only()
    bundle = model(folder, seal)
    row = script(bundle)
    return predicted(bundle, np.array([row(p) for p in profiles], np.float32).reshape(-1, len(bundle.features)))


@dataclass(frozen=True)
class Job:
    """Work of a contender: ``predict(files, to)``, then ``results(files, predictions, to)``; both write Parquet into ``to``."""

    predict: Callable[[list[str], Path], None]
    results: Callable[[list[str], Path, Path], None]


def with_pandas(folder: str, seal: str) -> Job:
    """pandas, json and the models, one process. Tuned: columns are read once, one matrix for all rows of a file."""
    import pandas as pd

    def predict(files: list[str], to: Path) -> None:
        to.mkdir()
        for i, file in enumerate(files):
            people = pd.read_parquet(file)
            people = people[people.birth_year.isna() & people.approximate_age.isna()]
            result = pd.DataFrame({"pid": people.pid.to_numpy(), **by_script(folder, seal, people.profile_json)})
            result.to_parquet(to / f"{i}.parquet", compression="zstd")

    def results(files: list[str], predictions: Path, to: Path) -> None:
        to.mkdir()
        people = pd.concat([pd.read_parquet(f, columns=["pid", "birth_year", "approximate_age"]) for f in files])
        age = people.approximate_age.fillna(AS_OF.year - people.birth_year)
        known = pd.DataFrame({"pid": people.pid, "age": age, "source": "known"})[age.notna()]
        made = pd.read_parquet(predictions).rename(columns={"predicted_age": "age"}).assign(source="predicted")
        pd.concat([known, made]).drop_duplicates("pid").to_parquet(to / "0.parquet", compression="zstd")

    return Job(predict, results)


def with_spark(folder: str, seal: str) -> Job:
    """PySpark local, all cores. Tuned: Arrow batches of 10,000 into the same function, splits of 16 MB, 6 GiB, few parts."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    settings = {
        "spark.driver.memory": "6g",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
        "spark.ui.enabled": "false",
        "spark.sql.files.maxPartitionBytes": "16m",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.python.worker.reuse": "true",
        "spark.sql.shuffle.partitions": str(2 * available_cores()),
    }
    builder = SparkSession.builder.master(f"local[{available_cores()}]").appName("rival")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")

    def batches(frames: Iterator[Any]) -> Iterator[Any]:
        import pandas as pd

        for frame in frames:
            yield pd.DataFrame({"pid": frame.pid, **by_script(folder, seal, frame.profile_json)})

    def predict(files: list[str], to: Path) -> None:
        people = spark.read.parquet(*files).where("birth_year IS NULL AND approximate_age IS NULL").select("pid", "profile_json")
        people.mapInPandas(batches, SCHEMA).write.parquet(str(to.absolute()))

    def results(files: list[str], predictions: Path, to: Path) -> None:
        age = f.coalesce(f.col("approximate_age"), AS_OF.year - f.col("birth_year")).cast("int")
        known = spark.read.parquet(*files).select("pid", age.alias("age"), f.lit("known").alias("source")).where("age IS NOT NULL")
        made = spark.read.parquet(str(predictions.absolute())).withColumnRenamed("predicted_age", "age")
        both = known.unionByName(made.withColumn("source", f.lit("predicted")), allowMissingColumns=True)
        both.dropDuplicates(["pid"]).write.parquet(str(to.absolute()))

    return Job(predict, results)


def with_ray(folder: str, seal: str) -> Job:
    """Ray Data, all cores. Tuned: filter inside the Arrow batch, batches of 10,000, tasks rather than actors, no progress bars.

    It does not look for duplicates: grouping is what Ray Data is slow at, and nobody would make it do that here.
    """
    import ray

    ray.init(num_cpus=available_cores(), include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False

    def batch(table: pa.Table) -> pa.Table:
        people = table.filter(pc.and_(pc.is_null(table["birth_year"]), pc.is_null(table["approximate_age"])))
        return pa.table({"pid": people["pid"], **by_script(folder, seal, people["profile_json"].to_pylist())})

    def predict(files: list[str], to: Path) -> None:
        ray.data.read_parquet(files).map_batches(batch, batch_size=10_000, batch_format="pyarrow").write_parquet(str(to.absolute()))

    def known(table: pa.Table) -> pa.Table:
        born = pc.subtract(AS_OF.year, table["birth_year"])
        age = pc.cast(pc.coalesce(table["approximate_age"], born), pa.int32())
        return labelled(table["pid"], age, "known").filter(pc.is_valid(age))

    def made(table: pa.Table) -> pa.Table:
        ends = {name: table[name] for name in ("age_lower", "age_upper")}
        return labelled(table["pid"], pc.cast(table["predicted_age"], pa.int32()), "predicted", **ends)

    def labelled(pid: Any, age: Any, source: str, **ends: Any) -> pa.Table:
        nothing = pa.nulls(len(pid), pa.float64())
        ends = {name: ends.get(name, nothing) for name in ("age_lower", "age_upper")}
        return pa.table({"pid": pid, "age": age, "source": pa.repeat(source, len(pid)), **ends})

    def results(files: list[str], predictions: Path, to: Path) -> None:
        light = ray.data.read_parquet(files, columns=["pid", "birth_year", "approximate_age"])
        first = light.map_batches(known, batch_size=None, batch_format="pyarrow")
        second = ray.data.read_parquet(str(predictions.absolute())).map_batches(made, batch_size=None, batch_format="pyarrow")
        first.union(second).write_parquet(str(to.absolute()))

    return Job(predict, results)


def with_duckdb(folder: str, seal: str) -> Job:
    """DuckDB on all cores for everything but the models: one lookup of all paths in each profile, as our own SQL does it.

    Tuned: DuckDB's threads read and parse while the models run in the main one; streamed in batches of 50,000, order not kept.
    """
    libraries_only()
    bundle = model(folder, seal)
    sql = compile_features(bundle.features.text, AS_OF)[1]
    connection = duckdb.connect(config={"threads": available_cores(), "preserve_insertion_order": False})

    def predict(files: list[str], to: Path) -> None:
        to.mkdir()
        names = ", ".join(f"'{f}'" for f in files)
        people = (
            f"SELECT pid, profile_json AS profile FROM read_parquet([{names}]) WHERE birth_year IS NULL AND approximate_age IS NULL"
        )
        query = sql.replace("SELECT problem,", "SELECT pid, problem,").replace(
            "(SELECT profile, DATE", "(SELECT pid, profile, DATE"
        )
        query = query.replace("FROM (SELECT\n", "FROM (SELECT pid,\n").replace("FROM profiles", f"FROM ({people})")
        writer = None
        for batch in connection.sql(query).to_arrow_reader(50_000):
            table = pa.Table.from_batches([batch])
            made = pa.table({"pid": table["pid"], **predicted(bundle, bundle.encoders.encode(table.select(bundle.features.names)))})
            writer = writer or pq.ParquetWriter(to / "0.parquet", made.schema, compression="zstd", compression_level=1)
            writer.write_table(made)
        assert writer is not None
        writer.close()

    def results(files: list[str], predictions: Path, to: Path) -> None:
        to.mkdir()
        names = ", ".join(f"'{f}'" for f in files)
        connection.execute(f"""
            COPY (
                SELECT DISTINCT ON (pid) * FROM (
                    SELECT pid, coalesce(approximate_age, {AS_OF.year} - birth_year)::INTEGER AS age, 'known' AS source
                    FROM read_parquet([{names}]) WHERE approximate_age IS NOT NULL OR birth_year IS NOT NULL
                    UNION ALL BY NAME
                    SELECT pid, predicted_age AS age, 'predicted' AS source, age_lower, age_upper FROM '{predictions}/*.parquet'
                )
            ) TO '{to}/0.parquet' (FORMAT parquet, COMPRESSION zstd)""")

    return Job(predict, results)


@dataclass(frozen=True)
class Rival:
    """Who predicts how: the function that prepares it, the packages it needs, the cores it uses, its processes that predict."""

    title: str
    prepare: Callable[[str, str], Job]
    needs: tuple[str, ...]
    cores: int
    workers: int


RIVALS = {
    "pandas": Rival("pandas + json", with_pandas, ("pandas",), 1, 1),
    "spark": Rival("PySpark, local", with_spark, ("pyspark", "pandas"), available_cores(), available_cores()),
    "ray": Rival("Ray Data", with_ray, ("ray",), available_cores(), available_cores()),
    "duckdb": Rival("DuckDB + libraries", with_duckdb, (), available_cores(), 1),
}


TIMES = 2
MODELS = {
    "the model that the pipeline chooses (networks)": "",
    "the architecture document's model (XGBoost and quantile forest)": 'members = ["xgboost"]',
}
OURS = ("read_source", "batch_generator", "create_predictions_table", "parallel_prediction", "human_qa", "final_results")


def race(name: str, folder: str, seal: str) -> None:
    """One rival, in this process: a few rows to warm up, then all of them. Prints seconds and peak memory of each time as JSON."""
    job = RIVALS[name].prepare(folder, seal)
    found = []
    for what in ("warm", *["people"] * TIMES):
        made, to = OUT / f"by-{name}-{what}", OUT / f"result-{name}-{what}"
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(to, ignore_errors=True)
        files = [str(f) for f in sorted((OUT / what / "people").glob("*.parquet"))]
        with Measure() as predicting:
            job.predict(files, made)
        with Measure() as merging:
            job.results(files, made, to)
        peak = max(predicting.peak_rss_bytes, merging.peak_rss_bytes) / 2**30
        found.append({"predict": predicting.seconds, "results": merging.seconds, "gib": peak})
    print(json.dumps(found[1:]))


def agreement(mine: pa.Table, name: str, rows: int) -> tuple[float, float]:
    """Shares of people with the same age, and with interval ends no more than a hundredth of a year apart."""
    files = sorted((OUT / f"by-{name}-people").rglob("*.parquet"))
    theirs = pa.concat_tables([pq.read_table(f, columns=["pid", *ENDS]) for f in files]).sort_by("pid")
    assert theirs["pid"].equals(mine["pid"]), f"{name} predicted other people"
    results = pa.concat_tables(
        [pq.read_table(f, columns=["pid"]) for f in sorted((OUT / f"result-{name}-people").rglob("*.parquet"))]
    )
    assert len(results) == len(results["pid"].unique()) == rows, f"the result of {name} does not have everybody once"
    age, lower, upper = (np.abs(theirs[c].to_numpy() - mine[c].to_numpy()) for c in ENDS)
    return float((age == 0).mean()), float(((lower < 0.011) & (upper < 0.011)).mean())


def ours(training: str, number: int) -> list[tuple[Path, dict[str, Any]]]:
    """Our runs, the workspace and the JSON of each: whole ones, since one that takes a model over would keep its predictions."""
    made = []
    for time in range(TIMES):
        workspace = OUT / f"w-{number}-{time}"
        config = OUT / f"{number}.toml"
        config.write_text(f"[training]\n{training}\n")
        command = [
            sys.executable,
            "-m",
            "predict_age",
            "run",
            "--source",
            OUT / "people" / "people",
            "--workspace",
            workspace,
            "--as-of",
            AS_OF.isoformat(),
            "--config",
            config,
            "--json",
        ]
        made.append((workspace, json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)))
    return made


def compare(title: str, training: str, number: int, rows: int) -> None:
    """The table of one model: ours first, since it trains it; then the rivals, each in a process of its own."""
    runs = ours(training, number)
    seconds = {name: min(s["seconds"] for _, run in runs for s in run["stages"] if s["name"] == name) for name in OURS}
    stages = {s["name"]: s for s in runs[-1][1]["stages"]}
    done = runs[-1][0] / "runs" / runs[-1][1]["run_id"]
    cores = runs[-1][1]["workers"]
    seal = json.loads((done / "steps" / "training.json").read_text())["outputs"]["model/manifest.json"]
    mine = pa.concat_tables(
        [pq.read_table(f, columns=["pid", *ENDS]) for f in sorted((done / "predictions").glob("batch_*.parquet"))]
    ).sort_by("pid")
    predicted = stages["parallel_prediction"]["rows"]
    print(f"\n{title}: {rows:,} people, {predicted:,} predicted\n")
    print("| who | cores | stage | seconds | rows/s a core | ours is faster | peak memory, GiB | same age | same interval |")
    print("|---|---|---|---|---|---|---|---|---|")
    whole = sum(seconds.values())
    for name in OURS:
        among, gib = stages[name]["rows"], stages[name]["peak_rss_bytes"] / 2**30
        rate = f"{among / seconds[name] / cores:,.0f}" if seconds[name] > 0.05 and among else ""
        print(f"| predict-age | {cores} | {name} | {seconds[name]:.1f} | {rate} | | {gib:.1f} | | |")
    print(f"| **predict-age** | {cores} | whole, without training | {whole:.1f} | {rows / whole / cores:,.0f} | | | | |")
    best = {"predict": seconds["parallel_prediction"] * cores, "whole": whole * cores}
    for name, rival in RIVALS.items():
        if lacking := [n for n in rival.needs if importlib.util.find_spec(n) is None]:
            print(f"| {rival.title} | SKIPPED: {', '.join(lacking)} not installed | | | | | | | |")
            continue
        race = "import sys, rivals; rivals.race(*sys.argv[1:])"  # imported: workers of Spark and Ray look its functions up by name
        threads = str(max(1, rival.cores // rival.workers))
        where = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent.absolute(), LIBRARIES))),
            "OPENBLAS_NUM_THREADS": threads,
            "PYSPARK_PYTHON": sys.executable,
        }
        again = [sys.executable, "-c", race, name, str(done / "model"), seal]
        made = subprocess.run(again, capture_output=True, text=True, check=False, env=where)
        if made.returncode:
            print(f"| {rival.title} | FAILED: {made.stderr.strip().splitlines()[-1]} | | | | | | | |")
            continue
        times = json.loads(made.stdout.splitlines()[-1])
        best_of = {stage: min(t[stage] for t in times) for stage in ("predict", "results")}
        best_of["whole"] = sum(best_of.values())
        age, ends = agreement(mine, name, rows)
        for stage, among in (("predict", predicted), ("results", rows), ("whole", rows)):
            faster = f"{best_of[stage] * rival.cores / best[stage]:.1f} x" if stage in best else ""
            same = f"{age:.3%} | {ends:.3%}" if stage == "predict" else "|"
            print(
                f"| {rival.title} | {rival.cores} | {stage} | {best_of[stage]:.1f} | {among / best_of[stage] / rival.cores:,.0f} "
                f"| {faster} | {max(t['gib'] for t in times):.1f} | {same} |",
                flush=True,
            )


def main(rows: int) -> None:
    """Both models, over people generated once."""
    shutil.rmtree(OUT, ignore_errors=True)
    for what, people in (("people", rows), ("warm", 5000)):
        generate = [sys.executable, "-m", "predict_age", "generate", "--rows", str(people), "--out", str(OUT / what), "-q"]
        subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
    print(f"\n{processor()}, {available_cores()} cores")
    for number, (title, training) in enumerate(MODELS.items()):
        compare(title, training, number, rows)


if __name__ == "__main__":
    main(int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else 1_000_000)
