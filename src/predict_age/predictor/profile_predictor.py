"""Predictor of single profiles and of some thousands: the answers that a batch of the pipeline would give."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.errors import InputError
from predict_age.features.encode import Matrix
from predict_age.features.extract import FeatureReader
from predict_age.kernels import MIN_KERNEL_ROWS, prepare_kernels, use_kernels
from predict_age.models.bundle import Bundle
from predict_age.predictor.answers import Answers, answers
from predict_age.predictor.profile_judgement import WITHOUT_FEATURES, shows_features
from predict_age.predictor.reasons import Reasons, reasons_of
from predict_age.source.row_rules import connect

MANY_ROWS = 100
Profile = str | bytes | Mapping[str, object] | None


@dataclass(frozen=True)
class DeliveryRules:
    """Rules of a run that answers follow: date of the ages, default age, confidence from which an age is usable.

    ``run`` and ``purpose`` are those of that run.
    """

    run: str
    as_of: dt.date
    default_age: int
    usable_from_pct: float
    purpose: str


class ProfilePredictor:
    """The delivered ``bundle`` of a model ``version``, and the ``rules`` of a run.

    An answer depends on the profile alone, not on the other profiles of a call, nor on how many there are. Threads may share a
    predictor: they read profiles one after the other, because a process has one cache of texts, and predict side by side.
    """

    def __init__(self, bundle: Bundle, version: str, rules: DeliveryRules) -> None:
        self.bundle, self.version, self.rules = bundle, version, rules

    def warm_up(self) -> None:
        """Load kernels and everything that the first call would otherwise load."""
        prepare_kernels(MIN_KERNEL_ROWS)
        for profiles in (["{}"], ["{}"] * MANY_ROWS, ["[]"]):  # one, many, one that only SQL reads
            self.predict(profiles)
            self.bundle.predict(np.zeros((len(profiles), self.bundle.columns), np.float32))

    def predict(self, profiles: Sequence[Profile] | pa.ChunkedArray, rows: NDArray[np.bool_] | None = None) -> Answers:
        """Answers about ``profiles``, in their order: JSON as text or UTF-8, mappings, or None, or a column of Arrow's string type.

        With ``rows`` (n,), about the marked ones alone. Raises InputError for a profile that cannot be written as text.
        """
        column = profiles if isinstance(profiles, pa.ChunkedArray) else pa.chunked_array([profile_texts(profiles)])
        matrix, problems = self.matrix(column, rows)
        usable = np.array([problem is None for problem in problems], np.bool_) & shows_features(self.bundle, matrix)
        everybody = bool(usable.all())
        made = self.bundle.predict(matrix if everybody else matrix[usable])
        reasons = [] if everybody else [problems[row] or WITHOUT_FEATURES for row in np.flatnonzero(~usable).tolist()]
        return answers(usable, reasons, made, self.rules.default_age, self.rules.usable_from_pct)

    def reasons(self, profiles: Sequence[Profile] | pa.ChunkedArray) -> list[Reasons | None]:
        """Reasons of the predictions of ``profiles``, in their order; None for those without, and for withheld people."""
        column = profiles if isinstance(profiles, pa.ChunkedArray) else pa.chunked_array([profile_texts(profiles)])
        matrix, problems = self.matrix(column)
        usable = np.array([problem is None for problem in problems], np.bool_) & shows_features(self.bundle, matrix)
        made = self.bundle.predict(matrix)
        shown = (usable & ~made.withheld).tolist()
        return [
            reasons_of(self.bundle, matrix[n], int(made.age[n]), float(made.width[n])) if ok else None for n, ok in enumerate(shown)
        ]

    def matrix(self, column: pa.ChunkedArray, rows: NDArray[np.bool_] | None = None) -> tuple[Matrix, list[str | None]]:
        """The matrix (n, n_columns) that the models read from a ``column`` of profiles (n,), and why profiles cannot be used.

        With ``rows`` (n,), of the marked ones alone.
        """
        with _reading:
            kernels = len(column) > 0 and use_kernels(len(column))
            reader = FeatureReader(connect, self.bundle.features.text, self.rules.as_of, kernels=kernels)
            reader.add(column, rows)
            return reader.encoded(self.bundle.encoders)


_reading = Lock()


def profile_texts(profiles: Sequence[Profile]) -> pa.StringArray:
    """JSON texts of ``profiles``. Raises InputError, which names the place and never the value."""
    try:
        return pa.array([_text(profile) for profile in profiles], pa.string())
    except (ValueError, TypeError):
        for number, profile in enumerate(profiles):
            try:
                pa.array([_text(profile)], pa.string())
            except (ValueError, TypeError, RecursionError) as error:
                raise InputError(
                    f"profile {number} cannot be read",
                    expected="JSON as text or UTF-8 bytes, a mapping of JSON values, or None",
                    found=type(profile).__name__ if isinstance(error, TypeError) else f"{type(profile).__name__} that is not valid",
                ) from None
        raise


def _text(profile: Profile) -> str | None:
    if profile is None or isinstance(profile, str):
        return profile
    if isinstance(profile, bytes | bytearray | memoryview):
        return bytes(profile).decode()
    if isinstance(profile, Mapping):
        return json.dumps(dict(profile), ensure_ascii=False, allow_nan=False)
    raise TypeError(type(profile).__name__)
