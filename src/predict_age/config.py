"""Configuration: a frozen object that the command line reads once, the run record keeps, and every step receives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from predict_age.age_bands import check_shares
from predict_age.errors import ConfigError
from predict_age.file_names import text_of_file
from predict_age.purposes import checked_purpose
from predict_age.source_config import STRICT_SECTION
from predict_age.source_config import SourceConfig as SourceConfig  # noqa: PLC0414 - told to mypy as a name of this module
from predict_age.toml_lines import explain, similar_key
from predict_age.toml_text import parse_toml

ShareOfRows = Annotated[float, Field(gt=0, lt=1)]


class _Section(BaseModel):
    model_config = STRICT_SECTION


class AgesConfig(_Section):
    """Plausible ages and their precedence. Whole years at the run's ``as_of`` date.

    People younger than ``min_age`` are withheld: known ones, and those whom the model takes for younger with at least
    ``withhold_probability``. 0 withholds nobody. ``zero`` says what an approximate age of 0 stands for.
    """

    min: int = Field(default=14, ge=0, le=120)
    max: int = Field(default=100, ge=1, le=120)
    precedence: tuple[Literal["approximate_age", "birth_date", "birth_year"], ...] = Field(
        default=("approximate_age", "birth_date", "birth_year"), strict=False, min_length=1, max_length=3
    )
    default: int = 35
    conflict_years: int = Field(default=2, ge=0)
    min_age: int = Field(default=18, ge=0, le=120)
    withhold_probability: float = Field(default=0.2, gt=0, le=1)
    zero: Literal["minor", "missing"] = "minor"

    @property
    def youngest(self) -> int:
        """The youngest age that is used and published."""
        return max(self.min, self.min_age)

    @model_validator(mode="after")
    def _ordered(self) -> AgesConfig:
        if self.min >= self.max:
            raise ValueError("ages.min must be below ages.max")
        if self.min_age >= self.max:
            raise ValueError("ages.min_age must be below ages.max: everybody would be withheld")
        if self.min <= self.default < self.min_age <= self.max:
            raise ValueError("ages.default must not be below ages.min_age: younger people are withheld")
        if not self.min <= self.default <= self.max:
            raise ValueError("ages.default must lie between ages.min and ages.max")
        if len(set(self.precedence)) != len(self.precedence):
            raise ValueError("ages.precedence names a column twice")
        return self


class PopulationConfig(_Section):
    """Shares of all people, with and without a known age, by age band; none: those with a known age are taken for typical."""

    ages: dict[str, float] = {}


class TrainingConfig(_Section):
    """Training and evaluation of the models."""

    sample_rows: int = Field(default=1_000_000, ge=100)
    min_rows: int = Field(default=100, ge=20)
    seed: int = Field(default=7, ge=0, lt=2**31)
    test_share: ShareOfRows = 0.20
    calibration_share: ShareOfRows = 0.10
    validation_share: ShareOfRows = 0.10
    coverage: ShareOfRows = 0.90
    cross_fit_below_rows: int = Field(default=200_000, ge=0)
    refit_below_rows: int = Field(default=500_000, ge=0)
    rounds: int = Field(default=450, ge=1, le=5000)
    max_depth: int = Field(default=6, ge=1, le=14)
    learning_rate: float = Field(default=0.06, gt=0, le=1)
    min_leaf_rows: int = Field(default=20, ge=1)
    stop_after_rounds: int = Field(default=40, ge=1)
    light_rounds: int = Field(default=400, ge=1, le=5000)
    light_leaves: int = Field(default=31, ge=2, le=1024)
    light_learning_rate: float = Field(default=0.05, gt=0, le=1)
    networks: int = Field(default=3, ge=1, le=20)
    network_width: int = Field(default=32, ge=2, le=512)
    network_functions: int = Field(default=20, ge=5, le=60)
    network_passes: int = Field(default=12, ge=1, le=200)
    network_decay: float = Field(default=3.0, ge=0, le=50)
    network_sharing: bool = False
    members: tuple[Literal["xgboost", "lightgbm", "network", "ridge"], ...] = Field(
        default=("xgboost", "lightgbm", "network", "ridge"), strict=False, min_length=1
    )
    worth: float = Field(default=0.0005, ge=0, le=0.1)
    size_presets: bool = True
    forest_trees: int = Field(default=30, ge=1, le=500)
    forest_depth: int = Field(default=12, ge=1, le=16)
    forest_leaf_rows: int = Field(default=20, ge=1)
    tune_minutes: float = Field(default=0.0, ge=0, le=1440)

    @field_validator("members")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("training.members names a model twice")
        return value

    @model_validator(mode="after")
    def _shares(self) -> TrainingConfig:
        if self.test_share + self.calibration_share + self.validation_share > 0.6:
            raise ValueError(
                "test_share, calibration_share and validation_share of training together must leave 40 % to learn from"
            )
        return self


class PredictionConfig(_Section):
    """Batches of the prediction, and the models that share it."""

    batch_rows: int = Field(default=300_000, ge=1)
    partition: Literal["splits", "modulo"] = "splits"
    usable_from_pct: float = Field(default=40.0, ge=0, le=100)
    challengers: dict[str, ShareOfRows] = {}
    experiment: str = Field(default="experiment", min_length=1)

    @model_validator(mode="after")
    def _arms(self) -> PredictionConfig:
        if sum(self.challengers.values()) > 0.9:
            raise ValueError("prediction.challengers together may have 90 % of the people at most")
        return self


class CardConfig(_Section):
    """Groups of the model card. ``groups``: name -> path inside the profile; read for the card; none becomes a feature by it."""

    groups: dict[str, str] = {"country": "country", "gender": "gender"}
    around: int = Field(default=40, ge=1, le=120)
    unlabelled_rows: int = Field(default=50_000, ge=0)
    fewest_rows: int = Field(default=50, ge=10)

    @field_validator("groups")
    @classmethod
    def _paths(cls, value: dict[str, str]) -> dict[str, str]:
        for name, path in value.items():
            if not name.isidentifier():
                raise ValueError(f"a group is called by letters, digits and underscores, not {name!r}")
            if not path.strip(" .") or "[*]" in path:
                raise ValueError(f"{path!r} does not lead to one value; write key, key.key or key[0]")
        return value


class GatesConfig(_Section):
    """Quality gates: limits that a model must meet before it predicts; 0 switches a limit off. Years, or shares (0..1)."""

    unusable_ages: float = Field(default=0.2, ge=0, le=1)
    baselines: bool = True
    predicted_share: float = Field(default=0.1, ge=0, le=1)
    worse_share: float = Field(default=0.05, ge=0, le=1)
    band_error_years: float = Field(default=15.0, ge=0)
    group_bias_years: float = Field(default=10.0, ge=0)
    coverage_below: float = Field(default=0.03, ge=0, le=1)
    leak_error_share: float = Field(default=0.15, ge=0, le=1)
    leak_exact_share: float = Field(default=0.8, ge=0, le=1)
    not_leaks: tuple[str, ...] = Field(default=(), strict=False)
    drift: bool = False


class DriftConfig(_Section):
    """Drift detection. ``rows``: people in the drift sample; ``false_alarms``: share of unchanged runs that may raise an alarm."""

    rows: int = Field(default=1_000_000, ge=1000)
    false_alarms: float = Field(default=0.01, gt=0, lt=0.5)
    least_moved: float = Field(default=0.02, ge=0, le=1)


class RunningConfig(_Section):
    """Workers, retries, retention. ``workers = 0`` means one for each core; ``..._seconds`` are times without a heartbeat."""

    workers: int = Field(default=0, ge=0, le=512)
    attempts: int = Field(default=3, ge=1, le=10)
    keep_runs: int = Field(default=4, ge=1)
    keep_unfinished_hours: float = Field(default=72.0, ge=0)
    keep_predictions: bool = True
    quarter: str = Field(default="", pattern=r"^(\d{4}q[1-4])?$")
    lease_seconds: int = Field(default=60, ge=2, le=3600)
    hang_seconds: int = Field(default=60, ge=2, le=3600)


class RunConfig(_Section):
    """Purpose of the run: one of :data:`~predict_age.purposes.PURPOSES`; empty: not stated."""

    purpose: Annotated[str, AfterValidator(checked_purpose)] = ""


class LimitsConfig(_Section):
    """Budget of a run over all its attempts; 0 means no limit. ``usd_per_hour`` is the price of this machine."""

    max_minutes: float = Field(default=0.0, ge=0)
    max_cost_usd: float = Field(default=0.0, ge=0)
    usd_per_hour: float = Field(default=0.0, ge=0)


NOT_A_FILE = "(given from Python)"  # in a record, in the place of a configuration file with a [notify] program


class NotifyConfig(_Section):
    """Program that gets one JSON object on its stdin when a run ends; it has ``seconds`` for that."""

    command: tuple[str, ...] = Field(default=(), strict=False)
    seconds: float = Field(default=30.0, gt=0, le=3600)


class Config(_Section):
    """All settings of a run, with defaults."""

    run: RunConfig = Field(default_factory=RunConfig)
    source: SourceConfig = Field(default_factory=SourceConfig)
    ages: AgesConfig = Field(default_factory=AgesConfig)
    population: PopulationConfig = Field(default_factory=PopulationConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    prediction: PredictionConfig = Field(default_factory=PredictionConfig)
    card: CardConfig = Field(default_factory=CardConfig)
    gates: GatesConfig = Field(default_factory=GatesConfig)
    drift: DriftConfig = Field(default_factory=DriftConfig)
    running: RunningConfig = Field(default_factory=RunningConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)

    @model_validator(mode="after")
    def _whole_population(self) -> Config:
        check_shares(self.population.ages, self.ages.youngest, self.ages.max)
        return self


def load_config(path: Path | None, overrides: dict[str, dict[str, object]] | None = None) -> Config:
    """Read a TOML file (or nothing) and apply ``overrides`` (section -> key -> value).

    Raises ConfigError naming the file, the line, what was expected and what was found.
    """
    text = ""
    if path is not None:
        text = text_of_file(path, "the configuration")
    data = parse_toml(text, str(path))
    if "format" in data and "features" in data:
        raise ConfigError(f"{path} is a feature file, not a configuration", fix=f"give it as --features {path}")
    if purpose := (overrides or {}).get("run", {}).get("purpose"):
        try:
            checked_purpose(str(purpose))
        except ValueError as error:
            raise ConfigError(f"--purpose: {error}") from None
    for section, values in (overrides or {}).items():
        if values and isinstance(data.get(section, {}), dict):  # validation names a section that is no table
            data[section] = {**data.get(section, {}), **values}
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, str(path or "the command line"), text, similar=_similar_key)) from None


def _similar_key(keys: tuple[str, ...]) -> str:
    return similar_key(keys, {name: tuple(type_of.model_fields) for name, type_of in _sections().items()})


def _sections() -> dict[str, type[BaseModel]]:
    """Class of each section, by its name in the file."""
    return {name: cast(type[BaseModel], field.annotation) for name, field in Config.model_fields.items()}
