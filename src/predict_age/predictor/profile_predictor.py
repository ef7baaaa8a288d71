"""Predictor of single profiles and of some thousands: the answers that a batch of the pipeline would give."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predict_age.arrays import BoolArray
from predict_age.errors import InputError
from predict_age.features.encode import Matrix
from predict_age.features.extract import FeatureReader
from predict_age.kernels import MIN_KERNEL_ROWS, prepare_kernels, use_kernels
from predict_age.models.bundle import Bundle
from predict_age.pieces import finished
from predict_age.predictor.answers import Answers, answers
from predict_age.predictor.profile_judgement import WITHOUT_FEATURES, shows_features
from predict_age.predictor.reasons import Reasons, reasons_in_pieces
from predict_age.source.row_rules import connect

MANY_ROWS = 100
READ_TOGETHER = 256  # profiles that are read before a pause
MOST_BY_SQL = 8  # of these, those that only SQL reads, which takes fifty times as long
Profile = str | bytes | Mapping[str, object] | None


@dataclass(frozen=True)
class DeliveryRules:
    """Rules of a run that answers follow: date of the ages, default age, confidence from which an age is usable.

    ``run`` and ``purpose`` are those of that run, ``record_keys`` the keys at the top of a profile that make it a record.
    """

    run: str
    as_of: dt.date
    default_age: int
    usable_from_pct: float
    purpose: str
    record_keys: tuple[str, ...]


@dataclass(frozen=True)
class ReadProfiles:
    """n profiles as the models see them: the ``matrix`` (n, n_columns), and the ``problems`` (n,) of those that cannot be used.

    ``may_be_records`` (n,): which may have one of the rules' keys at their top, because they do or are not plain.
    """

    matrix: Matrix
    problems: list[str | None]
    may_be_records: BoolArray

    def only(self, chosen: BoolArray) -> ReadProfiles:
        """The ``chosen`` profiles (n,) alone."""
        if chosen.all():
            return self
        problems = [self.problems[n] for n in np.flatnonzero(chosen).tolist()]
        return ReadProfiles(self.matrix[chosen], problems, self.may_be_records[chosen])

    @classmethod
    def joined(cls, parts: list[ReadProfiles]) -> ReadProfiles:
        """The profiles of all ``parts``, one after another."""
        if len(parts) == 1:
            return parts[0]
        problems = list(chain.from_iterable(part.problems for part in parts))
        records = np.concatenate([part.may_be_records for part in parts])
        return cls(np.concatenate([part.matrix for part in parts]), problems, records)


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
        return finished(self.answers_in_pieces(self.read(profiles, rows)))

    def read(self, profiles: Sequence[Profile] | pa.ChunkedArray, rows: BoolArray | None = None) -> ReadProfiles:
        """Read the features of ``profiles`` (n,), or of the marked ``rows`` (n,) alone. Raises InputError as :meth:`predict`."""
        column = profiles if isinstance(profiles, pa.ChunkedArray) else pa.chunked_array([profile_texts(profiles)])
        found = self._read(column, rows, len(column))
        assert found is not None  # any number may be read by SQL
        return found

    def read_in_pieces(self, column: pa.ChunkedArray, rows: BoolArray) -> Generator[None, None, ReadProfiles]:
        """The profiles of ``column`` that ``rows`` (n,) marks as :meth:`read` has them, with pauses."""
        places = rows.nonzero()[0]
        found = list[ReadProfiles]()
        left = [places[first : first + READ_TOGETHER] for first in range(0, len(places), READ_TOGETHER)][::-1] or [places]
        while left:
            here = left.pop()
            first, end = (int(here[0]), int(here[-1]) + 1) if len(here) else (0, 0)
            read = self._read(column.slice(first, end - first), rows[first:end], MOST_BY_SQL)
            if read is None:
                left += [here[len(here) // 2 :], here[: len(here) // 2]]
            else:
                found.append(read)
            yield
        return ReadProfiles.joined(found)

    def answers_in_pieces(self, read: ReadProfiles, chosen: BoolArray | None = None) -> Generator[None, None, Answers]:
        """Answers about the profiles ``read`` (n,), or about the ``chosen`` ones (n,) alone, with pauses."""
        read = read if chosen is None else read.only(chosen)
        matrix, problems, usable = read.matrix, read.problems, self._usable(read)
        everybody = bool(usable.all())
        made = yield from self.bundle.predict_in_pieces(matrix if everybody else matrix[usable])
        yield
        reasons = [] if everybody else [problems[row] or WITHOUT_FEATURES for row in np.flatnonzero(~usable).tolist()]
        return answers(usable, reasons, made, self.rules.default_age, self.rules.usable_from_pct)

    def reasons(self, profiles: Sequence[Profile] | pa.ChunkedArray) -> list[Reasons | None]:
        """Reasons of the predictions of ``profiles``, in their order; None for those without, and for withheld people."""
        return finished(self.reasons_in_pieces(self.read(profiles)))

    def reasons_in_pieces(self, read: ReadProfiles) -> Generator[None, None, list[Reasons | None]]:
        """Reasons of the profiles ``read`` as :meth:`reasons` gives them, with pauses."""
        matrix, usable = read.matrix, self._usable(read)
        made = self.bundle.predict(matrix)
        found = list[Reasons | None]()
        for n, ok in enumerate((usable & ~made.withheld).tolist()):
            yield
            age, width = int(made.age[n]), float(made.width[n])
            found.append((yield from reasons_in_pieces(self.bundle, matrix[n], age, width)) if ok else None)
        return found

    def _usable(self, read: ReadProfiles) -> BoolArray:
        return np.array([problem is None for problem in read.problems], np.bool_) & shows_features(self.bundle, read.matrix)

    def _read(self, column: pa.ChunkedArray, rows: BoolArray | None, most_by_sql: int) -> ReadProfiles | None:
        """As :meth:`read`; None where SQL would have to read more than ``most_by_sql`` of several profiles."""
        with _reading:
            kernels = len(column) > 0 and use_kernels(len(column))
            text, as_of, keys = self.bundle.features.text, self.rules.as_of, self.rules.record_keys
            reader = FeatureReader(connect, text, as_of, kernels=kernels, keys=keys)
            reader.add(column, rows)
            if reader.irregular > most_by_sql:
                return None
            return ReadProfiles(*reader.encoded(self.bundle.encoders), reader.may_have_keys())


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
