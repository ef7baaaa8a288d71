"""Types of data frames of libraries that are no dependencies: exact for a type checker, ``object`` when the program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame as PandasFrame
    from polars import DataFrame as PolarsFrame
else:
    PandasFrame = PolarsFrame = object

__all__ = ["PandasFrame", "PolarsFrame"]
