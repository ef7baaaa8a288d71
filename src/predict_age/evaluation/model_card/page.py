"""Model card files beside the model: ``card.json`` for programs, ``card.html`` for people."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from predict_age.evaluation.model_card.contents import Card
from predict_age.evaluation.model_card.findings import differs
from predict_age.evaluation.model_card.groups import critical_group_z
from predict_age.evaluation.model_card.proxies import STRONG_ASSOCIATION
from predict_age.models.metrics import is_short_of_coverage
from predict_age.records.json_fields import as_json
from predict_age.records.model_quality import MinorsRate, ReusedModelQuality
from predict_age.runs.summary import without_nan
from predict_age.storage.durable_files import creating

CARD_FILES = ("card.json", "card.html")
HEADER_END, RUN_BEGIN, RUN_END = "</header>", "<!-- this run -->", "<!-- the training -->"


def write_card(card: Card, folder: Path) -> None:
    """Write both files. NaN (an empty group) becomes null."""
    from predict_age.html import page, plots

    contents = card.as_json()
    with creating(folder / "card.json") as stream:
        stream.write((json.dumps(without_nan(contents), indent=1, ensure_ascii=False) + "\n").encode())
    everybody = card.held_out.bias
    shown = {}
    for field, rows in card.groups.items():
        names, bias, interval = ([r.group for r in rows], [r.bias for r in rows], [r.bias_interval for r in rows])
        shown[field] = plots.biases(names, bias, interval, everybody)
    shown["ages"] = plots.known_ages(card.ages)
    groups = sum(len(rows) for rows in card.groups.values())
    with creating(folder / "card.html") as stream:
        values = {"surprising": partial(critical_group_z, groups), "strong": STRONG_ASSOCIATION, "short": is_short_of_coverage}
        differ = card.population is not None and differs(card.population)
        stream.write(page("card.html", c=contents, plots=shown, differs=differ, **values))


def add_this_run(folder: Path, run_id: str, reused: ReusedModelQuality, minors: MinorsRate | None) -> None:
    """Put the quality of a reused model in the run ``run_id`` before that of its training, in both files of ``folder``.

    ``minors``: how frequent they are in that run.
    """
    from predict_age.html import page

    measured = reused.metrics.held_out if reused.metrics else None
    rate = minors.rate if minors else None
    quality = as_json(measured) if measured else None
    of_run = {"run_id": run_id, "sentence": reused.sentence, "held_out": quality, "minors_rate": rate}
    contents = {**json.loads((folder / "card.json").read_text(encoding="utf-8")), "in_this_run": of_run}
    with creating(folder / "card.json") as stream:
        stream.write((json.dumps(without_nan(contents), indent=1, ensure_ascii=False) + "\n").encode())
    before, end, after = (folder / "card.html").read_text(encoding="utf-8").partition(HEADER_END)
    if RUN_BEGIN in after:  # of the run that this model was copied from
        after = after.partition(RUN_END)[2]
    shown = page("card_in_run.html", q=measured, run_id=run_id, sentence=reused.sentence, minors_rate=rate).decode()
    with creating(folder / "card.html") as stream:
        stream.write(f"{before}{end}{RUN_BEGIN}{shown}{RUN_END}{after}".encode())
