"""Proposal of a configuration and a feature file for a source, from Python."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from predict_age.api.arguments import checks_arguments
from predict_age.api.sources import AnySource
from predict_age.pipeline.run_plan import date_or_today
from predict_age.proposal.columns import Role
from predict_age.proposal.writing import WrittenProposal, check_free, write_proposal


@checks_arguments
def propose_files(
    source: AnySource,
    out: str | Path = ".",
    *,
    as_of: dt.date | str | None = None,
    pid: str = "",
    age: str = "",
    birth_year: str = "",
    birth_date: str = "",
    force: bool = False,
) -> WrittenProposal:
    """Read a sample of ``source`` and write ``predict-age.toml`` and ``features.toml`` into the folder ``out``, ready to run.

    Columns of ids and ages are guessed by name and content unless they are given: ``pid``, ``age`` (years), ``birth_year``,
    ``birth_date``. ``as_of``: the date of the ages, today by default. Look through both files; comments say what each entry rests
    on, and why fields were left out. Pass them on: ``run(source, work, as_of, config=made.config, features=made.features)``.

    Raises ConfigError when a file exists already (unless ``force``), or when ids, ages or features are not found; InputError
    when the source cannot be read.
    """
    check_free(Path(out), force=force)
    names: dict[Role, str] = {"pid": pid, "approximate_age": age, "birth_year": birth_year, "birth_date": birth_date}
    when = date_or_today(as_of)
    given: dict[Role, str] = {role: name for role, name in names.items() if name}
    return write_proposal(str(source), when, Path(out), given, lambda guess: guess.name)
