"""Applied resources, and what rules ask of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from cloud.iam import ALLOWED, decision

Resource = dict[str, Any]
Values = dict[str, Any]


def as_list(value: Any) -> list[Any]:
    """A policy's element, which may be one value or a list of them."""
    return value if isinstance(value, list) else [value]


class Plan:
    """The resources of both modules with their values."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources
        self._statements: dict[str, list[Values]] = {}

    def of(self, kind: str) -> list[Values]:
        """Values of all resources of a kind, with their addresses."""
        return [{**r["values"], "address": r["address"]} for r in self.resources if r["type"] == kind]

    def one(self, kind: str, name: str = "") -> Values:
        """The only resource of a kind (and a name)."""
        (found,) = [v for v in self.of(kind) if not name or v["address"].rpartition(f".{kind}.")[2].partition("[")[0] == name]
        return found

    @cached_property
    def roles(self) -> dict[str, Values]:
        """Roles by the last part of their names ("training")."""
        return {role["name"].removeprefix("predict-age-"): role for role in self.of("aws_iam_role")}

    def statements(self, role: str) -> list[Values]:
        """All statements of a role's inline policies."""
        if role not in self._statements:
            name = self.roles[role]["name"]
            found = [p for p in self.of("aws_iam_role_policy") if p["role"] == name]
            self._statements[role] = [s for p in found for s in json.loads(p["policy"])["Statement"]]
        return self._statements[role]

    def may(self, role: str, action: str, resource: str, **context: str) -> bool:
        """Whether a role may do something."""
        return decision(self.statements(role), action, resource, **context) == ALLOWED

    def trust(self, role: str) -> Values:
        """The only statement of a role's trust policy."""
        (statement,) = json.loads(self.roles[role]["assume_role_policy"])["Statement"]
        return statement

    @cached_property
    def bucket(self) -> Values:
        """The bucket of runs and results."""
        return self.one("aws_s3_bucket")

    @cached_property
    def functions(self) -> dict[str, Values]:
        """Functions of the state machine by the module of their handler."""
        return {f["handler"].split(".")[-2]: f for f in self.of("aws_lambda_function") if f["package_type"] != "Image"}

    @cached_property
    def api(self) -> Values | None:
        """The function of the prediction API, which is an image; None where there is no such API."""
        return next((f for f in self.of("aws_lambda_function") if f["package_type"] == "Image"), None)

    @cached_property
    def tasks(self) -> dict[str, Values]:
        """Task definitions by their container's name."""
        return {json.loads(t["container_definitions"])[0]["name"]: t for t in self.of("aws_ecs_task_definition")}

    def container(self, task: str) -> Values:
        """The only container of a task."""
        (container,) = json.loads(self.tasks[task]["container_definitions"])
        return container

    @cached_property
    def definition(self) -> Values:
        """The rendered state machine."""
        return json.loads(self.one("aws_sfn_state_machine")["definition"])

    def states(self) -> Iterator[tuple[str, Values]]:
        """All states, those inside a map included."""
        for name, state in self.definition["States"].items():
            yield name, state
            yield from state.get("ItemProcessor", state.get("Iterator", {})).get("States", {}).items()

    def containers_of_states(self) -> Iterator[tuple[str, Values]]:
        """States that run a task."""
        return ((n, s) for n, s in self.states() if ":ecs:runTask" in s.get("Resource", ""))
