"""Proposal for a source: its columns, and features that a model may learn from, each with what it rests on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.config import GatesConfig
from predict_age.errors import ConfigError
from predict_age.evaluation.model_card.leakage import leaking_features, univariate_leakage
from predict_age.features.extract import extract_features
from predict_age.features.inspection import written
from predict_age.features.protected_categories import attribute_of_values
from predict_age.letters import folded_words
from predict_age.proposal.banded_ages import is_age_in_bands
from predict_age.proposal.candidates import Candidate, LeftOut, propose
from predict_age.proposal.columns import ColumnGuess, Columns, Role, guess_columns
from predict_age.proposal.feature_text import features_text
from predict_age.proposal.fields import Field, FieldPath, shared_fields
from predict_age.proposal.given_ages import SampleAges, ages_of_sample, shown_given, without_minors
from predict_age.proposal.protected_copies import Codes, protected_codes, tells_protected
from predict_age.proposal.sample import Record, SourceSample, json_object, sample_source
from predict_age.proposal.stray_files import stray_files, with_stray_files
from predict_age.records.given_ages import GivenAges
from predict_age.runtime.command_log import stage
from predict_age.source.row_rules import connect
from predict_age.source.usual_names import words_of
from predict_age.tally import MIN_SHOWN_PEOPLE, percent

SAME_SHARE = 0.999  # of the people whom two features tell the same about, for a near-copy
MOST_LEVELS_OF_DUMMIES = 60  # of the column that dummies are made of
MOST_GROUP_VALUES = 60  # of a protected attribute that becomes a group of the model card
GROUP_WORDS = frozenset(["gender", "sex", "race", "ethnicity", "country", "region", "nationality"])


@dataclass(frozen=True)
class Proposal:
    """Columns, features, fields left out, groups of the model card (name -> path), sentences about stray files."""

    source: str
    sample: SourceSample
    columns: Columns
    as_of: dt.date
    ages: SampleAges
    features: list[Candidate]
    left_out: list[LeftOut]
    groups: dict[str, str]
    stray: list[str]

    @property
    def shown_ages(self) -> GivenAges:
        """Given ages as they may be shown: no number of fewer than 20 records follows from them."""
        return shown_given(self.ages.given, len(self.sample.records))


def propose_for(source: str, as_of: dt.date, given: dict[Role, str], ask: Callable[[ColumnGuess], str]) -> Proposal:
    """Propose a configuration for ``source``. ``given``: columns known already; ``ask`` confirms an unsure guess.

    Raises InputError for an unreadable source, ConfigError when ids or ages are not found.
    """
    with stage(f"read a sample of {source}"):
        sample = sample_source(source)
    with stage("guess the columns of ids, ages and profiles"):
        try:
            columns = guess_columns(sample, as_of, given, ask)
        except ConfigError as error:
            raise with_stray_files(_without_doubtful_names(error, sample, as_of, given), sample.files) from None
    ages = ages_of_sample(sample.records, {guess.role: guess.name for guess in columns.ages}, as_of, columns.birth_date_format)
    described = without_minors(sample.records, ages, columns.pid.name)
    profiles = _profiles(described.records, columns)
    with stage("propose features for the fields of the profiles"):
        shared = shared_fields(profiles)
        candidates, left = propose(shared.fields, as_of, columns.taken, described.ages)
        if shared.rare:
            left.append(LeftOut(shared.sentence.partition(",")[0], f"each in fewer than {MIN_SHOWN_PEOPLE} profiles"))
    with stage("leave out copies, and features that give the age away"):
        protected = protected_codes(shared.fields, len(profiles))
        kept, dropped = _without_copies_and_leaks(candidates, profiles, described.ages, as_of, protected)
    return Proposal(
        source, sample, columns, as_of, ages, kept, left + dropped, _groups(shared.fields), stray_files(sample.files, columns.taken)
    )


def _without_doubtful_names(error: ConfigError, sample: SourceSample, as_of: dt.date, given: dict[Role, str]) -> ConfigError:
    """The ``error`` of columns that were not found, as it is for a sample whose first line may be a record."""
    if given or not sample.doubtful:
        return error
    try:
        guess_columns(sample.without_doubtful_names(), as_of, given, lambda guess: guess.name)
    except ConfigError as other:
        return other
    return error


def _profiles(records: list[Record], columns: Columns) -> list[Record]:
    if columns.profile == "*":
        taken = set(columns.taken)
        return [{k: v for k, v in record.items() if k not in taken} for record in records]
    return [json_object(record.get(columns.profile)) or {} for record in records]


def _without_copies_and_leaks(
    candidates: list[Candidate], profiles: list[Record], ages: Sequence[int | None], as_of: dt.date, protected: dict[str, Codes]
) -> tuple[list[Candidate], list[LeftOut]]:
    """Candidates that can be read, say more than an earlier one, and give neither the age nor ``protected`` fields away."""
    if not candidates:
        return [], []
    texts = pa.chunked_array([pa.array([json.dumps(p, ensure_ascii=False) for p in profiles], pa.string())])
    columns = extract_features(connect(), texts, features_text(candidates), as_of).columns
    dropped: dict[str, str] = {}
    matrix = {c.name: _numbers(columns[c.name]) for c in candidates}
    for number, candidate in enumerate(candidates):
        values = matrix[candidate.name]
        if np.isnan(values).all() or np.unique(values[~np.isnan(values)]).size < 2:
            dropped[candidate.name] = "the same value everywhere"
            continue
        if attribute := tells_protected(values, protected):
            dropped[candidate.name] = f"tells the same as {attribute}, a protected attribute"
            continue
        for earlier in candidates[:number]:
            if earlier.name not in dropped and not _is_code_of(candidate, earlier) and _tell_the_same(matrix[earlier.name], values):
                dropped[candidate.name] = f"tells the same as {earlier.name}"
                break
    for candidate in candidates:
        values = matrix[candidate.name]
        sources = (c.name for c in candidates if c.name not in dropped and c is not candidate)
        if candidate.name not in dropped and (source := next((s for s in sources if _is_dummy(values, matrix[s])), "")):
            dropped[candidate.name] = f"tells whether {source} has one of its values"
    known = np.array([age is not None for age in ages])
    truth = np.array([age for age in ages if age is not None], np.float32)
    gates = GatesConfig()
    scores = univariate_leakage(
        columns.filter(pa.array(known)).select([c.name for c in candidates if c.name not in dropped]), truth
    )
    for leak in leaking_features(scores, gates.leak_error_share, gates.leak_exact_share, ()):
        dropped[leak.feature] = (
            f"gives the age away: {percent(leak.share, 0)} of the error of a constant left, "
            f"{percent(leak.exact, 0)} named to the year"
        )
    whole_years = truth.astype(np.float64)
    for name, values in matrix.items():
        if name not in dropped and is_age_in_bands(values[known], whole_years):
            dropped[name] = "gives the age away: it is the age in bands"
    kept = [c for c in candidates if c.name not in dropped]
    return kept, [LeftOut(name, reason) for name, reason in dropped.items()]


def _is_code_of(candidate: Candidate, earlier: Candidate) -> bool:
    """Whether a category has the values of an ``earlier`` number, which was proposed in both kinds on purpose."""
    kinds = (earlier.settings["kind"], candidate.settings["kind"])
    return kinds == ("number", "category") and earlier.settings["path"] == candidate.settings["path"]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A feature column as numbers, categories by their position among the values."""
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        codes = column.combine_chunks()
        codes = codes if pa.types.is_dictionary(codes.type) else codes.dictionary_encode()
        column = pa.chunked_array([codes.indices])
    return np.asarray(column.to_numpy(), np.float64)


def _tell_the_same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether one of two columns (n,) follows from the other for nearly everybody, missing values included.

    Where most values come once, any column follows from any other: then both must have one order, or the reverse.
    """
    both = ~np.isnan(one) & ~np.isnan(other)
    if (np.isnan(one) != np.isnan(other)).mean() > 1 - SAME_SHARE or both.sum() < 20:
        return False
    first, second = np.unique(one[both], return_inverse=True)[1], np.unique(other[both], return_inverse=True)[1]
    if first.max() != second.max():
        return False
    if 2 * (int(first.max()) + 1) > both.sum():
        return bool(max(np.mean(first == second), np.mean(first == second.max() - second)) >= SAME_SHARE)
    pairs = np.unique(first.astype(np.int64) * (int(second.max()) + 1) + second).size
    return bool(pairs <= (int(first.max()) + 1) / SAME_SHARE)


def _is_dummy(values: NDArray[np.float64], source: NDArray[np.float64]) -> bool:
    """Whether a column (n,) of two values says for nearly everybody whether ``source`` (n,), of a few, has one certain value."""
    both = ~np.isnan(values) & ~np.isnan(source)
    if (np.isnan(values) != np.isnan(source)).mean() > 1 - SAME_SHARE or both.sum() < 20:
        return False
    two, flags = np.unique(values[both], return_inverse=True)
    levels, codes = np.unique(source[both], return_inverse=True)
    if len(two) != 2 or not 2 < len(levels) <= MOST_LEVELS_OF_DUMMIES:
        return False
    counts = np.zeros((len(levels), 2), np.int64)
    np.add.at(counts, (codes, flags), 1)
    sides = counts.argmax(axis=1)
    return bool(counts.max(axis=1).sum() >= SAME_SHARE * both.sum() and min(sides.sum(), len(sides) - sides.sum()) == 1)


def _groups(fields: dict[FieldPath, Field]) -> dict[str, str]:
    """Groups of the model card: countries and protected attributes, by name or by values, with few values; none is a feature."""
    groups = {}
    for path, field in fields.items():
        if "*" in path or not 2 <= len(field.counts) <= MOST_GROUP_VALUES:
            continue
        by_name = set(words_of(path[-1])) & GROUP_WORDS and all(step.isidentifier() for step in path)
        if by_name or attribute_of_values(field.counts, path[-1]):
            name = path[-1] if path[-1].isascii() and path[-1].isidentifier() else "_".join(folded_words(path[-1]))
            name = name if name.isidentifier() else f"group_{name}"
            if name.isidentifier() and name.isascii() and name not in groups:
                groups[name] = written(path)
    return groups
