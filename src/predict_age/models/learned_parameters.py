"""Schema of a model's learned.json: encoders, Ridge baseline, ensemble weights. Values out of range are refused."""

from __future__ import annotations

import re
from itertools import pairwise
from math import isclose
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from predict_age.features.encode import Encoders
from predict_age.features.spec import Category, FeatureSet, ListFlags, TextWords
from predict_age.features.value_hashes import DIGEST_BYTES, SALT_BYTES
from predict_age.models.bundle import MEMBERS, EnsembleWeights
from predict_age.models.conformal import CELLS, MAX_WIDTH_GROUPS, NO_CALIBRATION, Calibration
from predict_age.models.ensemble import MAX_RESIDUAL_QUANTILES
from predict_age.models.ridge import RidgeModel
from predict_age.models.structure import StructureError

OLDEST = 120
_DIGEST = re.compile(rf"[0-9a-f]{{{2 * DIGEST_BYTES}}}")
_Age = Annotated[float, Field(ge=0, le=OLDEST)]
_Share = Annotated[float, Field(ge=0, le=1)]
_WEIGHT_TOLERANCE = 1e-6
MEMBERS_BEFORE_RIDGE = 3  # in model format 2, Ridge has no weight


class _Saved(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class _Encoders(_Saved):
    mean: _Age
    categories: dict[str, dict[str, _Age]]
    salt: Annotated[str, Field(pattern=rf"^([0-9a-f]{{{2 * SALT_BYTES}}})?$")] = ""  # empty: keys are texts, in earlier versions
    lists: dict[str, dict[str, _Age]] = {}
    buckets: dict[str, int] = {}
    columns: dict[str, int] = {}


class _Ridge(_Saved):
    fill: list[float]
    centre: list[float]
    spread: list[Annotated[float, Field(gt=0)]]
    weights: list[float]
    intercept: float


_Correction = Annotated[float, Field(ge=-OLDEST, le=OLDEST)]


class _Calibration(_Saved):
    few: float
    years: Annotated[list[_Correction], Field(min_length=CELLS, max_length=CELLS)]
    by_cell: Annotated[list[_Correction], Field(min_length=CELLS, max_length=CELLS)] = list(NO_CALIBRATION.by_cell)
    width_edges: Annotated[list[Annotated[float, Field(ge=-1, le=OLDEST)]], Field(max_length=MAX_WIDTH_GROUPS - 1)] = []
    by_width: Annotated[list[_Correction], Field(min_length=1, max_length=MAX_WIDTH_GROUPS)] = [0.0]

    @model_validator(mode="after")
    def _consistent(self) -> _Calibration:
        if len(self.by_width) != len(self.width_edges) + 1:
            raise ValueError(f"by_width must have {len(self.width_edges) + 1} numbers, not {len(self.by_width)}")
        if self.width_edges != sorted(self.width_edges):
            raise ValueError("width_edges must rise")
        return self


class _Blend(_Saved):
    weights: Annotated[list[_Share], Field(min_length=MEMBERS_BEFORE_RIDGE, max_length=len(MEMBERS))]
    share: _Share
    calibration: _Calibration
    coverage: Annotated[float, Field(gt=0, lt=1)]
    youngest: Annotated[int, Field(ge=0, le=OLDEST)]
    oldest: Annotated[int, Field(ge=0, le=OLDEST)]
    residual_share: _Share = 0.0
    residuals: Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], Field(max_length=MAX_RESIDUAL_QUANTILES)] = []
    scaled_residuals: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> _Blend:
        if not isclose(sum(self.weights), 1, abs_tol=_WEIGHT_TOLERANCE):
            raise ValueError(f"weights must sum to 1, not {sum(self.weights):g}")
        if self.youngest > self.oldest:
            raise ValueError(f"youngest ({self.youngest}) must not exceed oldest ({self.oldest})")
        if any(b < a for a, b in pairwise(self.residuals)):
            raise ValueError("residuals must rise")
        if self.residual_share > 0 and len(self.residuals) < 2:
            raise ValueError("residual_share needs residuals, at least two")
        return self


def _other_keys(table: str) -> StructureError:
    return StructureError(f"encoders.{table}", expected=f"hashes of {2 * DIGEST_BYTES} digits as keys", found="others")


class LearnedParameters(_Saved):
    """The content of learned.json, checked."""

    encoders: _Encoders
    ridge: _Ridge
    blend: _Blend
    sha256: str

    @classmethod
    def read(cls, content: bytes, features: FeatureSet) -> LearnedParameters:
        """Parse the file and compare its lengths and names with ``features``. Raises StructureError."""
        try:
            learned = cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            member = first["loc"][:3] if first["loc"][:1] == ("encoders",) else first["loc"]  # below are values of people's data
            where = ".".join(map(str, member)) or "content"
            raise StructureError(where, expected=first["msg"], found=f"{error.error_count()} wrong values") from None
        learned._check_features(features)
        return learned

    def _check_features(self, features: FeatureSet) -> None:
        categories = {name: f.max_values for name, f in features.features.items() if isinstance(f, Category)}
        if set(self.encoders.categories) != set(categories):
            raise StructureError(
                "encoders.categories", expected=", ".join(categories) or "none", found=", ".join(self.encoders.categories) or "none"
            )
        for name, table in self.encoders.categories.items():
            if len(table) > categories[name]:
                raise StructureError(f"encoders.categories.{name}", expected=f"at most {categories[name]}", found=str(len(table)))
            if self.encoders.salt and not all(map(_DIGEST.fullmatch, table)):
                raise _other_keys(f"categories.{name}")
        self._check_lists({name: f for name, f in features.features.items() if isinstance(f, ListFlags | TextWords)})
        columns = len(self.fitted_encoders.column_names(features.names))
        for label, values, length in (
            ("fill", self.ridge.fill, columns),
            ("centre", self.ridge.centre, columns),
            ("spread", self.ridge.spread, columns),
            ("weights", self.ridge.weights, 2 * columns),
        ):
            if len(values) != length:
                raise StructureError(f"ridge.{label}", expected=f"{length} numbers", found=str(len(values)))

    def _check_lists(self, lists: dict[str, ListFlags | TextWords]) -> None:
        """Compare what was learned of lists and of columns of 0 and 1 with the features that have ``lists``."""
        saved = self.encoders
        if set(saved.lists) != set(lists):
            raise StructureError("encoders.lists", expected=", ".join(lists) or "none", found=", ".join(saved.lists) or "none")
        buckets = {name: f.buckets for name, f in lists.items() if isinstance(f, TextWords)}
        if saved.buckets != buckets:
            raise StructureError("encoders.buckets", expected=str(buckets), found=str(saved.buckets)[:200])
        for name, feature in lists.items():
            table = saved.lists[name]
            if isinstance(feature, TextWords) and not set(table) <= {str(bucket) for bucket in range(feature.buckets)}:
                raise StructureError(f"encoders.lists.{name}", expected=f"buckets below {feature.buckets}", found="others")
            if isinstance(feature, ListFlags) and not (saved.salt and all(map(_DIGEST.fullmatch, table))):
                raise _other_keys(f"lists.{name}")
            if isinstance(feature, ListFlags) and len(table) > feature.max_values:
                raise StructureError(f"encoders.lists.{name}", expected=f"at most {feature.max_values}", found=str(len(table)))
        for name, count in saved.columns.items():
            keys = len({**saved.categories, **saved.lists}.get(name, {}))
            if not 0 <= count <= keys:
                raise StructureError(f"encoders.columns.{name}", expected=f"0 to {keys}", found=str(count))

    @property
    def fitted_encoders(self) -> Encoders:
        saved = self.encoders
        return Encoders(saved.mean, saved.categories, saved.salt, saved.lists, saved.buckets, saved.columns)

    @property
    def ridge_model(self) -> RidgeModel:
        saved = self.ridge
        fill, centre, spread, weights = (np.array(v) for v in (saved.fill, saved.centre, saved.spread, saved.weights))
        return RidgeModel(fill, centre, spread, weights, saved.intercept)

    @property
    def ensemble(self) -> EnsembleWeights:
        saved = self.blend
        found = saved.calibration
        calibration = Calibration(
            found.few, tuple(found.years), tuple(found.by_cell), tuple(found.width_edges), tuple(found.by_width)
        )
        weights = (*saved.weights, *[0.0] * (len(MEMBERS) - len(saved.weights)))
        return EnsembleWeights(
            weights,
            saved.share,
            calibration,
            saved.coverage,
            saved.youngest,
            saved.oldest,
            saved.residual_share,
            tuple(saved.residuals),
            saved.scaled_residuals,
        )
