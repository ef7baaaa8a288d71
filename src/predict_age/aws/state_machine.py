"""The state machine, made from the order of the steps: ``python -m predict_age.aws.state_machine > terraform/state_machine.json``.

Terraform fills in the names in ``${...}``. A test compares the file with what this module makes.

Every state may be entered again: a step with a record is not done twice. An execution that is started with the event of a
failed one therefore continues where that one stopped, and ``ResumeFrom`` starts no containers for finished steps.
"""

from __future__ import annotations

import json
import sys
from typing import Any

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
TASK_SECONDS, FUNCTION_SECONDS, RUN_SECONDS = 4 * 3600, 900, 12 * 3600


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


CATCH = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "NotifyFailure"}]


def _function(name: str) -> State:
    state: State = {
        "Type": "Task",
        "Resource": "arn:${partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": f"${{{LAMBDAS[name]}_function}}"},
        "TimeoutSeconds": FUNCTION_SECONDS,
        "Retry": _again(fail_fast=True),
        "Catch": CATCH,
    }
    if name == "PreCleanup":
        state["Parameters"]["Payload"] = {"request.$": "$", "execution.$": "$$.Execution.Id"}
        state["OutputPath"] = "$.Payload"
    else:
        state["Parameters"]["Payload.$"] = "$"
        state["ResultPath"] = None
    return state


def _container(family: str, command: list[str], spot: bool, environment: list[State]) -> State:
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
        "Retry": _again(fail_fast=False),
    }


def _map() -> State:
    """Distributed map: an inline one stops at 40 at a time and at 25,000 events."""
    task = _container(
        "prediction", ["aws-task", "predict"], spot=True, environment=[{"Name": "PREDICT_AGE_TASK", "Value.$": "$.task"}]
    )
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
            "States": {"PredictBatches": {**task, "ResultSelector": {"done": True}, "End": True}},
        },
        "ResultPath": None,
        "Catch": CATCH,
    }


def definition() -> State:
    """The state machine in Amazon States Language."""
    states: dict[str, State] = {}
    names = order()
    for name, following in zip(names, [*names[1:], "Done"], strict=True):
        if name in LAMBDAS:
            state = _function(name)
        elif name in TASKS:
            family, command = TASKS[name]
            state = {**_container(family, ["aws-task", command], False, []), "ResultPath": None, "Catch": CATCH}
        else:
            state = _map()
        states[name] = {**state, "Next": "ResumeFrom" if name == names[0] else following}
    states["ResumeFrom"] = {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.next", "StringEquals": "Done", "Next": "Done"},
            *[{"Variable": "$.next", "StringEquals": name, "Next": name} for name in names[2:]],
        ],
        "Default": names[1],
    }
    states["NotifyFailure"] = {
        "Type": "Task",
        "Resource": "arn:${partition}:states:::sns:publish",
        "Parameters": {
            "TopicArn": "${topic}",
            "Subject": "predict-age: the run failed",
            "Message.$": "States.Format('Execution {} failed with {}. See Step Functions for the cause; start it again with the "
            "same input, or redrive it: finished work is kept.', $$.Execution.Id, $.failure.Error)",
        },
        "ResultPath": None,
        "Retry": _again(fail_fast=False),
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Failed"}],
        "Next": "Failed",
    }
    states["Failed"] = {"Type": "Fail", "Error": "RunFailed", "CausePath": "$.failure.Cause"}
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
