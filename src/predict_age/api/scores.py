"""Score of predictions in memory against true ages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from predict_age.api.given_tables import ArrowTable, arrow_table, table_of_columns, value_column
from predict_age.api.runs import FinishedRun
from predict_age.api.sources import PeopleSource
from predict_age.arrays import Float64Array
from predict_age.config import AgesConfig
from predict_age.errors import InputError
from predict_age.evaluation.ab_test.score import GroupScore, group_score, scores_by_confidence, scores_by_predicted_age
from predict_age.evaluation.ab_test.truth import age_sql
from predict_age.source.column_types import is_text
from predict_age.source.row_rules import connect, register
from predict_age.storage.row_accounting import ML_PREDICTION

RESULTS = "a finished run, its results, or a table that AgeModel.predict returned"
TRUTH = "a table, data frame or list of dictionaries with pid (or source_id) and true_age, or a dictionary from id to age"
NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)  # types that hold years
AGE_COLUMNS = ("predicted_age", "age_lower", "age_upper", "confidence_pct")


@dataclass(frozen=True)
class Scores:
    """Quality of predictions for people whose true age is known, years; intervals are 95 % confidence intervals.

    ``all`` of the n people in both tables, by band of predicted age, by confidence, and those that are ``usable``.
    ``not_predicted``: people of the truth whose row has no prediction; ``not_found``: people of the truth without a row. Left out
    before: rows of the truth whose age is ``unknown`` (empty, or no number), or ``outside`` the age window of the run.
    """

    all: GroupScore
    usable: GroupScore
    by_predicted_band: list[GroupScore]
    by_confidence: list[GroupScore]
    not_predicted: int
    not_found: int
    unknown: int = 0
    outside: int = 0

    def __repr__(self) -> str:
        s = self.all
        interval = f"coverage {s.coverage:.3f}, width {s.width:.1f}"
        left_out = f"; not predicted: {self.not_predicted:,}, not in the results: {self.not_found:,}"
        left_out += f"; left out: {self.unknown:,} unknown, {self.outside:,} outside the age window"
        return f"<Scores: error {s.mae:.2f} years, bias {s.bias:+.2f}, {interval}, {s.rows:,} people{left_out}>"

    def _repr_html_(self) -> str:
        groups = [self.all, self.usable, *self.by_predicted_band, *self.by_confidence]
        rows = "".join(
            f"<tr><td>{g.group}<td>{g.rows:,}<td>{g.mae:.2f}<td>{g.mae_interval[0]:.2f} to {g.mae_interval[1]:.2f}"
            f"<td>{g.bias:+.2f}<td>{g.coverage:.3f}<td>{g.width:.1f}</tr>"
            for g in groups
        )
        head = "<tr><th>people<th>n<th>error<th>95 % interval<th>bias<th>coverage<th>width</tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def evaluate_predictions(results: ArrowTable | FinishedRun, truth: ArrowTable | Mapping[object, float]) -> Scores:
    """Compare predictions with true ages: error, bias, coverage, width.

    ``results``: a finished run, its results, or what ``AgeModel.predict`` has returned. ``truth``: a table or list of dictionaries
    with pid (or source_id, where ids are text) and true_age in years at the date of the predictions, or a dictionary from id to
    age. Only predictions by the model count, not known ages, and only true ages inside the age window (``ages.min`` to
    ``ages.max``) of a finished run, or of the default settings: those are the people whom ``predict-age score`` counts. Raises
    InputError when a column is missing or cannot be read, a person stands twice, or nobody is in both.
    """
    table = arrow_table(results.results if isinstance(results, FinishedRun) else results, "the table of results", RESULTS)
    window: tuple[int, ...] = (AgesConfig().min, AgesConfig().max)
    if isinstance(results, FinishedRun):
        window = tuple(int(results.folder.record["config"]["ages"][name]) for name in ("min", "max"))
    ids, ages, unknown, outside = _truth(truth, window)
    key = "source_id" if pa.types.is_string(ids.type) and "source_id" in table.column_names else "pid"
    needed = (key, "prediction_source", *AGE_COLUMNS, *(["usable"] if "usable" in table.column_names else []))
    table = pa.table({name: value_column(table, name, "the table of results") for name in needed})
    found = pa.table({"id": table[key].cast(pa.string()), "row": np.arange(len(table))})
    wanted = pa.table({"id": ids.cast(pa.string()), "age": ages})
    for name, ids_of in (("truth", wanted["id"]), ("results", found["id"])):
        if len(ids_of.drop_null().unique()) < len(ids_of.drop_null()):
            raise InputError(f"a person stands twice in the {name}", expected="one row a person", found="equal ids")
    both = wanted.join(found, "id", join_type="inner")
    if not len(both):
        raise InputError("nobody is in both tables", expected=f"ids as in the column {key} of the results", found="no equal id")
    rows = table.take(both["row"])
    predicted = np.asarray(rows["prediction_source"].to_pylist()) == ML_PREDICTION
    age = both["age"].to_numpy()[predicted]
    point, lower, upper, pct = (_numbers(rows, name, "the table of results")[predicted] for name in AGE_COLUMNS)
    usable = np.zeros(len(rows), np.bool_)
    if "usable" in rows.column_names:
        usable = np.asarray([str(value).lower() == "true" for value in rows["usable"].to_pylist()], np.bool_)
    usable = usable[predicted]
    return Scores(
        group_score("all", age, point, lower, upper),
        group_score("usable", age[usable], point[usable], lower[usable], upper[usable]),
        scores_by_predicted_age(age, point, lower, upper),
        scores_by_confidence(age, point, lower, upper, pct),
        int((~predicted).sum()),
        len(wanted) - len(both),
        unknown,
        outside,
    )


def _check_ids(ids: pa.ChunkedArray, key: str) -> None:
    """Raise InputError where a row of the truth is nobody's: without an id, or with a number that is none."""
    if nobody := ids.null_count:
        raise InputError(f"{nobody:,} rows of the truth have no {key}", expected="an id in every row", found="no value")
    if pa.types.is_floating(ids.type):
        numbers = ids.to_numpy()
        whole = np.isfinite(numbers) & (np.trunc(numbers) == numbers)
        if not whole.all():
            found = f"{int((~whole).sum()):,} rows with another number"
            raise InputError(f"{key} of the truth is no whole number", expected="ids as in the results", found=found)


def _numbers(table: pa.Table, name: str, role: str) -> Float64Array:
    """Years (n,) in the column ``name``, NaN where there is no number. Raises InputError where there is none, but other values."""
    column = value_column(table, name, role)
    if is_text(column.type):
        connection = connect()
        register(connection, "texts", pa.table({"years": column}))
        column = connection.sql(f"SELECT {age_sql('years')} AS years FROM texts").to_arrow_table()["years"]
    elif not any(is_kind(column.type) for is_kind in NUMBERS):
        raise InputError(f"{name} of {role} cannot be read", expected="years, as numbers", found=f"the type {column.type}")
    made: Float64Array = column.cast(pa.float64(), safe=False).to_numpy()
    return made


def _truth(truth: ArrowTable | Mapping[object, float], window: tuple[int, ...]) -> tuple[pa.ChunkedArray, Float64Array, int, int]:
    """Ids and ages of the people whose true age is a number inside the ``window``; numbers of unknown ages and of those outside."""
    if isinstance(truth, Mapping):
        table = table_of_columns({"pid": list(truth), "true_age": list(truth.values())}, "the truth")
    else:
        table = arrow_table(truth.to_arrow() if isinstance(truth, PeopleSource) else truth, "the truth", TRUTH)
    key = next((name for name in ("source_id", "pid") if name in table.column_names), "")
    if not key or "true_age" not in table.column_names:
        raise InputError(
            "the truth is not complete",
            expected="columns pid (or source_id) and true_age",
            found=", ".join(table.column_names) or "no column",
        )
    ages = _numbers(table, "true_age", "the truth")
    known = np.isfinite(ages)
    used = known & (ages >= window[0]) & (ages <= window[-1])
    unknown, outside = int((~known).sum()), int((known & ~used).sum())
    if not used.any():
        raise InputError(
            "the truth holds no true age",
            expected=f"numbers in true_age, years from {window[0]} to {window[-1]}",
            found=f"{unknown:,} unknown (empty, or no number), {outside:,} outside",
            fix="write ages in years as numbers, such as 42 or 42.5",
        )
    ids = value_column(table, key, "the truth")
    _check_ids(ids, key)
    return ids.filter(pa.array(used)), ages[used], unknown, outside
