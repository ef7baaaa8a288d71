"""Templates, style and filters shared by the report and the model card."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jinja2

from predict_age.tally import percent

_DASH = "\N{EN DASH}"


def _years(value: float | None) -> str:
    return _DASH if value is None or value != value else f"{value:.2f}"  # noqa: PLR0124 - NaN is unequal to itself


def _share(value: float | None) -> str:
    return _DASH if value is None or value != value else percent(value).replace(" ", "\N{NO-BREAK SPACE}")  # noqa: PLR0124


def _signed(value: float | None) -> str:
    return _DASH if value is None or value != value else f"{value:+.2f}"  # noqa: PLR0124


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("predict_age", "html")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(n=lambda v: f"{v:,}", pct=_share, years=_years, signed=_signed)
    return environment


def page(name: str, **values: Any) -> bytes:
    """Render the template ``name`` with ``values`` as UTF-8."""
    return _environment().get_template(name).render(**values).encode()
