"""Extraction of feature columns from JSON profiles: by SQL, or for many rows by kernels, which take a third of the time.

Both give the same columns. Kernels read plain profiles only; SQL reads the others.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predict_age.errors import ConfigError
from predict_age.features.prepared_statement import PreparedStatement
from predict_age.features.spec import Count, FeatureSet, Sql, parse_features
from predict_age.features.sql_compiler import PROBLEM_COLUMN, PROBLEM_SQL, PROFILE_MISSING, SqlCompiler, json_path
from predict_age.kernels import use_kernels
from predict_age.source.row_rules import connect, register
from predict_age.sql import literal
from predict_age.toml_lines import line_of

if TYPE_CHECKING:
    import duckdb

    from predict_age.features.encode import Encoders, Matrix
    from predict_age.features.json_fast_path import FastPath

Connect = Callable[[], "duckdb.DuckDBPyConnection"]
MAX_PREPARED_PROFILES = 500  # up to so many, a prepared statement is used, into whose text they are put: planning takes longer
MAX_PREPARED_BYTES = 1 << 20  # of all of their texts
MAX_RARE_PROFILES = 50  # up to so many profiles that are not plain are read one by one


@dataclass(frozen=True)
class ExtractedFeatures:
    """Feature columns of n profiles.

    ``columns``: one column a feature, DOUBLE (finite, inside the bounds) or VARCHAR (also by codes) for categories, NULL = missing.
    ``problem``: VARCHAR, why the profile cannot be used (profile_missing, profile_malformed, profile_not_an_object), or NULL.
    """

    columns: pa.Table
    problem: pa.ChunkedArray

    def with_text_categories(self) -> pa.Table:
        """``columns`` with categories as text, so that slices with different codes can be concatenated."""
        return self.columns.cast(pa.schema(zip(self.columns.column_names, self._kinds(), strict=True)))

    def _kinds(self) -> list[pa.DataType]:
        return [f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in self.columns.schema]

    def filter(self, rows: pa.Array) -> ExtractedFeatures:
        """Keep the rows where ``rows`` (n,) BOOLEAN is true."""
        return ExtractedFeatures(self.columns.filter(rows), self.problem.filter(rows))


@lru_cache(maxsize=4)
def compile_features(text: str, as_of: dt.date) -> tuple[FeatureSet, str]:
    """The feature set of a checked feature file and its SQL; cached, because workers need both for every slice."""
    features = parse_features(text, "the run's feature file", refuse=False)
    return features, SqlCompiler(features, as_of).sql


def extract_features(
    connection: duckdb.DuckDBPyConnection,
    profiles: pa.ChunkedArray,
    text: str,
    as_of: dt.date,
    rows: NDArray[np.bool_] | None = None,
    kernels: bool | None = None,
    keys: tuple[str, ...] = (),
) -> ExtractedFeatures:
    """Feature columns of JSON ``profiles`` (n,), in order, by the feature file ``text`` at ``as_of``; of ``rows`` (n,) if given.

    ``kernels``: read plain profiles by kernels; None: if there are enough rows. The result does not depend on it, nor on ``keys``:
    readers that look for the same keys share a cache of values.
    """
    row_count = len(profiles) if rows is None else int(rows.sum())
    if kernels is None:
        kernels = pa.types.is_string(profiles.type) and use_kernels(row_count)
    reader = FeatureReader(connection, text, as_of, kernels=kernels and row_count > 0, keys=keys)
    reader.add(profiles, rows)
    return reader.finish()


class FeatureReader:
    """Reader of feature columns, one slice of profiles after another, by the feature file ``text`` at ``as_of``.

    ``connection`` may be a function that opens one where it is needed. With ``kernels``, plain profiles are read by kernels; other
    profiles, and features that kernels cannot read, by SQL. ``keys`` at the top of profiles are looked for beside the features.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection | Connect,
        text: str,
        as_of: dt.date,
        *,
        kernels: bool,
        keys: tuple[str, ...] = (),
    ) -> None:
        self._connect: Connect = connection if callable(connection) else lambda: connection
        self._text, self._as_of = text, as_of
        self._features, _ = compile_features(text, as_of)
        self._fast_reader = _fast_path(text, as_of, keys).reader(self._convert) if kernels else None
        self._by_sql: list[pa.Array] = []  # profiles for the features that only SQL can read
        self._irregular: list[pa.Array] = []  # profiles that are not plain
        self._is_irregular: list[NDArray[np.bool_]] = []
        self._may_have_keys: list[NDArray[np.bool_]] = []

    def add(self, profiles: pa.ChunkedArray, rows: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Read ``profiles`` (n,), the marked ``rows`` (n,) only. Their memory is not needed afterwards.

        Returns which of these rows may have a value for one of the keys: all but plain ones without.
        """
        profiles = profiles if isinstance(profiles, pa.ChunkedArray) else pa.chunked_array([profiles])
        if self._fast_reader is None:
            marked = profiles if rows is None else profiles.filter(pa.array(rows))
            self._by_sql += marked.chunks
            self._may_have_keys.append(np.ones(len(marked), np.bool_))
            return self._may_have_keys[-1]
        row_numbers = np.arange(len(profiles)) if rows is None else rows.nonzero()[0]
        chunk = profiles.chunk(0) if profiles.num_chunks == 1 else profiles.combine_chunks()
        plain, has_key = self._fast_reader.add(chunk, row_numbers)
        irregular = ~plain
        self._is_irregular.append(irregular)
        self._may_have_keys.append(irregular | has_key)
        if irregular.any():
            self._irregular.append(chunk.take(pa.array(row_numbers[irregular])))
        if self._fast_reader.fast_path.sql_only_features:
            self._by_sql.append(chunk.take(pa.array(row_numbers)))
        return self._may_have_keys[-1]

    @property
    def irregular(self) -> int:
        """Number of the profiles added that are there and not plain, so that SQL has to read them."""
        return sum(len(some) - some.null_count for some in self._irregular)

    def may_have_keys(self) -> NDArray[np.bool_]:
        """Which of all rows added may have a value for one of the keys."""
        return np.concatenate([np.empty(0, np.bool_), *self._may_have_keys])

    def encoded(self, encoders: Encoders) -> tuple[Matrix, list[str | None]]:
        """The matrix of all rows added, and their problems: those of :meth:`finish`, for a few profiles without Arrow and SQL."""
        fast, names = self._fast_reader, self._features.names
        if fast is None or fast.fast_path.sql_only_features or self.irregular > MAX_RARE_PROFILES:
            found = self.finish()
            return encoders.encode(found.columns), found.problem.to_pylist()
        irregular = np.concatenate([np.empty(0, np.bool_), *self._is_irregular])
        problems: list[str | None] = [None] * len(irregular)
        if self._irregular:
            rows = np.flatnonzero(irregular).tolist()
            profiles = [text for some in self._irregular for text in some.to_pylist()]
            for row, problem in zip(rows, self._read_few(rows, profiles), strict=True):
                problems[row] = problem
        numbers = fast.numbers()
        return encoders.encode_numbers(names, numbers, fast.fast_path.category_codes(encoders)), problems

    def finish(self) -> ExtractedFeatures:
        """The columns of all rows added, in order."""
        names = self._features.names
        if self._fast_reader is None:
            table = self._ask(names, pa.chunked_array(self._by_sql, pa.string()))
            return ExtractedFeatures(table.select(names), table[PROBLEM_COLUMN])
        irregular = pa.array(np.concatenate([np.empty(0, np.bool_), *self._is_irregular]))
        irregular_profiles = pa.chunked_array(self._irregular, pa.string())
        few = 0 < len(irregular_profiles) <= MAX_RARE_PROFILES
        problems = self._read_few(np.flatnonzero(irregular).tolist(), irregular_profiles.to_pylist()) if few else []
        columns = self._fast_reader.finish()
        sql_only_features = self._fast_reader.fast_path.sql_only_features
        if sql_only_features:
            rest = self._ask(sql_only_features, pa.chunked_array(self._by_sql, pa.string()))
            columns |= {name: rest[name].combine_chunks() for name in sql_only_features}
        problem = pa.nulls(len(irregular), pa.string())
        if few:
            problem = pc.replace_with_mask(problem, irregular, pa.array(problems, pa.string()))
        elif self._irregular:
            irregular_columns = self._ask(names, irregular_profiles)
            problem = pc.replace_with_mask(problem, irregular, irregular_columns[PROBLEM_COLUMN].combine_chunks())
            for name in names:
                if name not in sql_only_features:
                    column = columns[name].cast(irregular_columns[name].type)
                    columns[name] = pc.replace_with_mask(column, irregular, irregular_columns[name].combine_chunks())
        return ExtractedFeatures(pa.table({name: columns[name] for name in names}), pa.chunked_array([problem]))

    def _read_few(self, rows: list[int], profiles: list[str | None]) -> list[str | None]:
        """Problems of a few ``profiles``, at ``rows`` of the fast reader, which is handed the texts that SQL finds in them."""
        assert self._fast_reader is not None
        columns = self._fast_reader.fast_path.columns
        paths = tuple(json_path(column.steps) for column in columns)
        there = [place for place, profile in enumerate(profiles) if profile is not None]
        found = _reading_statement(os.getpid(), paths).rows([profiles[place] for place in there]) if there else []
        problems: list[str | None] = [PROFILE_MISSING] * len(profiles)
        for place, (problem, texts, lengths) in zip(there, found, strict=True):
            problems[place], row = problem, rows[place]
            for number, column in enumerate(columns if texts else []):
                text, length = texts[number], lengths[number]
                if isinstance(column.feature, Count):
                    if length is not None:
                        self._fast_reader.add_length(number, row, float(length))
                elif text is not None:
                    self._fast_reader.add_texts(number, row, text)
        return problems

    def _ask(self, names: Sequence[str], profiles: pa.ChunkedArray) -> pa.Table:
        """The columns of the features ``names``, by SQL."""
        if len(profiles) <= MAX_PREPARED_PROFILES and profiles.nbytes <= MAX_PREPARED_BYTES:
            return _prepared_statement(os.getpid(), self._text, self._as_of, tuple(names)).table(profiles.to_pylist())
        connection = self._connect()
        register(connection, "profiles", pa.table({"profile": profiles}))
        return connection.sql(_sql_of(self._text, self._as_of, tuple(names))).to_arrow_table()

    def _convert(self, names: list[str], texts: list[str]) -> dict[str, list[float | str | None]]:
        """The values of the features ``names`` of a few small profiles."""
        if len(texts) <= MAX_RARE_PROFILES:
            return {name: _prepared_statement(os.getpid(), self._text, self._as_of, (name,)).ask(texts) for name in names}
        connection = self._connect()
        connection.register("profiles", pa.table({"profile": pa.array(texts, pa.string())}))
        rows = connection.execute(_sql_of(self._text, self._as_of, tuple(names))).fetchall()
        return dict(zip(names, map(list, list(zip(*rows, strict=True))[1:]), strict=True))


@lru_cache(maxsize=256)
def _prepared_statement(_process: int, text: str, as_of: dt.date, names: tuple[str, ...]) -> PreparedStatement:
    return PreparedStatement(_sql_of(text, as_of, names))


@lru_cache(maxsize=8)
def _reading_statement(_process: int, paths: tuple[str, ...]) -> PreparedStatement:
    """Prepared statement of the problem of a profile, the texts at ``paths``, and the length of those that are lists."""
    listed = ", ".join(literal(path) for path in paths) or "'$'"
    length = "CASE WHEN starts_with(x, '[') THEN try(json_array_length(x)) END"
    return PreparedStatement(
        f"SELECT {PROBLEM_SQL}, v, list_transform(v, lambda x: {length}) "
        f"FROM (SELECT profile, try(json_extract_string(profile, [{listed}])) AS v FROM profiles)"
    )


@lru_cache(maxsize=256)
def _sql_of(text: str, as_of: dt.date, names: tuple[str, ...]) -> str:
    features, _ = compile_features(text, as_of)
    return SqlCompiler(FeatureSet({n: features.features[n] for n in names}, text), as_of).sql


@lru_cache(maxsize=4)
def _fast_path(text: str, as_of: dt.date, keys: tuple[str, ...]) -> FastPath:
    from predict_age.features.json_fast_path import FastPath

    return FastPath(compile_features(text, as_of)[0], as_of, keys)


def check_compiles(features: FeatureSet, as_of: dt.date, where: str) -> None:
    """Run the compiled statement on a sample, feature by feature, so that a bad expression or pattern is named with its line.

    Features of all kinds but ``sql`` are tried together first, because planning a statement takes most of the time.
    """
    import duckdb

    ours = [name for name, feature in features.features.items() if not isinstance(feature, Sql)]
    compiled_features = set[str]()
    with suppress(duckdb.Error, ValueError):
        _run_on_sample(features, ours, as_of)
        compiled_features |= set(ours)
    for name in [n for n in features.features if n not in compiled_features]:
        try:
            _run_on_sample(features, [name], as_of)
        except (duckdb.Error, ValueError) as error:
            line = line_of(features.text, ("features", name))
            raise ConfigError(
                f"{where}{f', line {line}' if line else ''}: feature {name} does not compile: {str(error).splitlines()[0]}",
                fix="correct its expression, rule or path",
            ) from None


def _run_on_sample(features: FeatureSet, names: list[str], as_of: dt.date) -> None:
    """Run the statement of the features ``names`` on a sample. Raises duckdb.Error or ValueError when it fails."""
    import duckdb

    for feature in (features.features[name] for name in names):
        if isinstance(feature, Sql) and len(duckdb.extract_statements(f"SELECT ({feature.expression}\n)")) != 1:
            raise ValueError("more than one statement")
    connection = connect()
    register(connection, "profiles", pa.table({"profile": pa.array(["{}", None, '{"a":[1]}'], pa.string())}))
    connection.sql(SqlCompiler(FeatureSet({n: features.features[n] for n in names}, features.text), as_of).sql).to_arrow_table()
