"""Published people by pid: the result of the current run in memory, pids in order, in 17 bytes a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.predictor.answers import PersonAge
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.source.row_rules import IdType, id_type_named
from predict_age.source.suppression import hidden_people, pids_as_written
from predict_age.storage.manifest import VerifiedRun
from predict_age.storage.suppression_list import SuppressionList

NO_NUMBER = 255  # an age or end that a person does not have
SHOWN_COLUMNS = ("pid", "predicted_age", "age_lower", "age_upper", "confidence_pct", "prediction_source", "usable", "model_version")


@dataclass(frozen=True)
class PublishedPerson(PersonAge):
    """The published row of a person."""

    model_version: str | None


@dataclass(frozen=True)
class PublishedPeople:
    """n people of a run, by ascending ``pids`` (n,). Numbers are NO_NUMBER, or NaN, where a person has none.

    ``sources`` and ``models`` are the texts that ``source`` and ``model`` (n,) number. ``ids`` says what ids of the source are;
    ``made_with`` is the generation of the suppression list with which the run was made.
    """

    pids: NDArray[np.int64]
    age: NDArray[np.uint8]
    lower: NDArray[np.uint8]
    upper: NDArray[np.uint8]
    pct: NDArray[np.float32]
    source: NDArray[np.uint8]
    model: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    sources: list[str]
    models: list[str]
    ids: IdType
    made_with: int

    def pid_of(self, written: int | str) -> int | None:
        """The pid that an id stands for, as a source of this type of ids has it; None where it stands for none."""
        if isinstance(written, int) and self.ids == "integer":
            return written if -(2**63) <= written < 2**63 else None
        pids, is_id = pids_as_written(pa.chunked_array([pa.array([str(written)], pa.string())]), self.ids)
        return int(pids[0]) if is_id[0] else None

    def is_hidden(self, pids: NDArray[np.int64], suppression: SuppressionList | None) -> NDArray[np.bool_]:
        """Whom of ``pids`` (n,) no reader may see: who is on the list now, or was released from it after the run was made."""
        return hidden_people(pids, suppression, self.ids, self.made_with)[0]

    def find(self, pid: int) -> PublishedPerson | None:
        """The row of ``pid``; the caller has asked whether it is hidden."""
        at = int(np.searchsorted(self.pids, pid))
        if at == len(self.pids) or self.pids[at] != pid:
            return None
        age, lower, upper = (None if values[at] == NO_NUMBER else int(values[at]) for values in (self.age, self.lower, self.upper))
        pct = None if np.isnan(self.pct[at]) else round(float(self.pct[at]), 2)
        model = self.models[self.model[at]]
        return PublishedPerson(age, lower, upper, pct, bool(self.usable[at]), self.sources[self.source[at]], model or None)


def published_people(run: VerifiedRun) -> PublishedPeople:
    """Read the results of ``run``, after each file was compared with its hash. Raises IntegrityError."""
    tables = [
        pq.read_table(path, columns=list(SHOWN_COLUMNS), read_dictionary=["prediction_source", "model_version"])
        for path in run.checked("results/")
    ]
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    order = np.argsort(table["pid"].to_numpy(), kind="stable")
    source, sources = _numbered(table["prediction_source"])
    model, models = _numbered(table["model_version"])
    small = {name: pc.fill_null(table[name], NO_NUMBER).to_numpy().astype(np.uint8)[order] for name in SHOWN_COLUMNS[1:4]}
    return PublishedPeople(
        table["pid"].to_numpy()[order],
        small["predicted_age"],
        small["age_lower"],
        small["age_upper"],
        pc.fill_null(table["confidence_pct"], np.nan).to_numpy().astype(np.float32)[order],
        source[order],
        model[order],
        table["usable"].to_numpy()[order],
        sources,
        models,
        id_type_named(run.folder.facts(ReadSourceFacts).pid_type),
        int(run.folder.record.get("suppression", 0)),
    )


def _numbered(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], list[str]]:
    """Numbers (n,) of the texts of a dictionary ``column``, and the texts; the last one, empty, stands for NULL."""
    codes = column.combine_chunks()
    codes = codes if isinstance(codes, pa.DictionaryArray) else codes.dictionary_encode()
    texts = [str(text) for text in codes.dictionary.to_pylist()]
    return pc.fill_null(codes.indices, len(texts)).to_numpy(zero_copy_only=False).astype(np.uint8), [*texts, ""]
