"""The state machine, made from the order of the steps: ``python -m predict_age.aws.state_machine > terraform/state_machine.json``.

Terraform fills in the names in ``${...}``. A test compares the file with what this module makes.

Every state may be entered again: a step with a record is not done twice. An execution that is started with the event of a
failed one therefore continues where that one stopped, and ``ResumeFrom`` starts no containers for finished steps.

A container that fails is tried again on On-Demand capacity, three times, unless its exit code says that another try cannot change
anything. Where capacity is missing, its start is tried for many minutes. A container that fails leaves the reason in an
object: its text is the reason in the notification.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from predict_age.errors import BusyError, ConfigError, InputError, IntegrityError, QualityError
from predict_age.step import STEPS

State = dict[str, Any]

LAMBDAS = {
    "PreCleanup": "pre_cleanup",
    "BatchGenerator": "batch_generator",
    "CreatePredictionsTable": "create_predictions_table",
    "HumanQA": "human_qa",
    "FinalResults": "final_results",
    "PostCleanup": "post_cleanup",
}
TASKS = {"Training": ("training", "train"), "CollectPredictions": ("collect", "collect"), "Report": ("report", "report")}
AFTER = {"ParallelPrediction": "CollectPredictions", "FinalResults": "Report"}  # states that need more than a function can have
NOT_RETRIED = ["ConfigError", "InputError", "IntegrityError", "QualityError", "BusyError", "LeaseLostError"]
HOPELESS_EXIT_CODES = sorted({error.exit_code for error in (ConfigError, InputError, IntegrityError, QualityError, BusyError)})
CAPACITY_ERRORS = [  # of RunTask: no capacity, a quota that is used up, too many calls; "Unknown": "failures" in its reply
    "ECS.AmazonECSException",
    "AmazonECS.Unknown",
    "ECS.ClientException",
    "ECS.ServerException",
    "ECS.ServiceException",
    "ECS.SdkClientException",
    "ECS.ThrottlingException",
]
SPOT_STARTS, ON_DEMAND_STARTS = 8, 20  # tries to start: about ten and forty minutes
TASK_SECONDS, FUNCTION_SECONDS, RUN_SECONDS = 4 * 3600, 960, 12 * 3600  # functions end after 900 s themselves, and say so


def order() -> list[str]:
    """Names of the states that do work, in their order."""
    states: list[str] = []
    for name in dict.fromkeys(s.state for s in STEPS):
        states.append(name)
        if name in AFTER:
            states.append(AFTER[name])
    return states


def _again(fail_fast: bool) -> list[State]:
    """Three more tries with growing, random waits; none for errors that another try cannot change."""
    retry: State = {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 5,
        "MaxAttempts": 3,
        "BackoffRate": 2.0,
        "MaxDelaySeconds": 120,
        "JitterStrategy": "FULL",
    }
    return [{"ErrorEquals": NOT_RETRIED, "MaxAttempts": 0}, retry] if fail_fast else [retry]


def _capacity(starts: int) -> State:
    """Wait for capacity: minutes, not seconds."""
    return {
        "ErrorEquals": CAPACITY_ERRORS,
        "IntervalSeconds": 30,
        "MaxAttempts": starts,
        "BackoffRate": 1.5,
        "MaxDelaySeconds": 300,
        "JitterStrategy": "FULL",
    }


def _catch(following: str) -> list[State]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": following}]


def _function(name: str) -> State:
    state: State = {
        "Type": "Task",
        "Resource": "arn:${partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": f"${{{LAMBDAS[name]}_function}}"},
        "TimeoutSeconds": FUNCTION_SECONDS,
        "Retry": _again(fail_fast=True),
        "Catch": _catch(f"{name}Failed"),
    }
    if name == "PreCleanup":
        state["Parameters"]["Payload"] = {"request.$": "$", "execution.$": "$$.Execution.Id"}
        state["OutputPath"] = "$.Payload"
    else:
        state["Parameters"]["Payload.$"] = "$"
        state["ResultPath"] = None
    return state


def _container(family: str, command: list[str], spot: bool, environment: list[State], retry: list[State]) -> State:
    providers = [{"CapacityProvider": "FARGATE_SPOT", "Weight": 4}] if spot else []
    variables = [
        {"Name": "PREDICT_AGE_RUN_ID", "Value.$": "$.run_id"},
        {"Name": "PREDICT_AGE_TOKEN", "Value.$": "$.token"},
        {"Name": "PREDICT_AGE_ACCEPT", "Value.$": "$.accept"},
        *environment,
    ]
    return {
        "Type": "Task",
        "Resource": "arn:${partition}:states:::ecs:runTask.sync",
        "Parameters": {
            "Cluster": "${cluster}",
            "TaskDefinition": f"${{{family}_task}}",
            "PropagateTags": "TASK_DEFINITION",
            "CapacityProviderStrategy": [*providers, {"CapacityProvider": "FARGATE", "Weight": 1}],
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "Subnets": "${subnets}",
                    "SecurityGroups": ["${security_group}"],
                    "AssignPublicIp": "DISABLED",
                }
            },
            "Overrides": {"ContainerOverrides": [{"Name": family, "Command": command, "Environment": variables}]},
        },
        "TimeoutSeconds": TASK_SECONDS,
        "Retry": retry,
    }


def _tries(
    name: str, family: str, command: str, spot: bool, environment: list[State], done: State, failed: str
) -> dict[str, State]:
    """States of a container: the first try, what its exit code means, and the other tries, on On-Demand capacity.

    ``done`` is added to both tries; a failure ends in the state ``failed``.
    """
    work = ["aws-task", command]
    first, again = [_capacity(SPOT_STARTS if spot else ON_DEMAND_STARTS)], [_capacity(ON_DEMAND_STARTS), *_again(fail_fast=False)]
    again[-1]["MaxAttempts"] = 2  # after the first try and the first one here: four in all
    patterns = [f'*"ExitCode":{code}{end}*' for code in HOPELESS_EXIT_CODES for end in (",", "}")]
    matches = [{"Variable": "$.failure.Cause", "StringMatches": pattern} for pattern in patterns]
    return {
        name: {**_container(family, work, spot, environment, first), **done, "Catch": _catch(f"{name}Judged")},
        f"{name}Judged": {
            "Type": "Choice",
            "Choices": [{"And": [{"Variable": "$.failure.Cause", "IsPresent": True}, {"Or": matches}], "Next": failed}],
            "Default": f"{name}Again",
        },
        f"{name}Again": {**_container(family, work, False, environment, again), **done, "Catch": _catch(failed)},
    }


def _map() -> State:
    """Distributed map: an inline one stops at 40 at a time and at 25,000 events. Its items run on Spot first."""
    item = [{"Name": "PREDICT_AGE_TASK", "Value.$": "$.task"}]
    done = {"ResultSelector": {"done": True}, "End": True}
    tries = _tries("PredictBatches", "prediction", "predict", True, item, done, "BatchesFailed")
    failed = {"Type": "Fail", "Error": "BatchesFailed", "CausePath": "$.failure.Cause"}
    return {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:${partition}:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": "${bucket}", "Key.$": "States.Format('${prefix}/runs/{}/tasks.json', $.run_id)"},
        },
        "ItemSelector": {
            "task.$": "$$.Map.Item.Value.task",
            "run_id.$": "$.run_id",
            "token.$": "$.token",
            "accept.$": "$.accept",
        },
        "MaxConcurrency": "${max_concurrency}",
        "ToleratedFailurePercentage": 0,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "PredictBatches",
            "States": {**tries, "BatchesFailed": failed},
        },
        "ResultPath": None,
        "Catch": _catch("ParallelPredictionFailed"),
    }


def _failed(name: str) -> State:
    """Note which state failed and why. The error of a function says it all; the text of a container lies in an object."""
    return {
        "Type": "Pass",
        "Parameters": {"state": name, "error.$": "$.failure.Error", "reason.$": "States.JsonToString($.failure)"},
        "ResultPath": "$.told",
        "Next": "CauseGiven" if name in LAMBDAS else "ReadReason",
    }


def _telling() -> dict[str, State]:
    """States that tell people: take the error of a function or the text that a container left, if there is one, and send it."""
    cause: State = {"Variable": "$.failure.Cause"}
    return {
        "CauseGiven": {  # a time-out of the state has no cause, or an empty one
            "Type": "Choice",
            "Choices": [{"And": [{**cause, "IsPresent": True}, {"Not": {**cause, "StringEquals": ""}}], "Next": "CauseRead"}],
            "Default": "NotifyFailure",
        },
        "CauseRead": {
            "Type": "Pass",
            "Parameters": {"state.$": "$.told.state", "error.$": "$.told.error", "reason.$": "$.failure.Cause"},
            "ResultPath": "$.told",
            "Next": "NotifyFailure",
        },
        "ReadReason": {
            "Type": "Task",
            "Resource": "arn:${partition}:states:::aws-sdk:s3:getObject",
            "Parameters": {
                "Bucket": "${bucket}",
                "Key.$": "States.Format('${prefix}/runs/{}/failures/{}.txt', $.run_id, $.token)",
            },
            "ResultSelector": {"text.$": "$.Body"},
            "ResultPath": "$.left",
            "TimeoutSeconds": 60,
            "Retry": _again(fail_fast=False),
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "NotifyFailure"}],
            "Next": "ReasonRead",
        },
        "ReasonRead": {
            "Type": "Pass",
            "Parameters": {"state.$": "$.told.state", "error.$": "$.told.error", "reason.$": "$.left.text"},
            "ResultPath": "$.told",
            "Next": "NotifyFailure",
        },
        "NotifyFailure": {
            "Type": "Task",
            "Resource": "arn:${partition}:states:::sns:publish",
            "Parameters": {
                "TopicArn": "${topic}",
                "Subject.$": "States.Format('predict-age: {} failed', $.told.state)",
                "Message.$": "States.Format('The state {} failed: {}\n\n{}\n\nMend what is named there and start the "
                "execution again with the same input, or redrive it: finished work is kept.\n\nExecution {}', "
                "$.told.state, $.told.error, $.told.reason, $$.Execution.Id)",
            },
            "ResultPath": None,
            "TimeoutSeconds": 60,
            "Retry": _again(fail_fast=False),
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Failed"}],
            "Next": "Failed",
        },
    }


def definition() -> State:
    """The state machine in Amazon States Language."""
    states: dict[str, State] = {}
    names = order()
    for name, following in zip(names, [*names[1:], "Done"], strict=True):
        if name in TASKS:
            family, command = TASKS[name]
            done = {"ResultPath": None, "Next": following}
            states |= _tries(name, family, command, False, [], done, f"{name}Failed")
        else:
            state = _function(name) if name in LAMBDAS else _map()
            states[name] = {**state, "Next": "ResumeFrom" if name == names[0] else following}
        states[f"{name}Failed"] = _failed(name)
    states["ResumeFrom"] = {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.next", "StringEquals": "Done", "Next": "Done"},
            *[{"Variable": "$.next", "StringEquals": name, "Next": name} for name in names[2:]],
        ],
        "Default": names[1],
    }
    states |= _telling()
    states["Failed"] = {"Type": "Fail", "Error": "RunFailed", "CausePath": "$.told.reason"}
    states["Done"] = {"Type": "Succeed"}
    return {
        "Comment": "predict-age: generated by predict_age.aws.state_machine from the order of the steps",
        "StartAt": names[0],
        "TimeoutSeconds": RUN_SECONDS,
        "States": states,
    }


def terraform_template() -> str:
    """Template for Terraform: JSON, but for the placeholders of numbers and lists."""
    template = json.dumps(definition(), indent=2) + "\n"
    for place in ("max_concurrency", "subnets"):
        template = template.replace(f'"${{{place}}}"', f"${{{place}}}")
    return template


if __name__ == "__main__":
    sys.stdout.write(terraform_template())
