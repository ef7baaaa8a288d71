"""predict-age: train on the people whose age is known, predict the others with an honest interval, publish one table.

::

    import predict_age as pa

    run = pa.run("people/", "work", "2025-10-23")          # the whole pipeline; run.results is a table
    model = pa.load("work")                                # the champion of a workspace
    model.predict([{"jobs": [{"title": "Analyst"}]}])      # ages of people in memory, as a pyarrow table

The names below are imported when they are used. docs/python.md describes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from predict_age.version import __version__

if TYPE_CHECKING:
    from predict_age.api.names import (
        AgeModel,
        BatchPredictor,
        FinishedRun,
        PeopleSource,
        Results,
        Scores,
        SourceProfile,
        batch_predictor,
        evaluate,
        init,
        load,
        open_run,
        profile,
        read,
        run,
    )
    from predict_age.api.regressor import AgeRegressor

__all__ = [
    "AgeModel",
    "AgeRegressor",
    "BatchPredictor",
    "FinishedRun",
    "PeopleSource",
    "Results",
    "Scores",
    "SourceProfile",
    "__version__",
    "batch_predictor",
    "evaluate",
    "init",
    "load",
    "open_run",
    "profile",
    "read",
    "run",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'predict_age' has no attribute {name!r}")
    if name == "AgeRegressor":  # the only name that needs scikit-learn
        from predict_age.api import regressor

        globals()[name] = regressor.AgeRegressor
    else:
        from predict_age.api import names

        globals()[name] = getattr(names, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)
