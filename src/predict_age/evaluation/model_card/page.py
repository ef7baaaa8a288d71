"""The card as files beside the model: ``card.json`` for programs, ``card.html`` for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from predict_age.evaluation.model_card.groups import critical_group_z
from predict_age.evaluation.model_card.proxies import STRONG_ASSOCIATION
from predict_age.run.summary import finite
from predict_age.storage.durable_files import creating

CARD_FILES = ("card.json", "card.html")


def write_card(card: dict[str, Any], folder: Path) -> None:
    """Write both files. NaN (nobody there) becomes null."""
    from predict_age.html import page, plots

    with creating(folder / "card.json") as stream:
        stream.write((json.dumps(finite(card), indent=1, ensure_ascii=False) + "\n").encode())
    everybody = card["held_out"]["bias"]
    shown = {}
    for field, rows in card["groups"].items():
        names, bias, interval = ([r[k] for r in rows] for k in ("group", "bias", "bias_interval"))
        shown[field] = plots.biases(names, bias, interval, everybody)
    shown["ages"] = plots.known_ages(card["ages"])
    limit = critical_group_z(sum(len(rows) for rows in card["groups"].values()))
    with creating(folder / "card.html") as stream:
        stream.write(page("card.html", c=card, plots=shown, surprising=limit, strong=STRONG_ASSOCIATION))
