"""Every path that a state of the machine reads is in its input, whichever way led to it: a missing one ends an execution untold."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloud.rules.plan import Plan, Values

AFTER_PRE_CLEANUP = {"run_id", "token", "accept", "next", "why"}  # keys of what the function returns
NEEDED_BY_FUNCTIONS = {"run_id", "token"}
PATH = re.compile(r"(?<!\$)\$\.([\w.]+)")
Known = frozenset[str]  # paths that are there: "run_id", "failure.Error"


def _read(value: object) -> set[str]:
    """Paths of the input that a template reads."""
    if isinstance(value, dict):
        own = [v for name, v in value.items() if name.endswith(".$") and isinstance(v, str)]
        inner = [v for v in value.values() if isinstance(v, dict | list)]
        return {p for text in own for p in PATH.findall(text)}.union(*map(_read, inner))
    return set().union(*map(_read, value)) if isinstance(value, list) else set()


def _asked(rule: Values) -> set[str]:
    """Paths that a choice compares, but for those that it has asked after before."""
    parts = [*rule.get("And", []), *rule.get("Or", []), *([rule["Not"]] if "Not" in rule else [])]
    if any(p.get("IsPresent") for p in parts) or "IsPresent" in rule:
        return set()
    own = {rule["Variable"].removeprefix("$.")} if "Variable" in rule else set()
    return own.union(*map(_asked, parts))


def _present(rule: Values) -> set[str]:
    """Paths that are there where a choice was taken."""
    own = {rule["Variable"].removeprefix("$.")} if rule.get("IsPresent") else set()
    return own.union(*map(_present, rule.get("And", [])))


def _names(template: Values) -> set[str]:
    return {name.removesuffix(".$") for name in template}


def _after(state: Values, known: Known) -> Known:
    """Paths behind a state that ended well."""
    if state["Type"] == "Choice":
        return known
    if state.get("OutputPath") == "$.Payload":
        return frozenset(AFTER_PRE_CLEANUP)
    result = state.get("ResultPath", "$")
    if result is None:
        return known
    made = _names(state.get("ResultSelector", state.get("Parameters", {}) if state["Type"] == "Pass" else {}))
    if result == "$":
        return frozenset(made)
    name = result.removeprefix("$.")
    return frozenset(k for k in known if k.partition(".")[0] != name) | {name, *(f"{name}.{m}" for m in made)}


def _caught(catch: Values, known: Known) -> Known:
    """Paths behind a failure: its error, and no cause, which a time-out has not."""
    if (result := catch.get("ResultPath", "$")) is None:
        return known
    name = result.removeprefix("$").removeprefix(".")
    return known | {name, f"{name}.Error"} if name else frozenset({"Error"})


def _ways(state: Values, known: Known) -> Iterator[tuple[str, Known]]:
    """Following states with the paths that they find."""
    after = _after(state, known)
    for following in (state.get("Next"), state.get("Default")):
        if following:
            yield following, after
    for rule in state.get("Choices", []):
        yield rule["Next"], after | _present(rule)
    for catch in state.get("Catch", []):
        yield catch["Next"], _caught(catch, known)


def _missing(states: dict[str, Values], start: str, given: Known) -> Iterator[str]:
    found: dict[str, Known] = {start: given}
    todo = [start]
    while todo:
        name = todo.pop()
        for following, known in _ways(states[name], found[name]):
            both = found.get(following, known) & known
            if following not in found or both != found[following]:
                found[following] = both
                todo.append(following)
    for name, known in found.items():
        state = states[name]
        templates = [state.get(part, {}) for part in ("Parameters", "ItemSelector")] + [
            state.get("ItemReader", {}).get("Parameters", {})
        ]
        wanted = _read(templates).union(*map(_asked, state.get("Choices", [])))
        if state.get("Parameters", {}).get("Payload.$") == "$":
            wanted |= NEEDED_BY_FUNCTIONS
        for path in sorted(wanted - known):
            yield f"{name} reads $.{path}, which is not always there"
        if "ItemProcessor" in state:
            inner = state["ItemProcessor"]
            yield from _missing(inner["States"], inner["StartAt"], frozenset(_names(state["ItemSelector"])))


def paths(plan: Plan) -> Iterator[str]:
    """Every path that a state reads is there on every way to it."""
    yield from _missing(plan.definition["States"], plan.definition["StartAt"], frozenset())


RULES = (paths,)
