"""Imports that a later step of a run would wait for, made in a thread while only the workers are busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Thread

from predict_age.runs.run import Run
from predict_age.step import Step


@contextmanager
def imports_ahead(run: Run) -> Iterator[Callable[[Step], None]]:
    """Import modules of later steps in a thread, during the first long step, in which only the workers are busy.

    Yields a function to be called with each step. The modules: the report, distribution quantiles, the domain classifier.
    """
    names, long = ["predict_age.report", "scipy.special"], "parallel_prediction"
    if not run.plan.base:
        names, long = [*names, "lightgbm"], "training"

    def imports() -> None:
        with suppress(Exception):  # the step that needs the module raises the error
            for name in names:
                import_module(name)

    thread = Thread(target=imports, name="imports-ahead")
    try:
        yield lambda step: thread.start() if step.name == long else None
    finally:
        if thread.ident is not None:
            thread.join()
