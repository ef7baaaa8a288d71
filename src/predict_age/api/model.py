"""A trained model of a workspace, which predicts the ages of people that a caller has in memory."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from predict_age.api.arguments import checks_arguments
from predict_age.api.people import AnyPeople, GivenPeople, given_people
from predict_age.arrays import BoolArray, Int64Array
from predict_age.config import SourceConfig
from predict_age.predictor.loading import load_predictor
from predict_age.predictor.profile_predictor import ProfilePredictor
from predict_age.predictor.reasons import BASE, ROUNDING
from predict_age.query.model_registry import CHAMPION, run_of
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.run import RunPlan
from predict_age.runs.step_outputs import rules_of
from predict_age.runs.withheld_people import are_withheld, minors_by_age, minors_by_records, pids_of_records, withheld_pids
from predict_age.source.row_rules import RowRules, connect, read_ids
from predict_age.source.suppression import hidden_people
from predict_age.source.text_ids import read_text_ids
from predict_age.storage.manifest import verified_run
from predict_age.storage.row_accounting import ML_PREDICTION, WITHHELD_MINOR
from predict_age.storage.workspace import RunFolder, Workspace

SUPPRESSED = "SUPPRESSED"
ANSWER_SCHEMA = pa.schema(
    [
        ("predicted_age", pa.int32()),
        ("confidence_score", pa.float64()),
        ("confidence_pct", pa.float64()),
        ("prediction_source", pa.string()),
        ("age_lower", pa.float64()),
        ("age_upper", pa.float64()),
        ("model_version", pa.string()),
        ("run_id", pa.string()),
        ("usable", pa.bool_()),
    ]
)  # of an answer, without ids
REASON_SCHEMA = pa.schema(
    [
        ("person", pa.int64()),
        ("feature", pa.string()),
        ("meaning", pa.string()),
        ("years", pa.float64()),
        ("standard_error", pa.float64()),
        ("width_years", pa.float64()),
    ]
)


@dataclass(frozen=True)
class AgeModel:
    """A model of a workspace with the rules of the published run. Made by :func:`load_age_model`.

    ``trained_in`` is the newest run that used the model; ``source`` and ``rules`` say how the published run names and reads ids and
    ages, ``withheld`` are the ascending pids (n,) whom it withheld.
    """

    workspace: Workspace
    predictor: ProfilePredictor
    trained_in: RunFolder
    source: SourceConfig
    rules: RowRules
    withheld: Int64Array

    @property
    def version(self) -> str:
        """Version of the model, as ``predict-age models`` lists it."""
        return self.predictor.version

    @property
    def run_id(self) -> str:
        """Id of the run whose rules the answers follow."""
        return self.predictor.rules.run

    @property
    def as_of(self) -> dt.date:
        """Date at which people have the predicted ages."""
        return self.predictor.rules.as_of

    @property
    def features(self) -> list[str]:
        """Names of the features, in the order of the feature file."""
        return list(self.predictor.bundle.features.names)

    @checks_arguments
    def predict(self, people: AnyPeople, *, as_of: dt.date | None = None) -> pa.Table:
        """Predict the ages of n people, as a run does; ``as_of`` is the date of the ages, by default that of the published run.

        ``people``: a table or data frame, dictionaries, or JSON texts. A table or dictionary has the profile in the configured
        column (``source.profile_json``), or its columns, but ids and ages, are the profile. Ages in it say one thing alone: who is
        a minor is withheld.

        Returns n rows in the order of ``people``, with the columns of the results: ``pid`` (and ``source_id`` where ids are text)
        if there are ids, ``predicted_age`` (whole years at ``as_of``), ``age_lower`` and ``age_upper`` (years, both included),
        ``confidence_score`` (years between them), ``confidence_pct`` (0..100), ``usable``, ``prediction_source``, ``model_version``
        and ``run_id``. The source is ML_PREDICTION; DEFAULT where no feature can be read; and, without any number, WITHHELD for
        people who are minors by a given age, may be minors, or are withheld in the published run, and SUPPRESSED for ids on the
        suppression list. Raises InputError for people of another form.
        """
        given = given_people(people, self.source)
        n = len(given)
        ids, suppressed, withheld = self._judged(given, as_of)
        left_out = suppressed | withheld
        profiles = pc.if_else(pa.array(left_out), None, given.profiles) if left_out.any() else given.profiles
        made = self._predictor_at(as_of).predict(profiles)
        sources = np.where(withheld, WITHHELD_MINOR, np.asarray(made.source, object)).astype(object)
        sources[suppressed] = SUPPRESSED
        unpredicted = sources != ML_PREDICTION
        hidden = ~made.has_age | left_out
        columns = {  # values (n,), and where there are none
            "predicted_age": (made.age, hidden),
            "confidence_score": (made.upper - made.lower, unpredicted),
            "confidence_pct": (made.pct, hidden),
            "prediction_source": (sources, None),
            "age_lower": (made.lower, unpredicted),
            "age_upper": (made.upper, unpredicted),
            "model_version": ([self.version] * n, unpredicted),
            "run_id": ([self.run_id] * n, None),
            "usable": (made.usable & ~left_out, None),
        }
        answers = {field.name: pa.array(columns[field.name][0], field.type, mask=columns[field.name][1]) for field in ANSWER_SCHEMA}
        return pa.table({**ids, **answers})

    @checks_arguments
    def explain(self, people: AnyPeople, *, as_of: dt.date | None = None) -> pa.Table:
        """Reasons for the predicted ages of ``people``: how many years the model adds for each feature that it knows of a person.

        A row for each person and feature, the strongest first: ``person`` (number in ``people``), ``pid`` if there are ids,
        ``feature``, ``meaning``, ``years``, ``standard_error``, ``width_years``. The rows (base) and (rounding) complete the sums:
        years of a person add up to the predicted age, years of width to ``confidence_score``. People without a prediction, withheld
        and suppressed ones have no rows.
        """
        given = given_people(people, self.source)
        ids, suppressed, withheld = self._judged(given, as_of)
        predictor = self._predictor_at(as_of)
        rows: list[tuple[int, str, str, float, float, float]] = []
        shown = np.flatnonzero(~suppressed & ~withheld)
        for person, found in zip(shown.tolist(), predictor.reasons(given.profiles.take(pa.array(shown))), strict=True):
            if found is not None:
                rows.append((person, BASE, "what the model says of an unknown person", found.base_age, 0.0, found.base_width))
                rows += [(person, r.feature, r.meaning, r.years, r.standard_error, r.width_years) for r in found.reasons]
                rows.append((person, ROUNDING, "to whole years", found.rounding, 0.0, found.width_rounding))
        columns = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(REASON_SCHEMA.types)]
        table = pa.Table.from_arrays(columns, schema=REASON_SCHEMA)
        return pa.table(
            {**{name: ids[name].take(table["person"]) for name in ids}, **dict(zip(table.column_names, table, strict=True))}
        )

    def _predictor_at(self, as_of: dt.date | None) -> ProfilePredictor:
        found = self.predictor
        return found if as_of is None else ProfilePredictor(found.bundle, found.version, replace(found.rules, as_of=as_of))

    def _judged(self, given: GivenPeople, as_of: dt.date | None) -> tuple[dict[str, pa.ChunkedArray], BoolArray, BoolArray]:
        """The columns of ids; who of n people is on the suppression list, and who is withheld by id or by an age that is given.

        Reading the list is a check, ids or not. A minor's row withholds all rows with its id.
        """
        listed = self.workspace.suppression
        minors = self._minors(given, as_of)
        rows, inside = pids_of_records(given.records, self.source, self.rules)
        suppressed = np.zeros(len(given), np.bool_)
        suppressed[rows[hidden_people(inside, listed, self.rules.ids)[0]]] = True
        minors[rows[are_withheld(inside, self.withheld)]] = True
        if not given.has_ids:
            return {}, suppressed, minors
        if self.rules.ids == "text":
            read = pa.concat_tables([read_text_ids(table["pid"]).select(["pid", "source_id"]) for table in given.light])
        else:
            read = pa.concat_tables([pa.table({"pid": read_ids(connect(), table["pid"], "integer")}) for table in given.light])
        columns = dict(zip(read.column_names, read.columns, strict=True))
        pids, valid = columns["pid"].fill_null(0).to_numpy(), columns["pid"].is_valid().to_numpy()
        hidden, _ = hidden_people(pids, listed, self.rules.ids)
        withheld = are_withheld(pids, self.withheld) | are_withheld(pids, np.sort(pids[minors & valid]))
        return columns, suppressed | (hidden & valid), minors | (withheld & valid)

    def _minors(self, given: GivenPeople, as_of: dt.date | None) -> BoolArray:
        """Who of n people is a minor by any age that is given beside the profile or at its top."""
        rules = replace(self.rules, as_of=as_of or self.rules.as_of)
        found = [np.zeros(0, np.bool_)]
        for table in given.light:
            ages = table.drop_columns([name for name in table.column_names if name == "pid"])
            if not ages.num_columns:
                found.append(np.zeros(len(given), np.bool_))
                continue
            found.append(minors_by_age(ages, rules))
        return np.concatenate(found) | minors_by_records(given.records, len(given), self.source, rules)

    def __repr__(self) -> str:
        return f"<AgeModel {self.version}, {len(self.features)} features, as of {self.as_of.isoformat()}>"

    def _repr_html_(self) -> str:
        """The model card, for notebooks."""
        card = self.trained_in.model / "card.html"
        return framed(card) if card.exists() else html.escape(repr(self))


@checks_arguments
def load_age_model(workspace: str | Path, model: str = CHAMPION) -> AgeModel:
    """Load a model of ``workspace``: the champion, or a version as ``predict-age models`` lists them.

    Raises ConfigError when there is none, IntegrityError when a file is not the one that was written, or the suppression list is
    damaged.
    """
    space = Workspace.existing(Path(workspace))
    space.suppression  # noqa: B018 - reading it is the check
    predictor = load_predictor(space, model)
    ruling = space.run(predictor.rules.run)
    plan = RunPlan.from_json(ruling.record)
    rules = rules_of(plan, ruling.facts(ReadSourceFacts))
    return AgeModel(space, predictor, run_of(space, model), plan.config.source, rules, withheld_pids(verified_run(space, ruling)))


def framed(page: Path, height: int = 640) -> str:
    """A page of this program inside a notebook: it is complete in itself and runs no script."""
    content = html.escape(page.read_text(encoding="utf-8"), quote=True)
    return f'<iframe srcdoc="{content}" sandbox style="width:100%;height:{height}px;border:0"></iframe>'
