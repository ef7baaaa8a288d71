"""Rules for the applied modules, whatever their text is: invariants that scanners of single resources do not know.

Every rule is a function that takes the applied resources and yields one line for each problem. ``problems`` runs all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cloud.rules import api, compute, machine, network, paths, rights, storage, watching
from cloud.rules.plan import Plan, Resource

RULES: tuple[Callable[[Plan], Iterator[str]], ...] = (
    *storage.RULES,
    *rights.RULES,
    *network.RULES,
    *compute.RULES,
    *machine.RULES,
    *paths.RULES,
    *watching.RULES,
    *api.RULES,
)


def problems(resources: list[Resource]) -> list[str]:
    """Problems of the resources, one line each."""
    plan = Plan(resources)
    return sorted({line for rule in RULES for line in rule(plan)})
