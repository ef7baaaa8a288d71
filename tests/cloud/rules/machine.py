"""The rendered state machine does every step once, tells about failures, ends as failed, and can go on where it stopped."""

from __future__ import annotations

import fnmatch
import inspect
import json
import re
from collections.abc import Iterator

from cloud.rules.plan import Plan, Values
from predict_age import errors
from predict_age.aws.run_mirror import Job
from predict_age.aws.state_machine import LAMBDAS, TASKS
from predict_age.aws.tasks import COMMANDS

NO_CAPACITY = {  # names of the errors with which RunTask says that a task cannot start now: capacity, quota, too many calls
    *(f"ECS.{kind}Exception" for kind in ("AmazonECS", "Client", "Server", "Service", "SdkClient", "Throttling")),
    "AmazonECS.Unknown",
}
HOPELESS = {
    kind.__name__ for kind in vars(errors).values() if isinstance(kind, type) and getattr(kind, "exit_code", 1) in (2, 3, 4, 5, 75)
}
WORKING = ("Task", "Map")
SHORTEST_TASK, LONGEST_TASK = 3600, 24 * 3600  # seconds


def shape(plan: Plan) -> Iterator[str]:
    """A standard machine with a map that is distributed, bounded, and tolerates no lost item."""
    machine = plan.one("aws_sfn_state_machine")
    if machine["type"] != "STANDARD":
        yield "the machine may run for five minutes only"
    for name, state in plan.states():
        if state["Type"] != "Map":
            continue
        processor = state.get("ItemProcessor", {})
        config = processor.get("ProcessorConfig", {})
        if config.get("Mode") != "DISTRIBUTED":
            yield "the map is inline"
        if config.get("ExecutionType") != "STANDARD":
            yield f"items of {name} may run for five minutes only"
        if state.get("ToleratedFailurePercentage", 0) or state.get("ToleratedFailureCount", 0):
            yield "the map tolerates lost batches"
        if not 1 <= (state.get("MaxConcurrency") or 0) <= 10_000:
            yield f"{name} starts everything at once"
        if state.get("ItemReader", {}).get("ReaderConfig") != {"InputType": "JSON"}:
            yield f"{name} reads its list in another form than it was written"
        if state.get("ResultPath", "") is not None:
            yield f"{name} collects what its items return"


def times(plan: Plan) -> Iterator[str]:
    """Everything that works ends in time, and has time enough."""
    whole = plan.definition.get("TimeoutSeconds", 0)
    longest = 0
    for name, state in plan.states():
        if state["Type"] != "Task" or state["Resource"].endswith("sns:publish"):
            continue
        seconds = state.get("TimeoutSeconds", 0)
        longest = max(longest, seconds)
        if not seconds:
            yield f"{name} may hang for ever"
        elif ":ecs:" in state["Resource"] and not SHORTEST_TASK <= seconds <= LONGEST_TASK:
            yield f"{name} has {seconds} s"
        elif state["Resource"].endswith("lambda:invoke"):
            function = next(f for f in plan.functions.values() if f["arn"] == state["Parameters"]["FunctionName"])
            if seconds < function["timeout"]:
                yield f"{name} ends before its function"
    if not longest < whole <= 7 * 24 * 3600:
        yield "the run has no time-out, or a shorter one than its tasks"


def failures(plan: Plan) -> Iterator[str]:
    """Each working state is tried again, and caught; telling leads to Fail, and nothing else ends the machine but Done."""
    states, everything = plan.definition["States"], dict(plan.states())
    for name, state in everything.items():
        if state["Type"] not in WORKING:
            continue
        retries = state.get("Retry", [])
        if state["Type"] == "Task" and not _repeats(retries):
            following = _tries_after(everything, state)
            if following is None or not _repeats(following["Retry"]):
                yield f"{name} is not tried again with growing waits"
        if any(r.get("JitterStrategy") != "FULL" for r in retries if r["MaxAttempts"]):
            yield f"{name} is tried again at the same moment as others"
        if any("States.ALL" in r["ErrorEquals"] for r in retries[:-1]):
            yield f"{name} has retries that are never reached"
        catches = state.get("Catch", [])
        if not catches or catches[-1]["ErrorEquals"] != ["States.ALL"]:
            yield "a state's failure is not caught"
        elif name in states and name != "NotifyFailure" and not all(_tells(states, c["Next"]) for c in catches):
            yield f"nobody is told when {name} fails"
    last = states["NotifyFailure"]
    for following in (last["Next"], *(c["Next"] for c in last["Catch"])):
        if states[_end(states, following)[-1]]["Type"] != "Fail":
            yield "a failed run ends as a success"
    if not states["Failed"].get("CausePath") and not states["Failed"].get("Cause"):
        yield "a failed run does not say why"
    for word in ("$.told.state", "$.told.reason", "$$.Execution.Id"):
        if word not in last["Parameters"]["Message.$"]:
            yield f"the notification does not name {word}"


def _repeats(retries: list[Values]) -> bool:
    """Whether any error is tried again, with growing waits."""
    last = retries[-1] if retries else {}
    return last.get("ErrorEquals") == ["States.ALL"] and 2 <= last.get("MaxAttempts", 3) <= 10 and last.get("BackoffRate", 2) > 1


def _tries_after(states: dict[str, Values], state: Values) -> Values | None:
    """The state that repeats a container's work after its first try, if its failure leads there."""
    judge = states[state["Catch"][-1]["Next"]] if state.get("Catch") else {}
    again = states.get(judge.get("Default", ""), {})
    same = again.get("Parameters", {}).get("Overrides") == state["Parameters"].get("Overrides")
    return again if same and again.get("Resource") == state["Resource"] else None


def _tells(states: dict[str, Values], name: str) -> bool:
    """Whether every way from here reaches NotifyFailure, or another try of a container, which has ways of its own."""
    state = states[name]
    if name == "NotifyFailure" or ":ecs:runTask" in state.get("Resource", ""):
        return True
    following = [state.get("Next"), state.get("Default"), *(c["Next"] for c in state.get("Choices", []) + state.get("Catch", []))]
    return state["Type"] not in ("Fail", "Succeed") and all(_tells(states, f) for f in following if f)


def containers(plan: Plan) -> Iterator[str]:
    """Errors that another try cannot change end a container's work at once; capacity is waited for; the last tries are On-Demand."""
    everything = dict(plan.states())
    for name, state in plan.containers_of_states():
        waits = [_waits(r) for r in state["Retry"] if set(r["ErrorEquals"]) >= NO_CAPACITY]
        spot = any(p["CapacityProvider"] == "FARGATE_SPOT" for p in state["Parameters"]["CapacityProviderStrategy"])
        if not waits or waits[0] < (300 if spot else 1200):
            yield f"{name} does not wait for capacity"
        again = _tries_after(everything, state)
        if again is None:
            if spot:
                yield f"the last tries of {name} are on Spot"
            continue
        judge = everything[state["Catch"][-1]["Next"]]
        for code, hopeless in (
            (2, True),
            (3, True),
            (4, True),
            (5, True),
            (75, True),
            (1, False),
            (6, False),
            (137, False),
            (143, False),
        ):
            for text in (f'{{"Containers":[{{"ExitCode":{code},"Name":"x"}}]}}', f'{{"Containers":[{{"ExitCode":{code}}}]}}'):
                ends = any(_chosen(c, {"failure": {"Cause": text}}) for c in judge["Choices"])
                if ends != hopeless:
                    yield f"{name} with exit code {code} is {'not ' if hopeless else ''}the end"
        if any(_chosen(c, {"failure": {"Error": "States.Timeout"}}) for c in judge["Choices"]):
            yield f"a time-out of {name} is not tried again"


def _waits(retrier: Values) -> float:
    """Seconds that a retrier waits altogether, on average: full jitter halves each wait."""
    each = [retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n for n in range(retrier["MaxAttempts"])]
    return sum(min(s, retrier.get("MaxDelaySeconds", s)) for s in each) / 2


def _chosen(rule: Values, data: Values) -> bool:
    """Whether a choice is taken, for the operators that are used here."""
    if "And" in rule:
        return all(_chosen(r, data) for r in rule["And"])
    if "Or" in rule:
        return any(_chosen(r, data) for r in rule["Or"])
    value: object = data
    for part in rule["Variable"].split(".")[1:]:
        value = value.get(part) if isinstance(value, dict) else None
    if "IsPresent" in rule:
        return (value is not None) == rule["IsPresent"]
    if value is None:
        raise AssertionError(f"{rule['Variable']} is not there: the execution would end without telling anybody")
    return fnmatch.fnmatchcase(str(value), rule["StringMatches"].replace("[", "[[]"))


def _end(states: dict[str, Values], name: str) -> list[str]:
    """The states from ``name`` to the end, following Next (and Default of a choice)."""
    way = [name]
    while (following := states[way[-1]].get("Next") or states[way[-1]].get("Default")) and following not in way:
        way.append(following)
    return way


def order(plan: Plan) -> Iterator[str]:
    """Every state that works is reached, in order, from the start and from the choice that resumes."""
    states = plan.definition["States"]
    way = [s for s in _end(states, plan.definition["StartAt"]) if s in (*LAMBDAS, *TASKS, "ParallelPrediction", "Done")]
    if set(way) != {*LAMBDAS, *TASKS, "ParallelPrediction", "Done"} or way[-1] != "Done":
        yield f"the machine does not do every step: {way}"
    choice = states["ResumeFrom"]
    resumed = {c["StringEquals"] for c in choice["Choices"] if c["Variable"] == "$.next" and c["Next"] == c["StringEquals"]}
    if missing := set(way[1:]) - resumed - {choice["Default"]}:
        yield f"a failed run cannot go on at {sorted(missing)}"
    if states[plan.definition["StartAt"]]["Next"] != "ResumeFrom":
        yield "a failed run begins anew"


def inputs(plan: Plan) -> Iterator[str]:
    """Containers get the variables that a job needs, the execution its own id; only prediction runs on Spot; tags are passed on."""
    required = set(re.findall(r'environ\["(PREDICT_AGE_\w+)"\]', inspect.getsource(Job.from_environment)))
    required -= {"PREDICT_AGE_BUCKET"}  # of the task definition
    required |= {"PREDICT_AGE_ACCEPT"}
    for name, state in plan.containers_of_states():
        if not state["Resource"].endswith(":ecs:runTask.sync"):
            yield f"{name} does not wait for its task"
        parameters = state["Parameters"]
        (override,) = parameters["Overrides"]["ContainerOverrides"]
        given = {e["Name"]: e.get("Value.$") for e in override["Environment"]}
        spot = any(p["CapacityProvider"] == "FARGATE_SPOT" for p in parameters["CapacityProviderStrategy"])
        predicts = override["Command"] == ["aws-task", "predict"]
        for variable in required | ({"PREDICT_AGE_TASK"} if predicts else set()):
            if given.get(variable) != f"$.{variable.removeprefix('PREDICT_AGE_').lower()}":
                yield f"{name} is not given {variable}"
        if spot and not predicts:
            yield f"{name} runs on Spot: what it has done is lost with it"
        if parameters.get("PropagateTags") != "TASK_DEFINITION":
            yield f"the costs of {name} have no tags"
        if parameters["Cluster"] != plan.one("aws_ecs_cluster")["arn"]:
            yield f"{name} runs in another cluster"
        if override["Name"] != plan.container(override["Name"])["name"]:
            yield f"{name} starts another container"
    done = {tuple(s["Parameters"]["Overrides"]["ContainerOverrides"][0]["Command"]) for _, s in plan.containers_of_states()}
    if missing := {("aws-task", command) for command in COMMANDS} ^ done:
        yield f"work that nobody does, or that does not exist: {sorted(missing)}"
    first = plan.definition["States"][plan.definition["StartAt"]]["Parameters"]["Payload"]
    if first != {"request.$": "$", "execution.$": "$$.Execution.Id"}:
        yield "the lease does not name the execution"
    for name, state in plan.definition["States"].items():
        if state.get("Resource", "").endswith("lambda:invoke") and name != plan.definition["StartAt"]:
            if state["Parameters"].get("Payload.$") != "$" or state.get("ResultPath", "") is not None:
                yield f"{name} changes the input of the next states"
            if not any(set(r["ErrorEquals"]) >= HOPELESS and not r["MaxAttempts"] for r in state["Retry"]):
                yield f"{name} repeats errors that another try cannot change"


def logging(plan: Plan) -> Iterator[str]:
    """Errors are logged, what states get is not."""
    (logged,) = plan.one("aws_sfn_state_machine")["logging_configuration"]
    if logged["include_execution_data"]:
        yield "the machine logs what its states get"
    if not all(t["enabled"] for t in plan.one("aws_sfn_state_machine")["tracing_configuration"]):
        yield "executions are not traced"
    if logged["level"] not in {"ERROR", "ALL", "FATAL"}:
        yield "the machine logs nothing"
    if logged["log_destination"] not in {f"{g['arn']}:*" for g in plan.of("aws_cloudwatch_log_group")}:
        yield "the machine logs into a group that does not exist"
    if "${" in json.dumps(plan.definition):
        yield "a name in the definition is not filled in"


def outputs(plan: Plan) -> Iterator[str]:
    """Outputs lead to what they are called, where the plan has them."""
    expected = {
        "state_machine": plan.one("aws_sfn_state_machine")["arn"],
        "bucket": plan.bucket["id"],
        "repository": plan.one("aws_ecr_repository")["repository_url"],
        "workgroup": plan.one("aws_athena_workgroup")["name"],
        "alerts": plan.one("aws_sns_topic")["arn"],
        "dashboard": plan.one("aws_cloudwatch_dashboard")["dashboard_name"],
        "database": next(iter(plan.functions.values()))["environment"][0]["variables"]["PREDICT_AGE_DATABASE"],
    }
    for output in plan.of("output"):
        if output["value"] != expected.get(output["name"], output["value"]):
            yield f"the output {output['name']} is {output['value']}"


RULES = (outputs, shape, times, failures, containers, order, inputs, logging)
