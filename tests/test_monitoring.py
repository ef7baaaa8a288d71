"""The monitoring example: alert rules and dashboard name metrics that the server has, and each sign of trouble has an alert."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from predict_age.serving.application import Service
from predict_age.serving.messages import Request
from predict_age.serving.routes import RoutedCall
from predict_age.serving.served_model import Watch
from predict_age.storage.workspace import Workspace

EXAMPLE = Path(__file__).parents[1] / "examples" / "monitoring"
TROUBLE = {"suppression_unusable", "data_damaged", "model_refused"}


@pytest.fixture
def exposed() -> str:
    """The text of /metrics of a server that has answered a request."""
    service = Service(Watch(Workspace(Path("nowhere")), print), None)
    service.metrics.count("/v1/predict", 200, 0.001)
    service.metrics.profiles["DEFAULT"] += 1
    answer: Any = next(r for r in service.routes if r.path == "/metrics").handler(
        RoutedCall(Request("GET", "/metrics", "", {}), None, "")
    )
    return str(answer.body.decode())


def expressions() -> dict[str, str]:
    """Expressions by the name of their alert or panel."""
    rules = [rule for group in yaml.safe_load((EXAMPLE / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
    board = json.loads((EXAMPLE / "grafana-dashboard.json").read_text())
    panels = {panel["title"]: " ".join(target["expr"] for target in panel["targets"]) for panel in board["panels"]}
    assert all({"summary", "action"} == rule["annotations"].keys() for rule in rules)
    return {rule["alert"]: rule["expr"] for rule in rules} | panels


def unknown(exposed: str, found: dict[str, str]) -> dict[str, set[str]]:
    """Metrics and labels of metrics that no line of ``exposed`` has, by the name of the expression."""
    there = set(re.findall(r"^(predict_age_\w+)", exposed, re.M))
    labels = set(re.findall(r'(\w+)="', exposed))
    missing = {}
    for name, expression in found.items():
        used = set(re.findall(r"predict_age_\w+", expression)) - there
        asked = set(re.findall(r"(\w+)=~?\"", expression)) | set(re.findall(r"by \((\w+)\)", expression))
        missing[name] = used | (asked - labels - {"job"})
    return {name: gone for name, gone in missing.items() if gone}


def test_metrics_of_the_example_exist(exposed: str) -> None:
    found = expressions()
    assert len(found) > 15
    assert unknown(exposed, found) == {}
    assert unknown(exposed, {"a": 'rate(predict_age_gone[5m]) by (le) {nothing="1"}'}) == {"a": {"predict_age_gone", "nothing"}}


def test_every_sign_of_trouble_has_an_alert(exposed: str) -> None:
    """Gauges that are 0 or 1, but ``up``: one that is added needs an alert, too."""
    signs = {name for name, value in re.findall(r"^predict_age_(\w+) ([01])$", exposed, re.M)} - {
        "up",
        "model_swaps",
        "model_refusals",
    }
    assert signs - {"damage_errors_total"} == TROUBLE
    alerts = " ".join(v for k, v in expressions().items() if k.startswith("PredictAge"))
    assert all(f"predict_age_{name} == 1" in alerts for name in TROUBLE)
