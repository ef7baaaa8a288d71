"""Going back: readers are switched to an earlier run's result, after its objects were found as they were written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from predict_age.aws.functions.call import Call, Event, point
from predict_age.aws.names import FINAL, HUMAN_QA, PREDICTIONS, STAGED
from predict_age.errors import ConfigError, IntegrityError
from predict_age.files import unsealed
from predict_age.published import Published, change, read_published


def rollback(call: Call, to: str) -> Event:
    """Make ``to``, a published quarter or a finished run, current: the pointer first, then the tables. Twice is the same as once.

    Takes no lease: an execution that goes on publishes its own result when it is done. Raises ConfigError for a run that is
    not there, IntegrityError for one that is not whole; then nothing has changed.
    """
    before = read_published(call.records)
    then = replace(call, event={"run_id": before.quarters.get(to, to)})
    if call.store.head(then.name("steps/final_results.json")) is None:
        known = ", ".join([*before.quarters, *sorted(before.run_ids)])
        raise ConfigError(f"there is no finished run {to}", expected=f"a quarter or a finished run: {known}", found=to)
    made = then.facts("final_results")
    manifest = _vouched(then, made["manifest"], made["location"])
    quarter = str(manifest["quarter"])

    def switched(now: Published) -> Published:
        if now.current == then.run_id and now.quarters.get(quarter) == then.run_id:
            return now
        return now.with_current(then.run_id, quarter, made["manifest"], "rolled back")

    change(call.records, switched)
    point(call, PREDICTIONS, PREDICTIONS, call.store.url(then.name(STAGED[PREDICTIONS])) + "/")
    point(call, HUMAN_QA, HUMAN_QA, then.facts("human_qa")["location"])
    point(call, f"{FINAL}_{quarter}", FINAL, made["location"])
    point(call, FINAL, FINAL, made["location"])
    return {"run_id": then.run_id, "quarter": quarter, "before": before.current}


def _vouched(then: Call, seal: str, location: str) -> dict[str, Any]:
    """The manifest of a run, when its seal and every object of its result are those that were recorded."""
    found = then.store.get(then.name("manifest.json"))
    if found is None:
        raise IntegrityError(f"run {then.run_id} has no manifest", expected="manifest.json", fix="choose another run")
    manifest, is_seal = unsealed(found[0], "manifest.json")
    written: dict[str, str] = manifest["athena"]
    problems = [] if is_seal == seal else ["manifest.json is another one"]
    here = {n.removeprefix(then.name("")) for n, _ in then.store.names(location.removeprefix(then.store.url("")))}
    problems += [f"{name} is missing" for name in written.keys() - here]
    problems += [f"{name} is foreign" for name in here - written.keys()]
    for name in written.keys() & here:
        now = then.store.head(then.name(name))
        if now is None or f"{now.size}:{now.tag}" != written[name]:
            problems.append(f"{name} was changed")
    if problems:
        raise IntegrityError(
            f"run {then.run_id} is not whole and was not published", expected="every object as it was written",
            found="; ".join(sorted(problems)[:5]), fix="choose another run, or bring the objects' earlier versions back",
        )  # fmt: skip
    return manifest
