"""State of a run's data, kept for the comparison with the next run, and the result of such a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field

from predict_age.records.json_fields import OPTIONAL


@dataclass(frozen=True)
class Dispersion:
    """Over-dispersion of one feature between the batches of a run, against drawing people by lot; by default there is none.

    ``variance``: over the cells of the index on average, >= 1; ``unevenness``: the squared coefficient of variation of that
    variance over its directions (0: all vary alike; a shifted mean varies in one direction only); ``order``, ``missing``,
    ``unseen``: of the cumulated shares and of those two shares, >= 1; ``freedom``: batches less one, 0 = nothing measured.
    """

    variance: float = 1.0
    unevenness: float = 0.0
    order: float = 1.0
    missing: float = 1.0
    unseen: float = 1.0
    freedom: int = 0


@dataclass(frozen=True)
class DriftState:
    """Counts of feature values, predicted and known ages of one run, with the dispersion between its batches.

    ``definitions``: kind and hash of each feature's definition; None in records of earlier versions.
    """

    run: str
    as_of: str
    model: str
    counts: dict[str, dict[str, int]]
    dispersion: dict[str, Dispersion]
    definitions: dict[str, str] | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class DriftFinding:
    """Change of one feature (or of the predicted, or the known ages) between reference and now.

    ``psi`` and ``ks`` with the limits that chance keeps below; ``moved``: share of people who would have to change their value to
    undo the change (total variation distance); shares of missing and unseen values before and now.
    """

    of: str
    name: str
    psi: float
    psi_limit: float
    ks: float | None
    ks_limit: float | None
    moved: float
    missing: tuple[float, ...]
    unseen: tuple[float, ...]
    drifted: bool
    sentence: str


@dataclass(frozen=True)
class DriftComparison:
    """Comparison with the run ``reference`` (empty: there was none); ``drifted`` are the sentences of what has changed."""

    reference: str = ""
    as_of: str = ""
    same_model: bool = False
    findings: tuple[DriftFinding, ...] = ()
    drifted: tuple[str, ...] = ()
