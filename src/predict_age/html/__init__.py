"""Templates, style and filters shared by the report and the model card."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jinja2

from predict_age.tally import number_or_dash, share_or_dash, times_as_often


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("predict_age", "html")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        n=lambda v: f"{v:,}",
        pct=lambda share: share_or_dash(share).replace(" ", "\N{NO-BREAK SPACE}"),
        years=partial(number_or_dash, text="{:z.2f}"),
        signed=partial(number_or_dash, text="{:+z.2f}"),
        times=times_as_often,
    )
    return environment


def page(name: str, **values: Any) -> bytes:
    """Render the template ``name`` with ``values`` as UTF-8."""
    return _environment().get_template(name).render(**values).encode()
