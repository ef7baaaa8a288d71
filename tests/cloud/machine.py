"""Moto's interpreter of state machines, repaired where it says success without having done the work. One test for each repair."""

from __future__ import annotations

import functools
import re
import sys
import threading
import time
import types
import uuid
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.responses import ActionResult
from moto.ecs.models import ecs_backends
from moto.stepfunctions import responses
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import distributed_iteration_component
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_ecs as ecs_service
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory as factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_ecs import StateTaskServiceEcs
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.utils import camel_to_snake_case


class SynchronousEcs(StateTaskServiceEcs):
    """``ecs:runTask.sync`` waits for the process and fails when a container fails; moto's never does."""

    def _eval_sync(self, *, callback_endpoint: Any = None, heartbeat_endpoint: Any = None, **more: Any) -> Any:
        return super()._eval_sync(callback_endpoint=None, heartbeat_endpoint=None, **more)  # else every retry times out

    def _from_error(self, env: Any, ex: Exception) -> Any:
        """A refusal of RunTask has the name that Step Functions gives it; moto's says States.Runtime."""
        if isinstance(ex, ClientError):
            return _failure(self, env, ErrorName(error_name="ECS.AmazonECSException"), str(ex))
        return super()._from_error(env=env, ex=ex)

    def _build_sync_resolver(self, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any) -> Any:
        arn = env.stack[-1]["Tasks"][0]["TaskArn"]
        backend = ecs_backends[resource_runtime_part.account][resource_runtime_part.region]
        task = next(t for tasks in list(backend.tasks.values()) for a, t in list(tasks.items()) if a == arn)
        inner = super()._build_sync_resolver(env, resource_runtime_part, normalised_parameters, state_credentials)

        def resolve() -> Any:
            while env.is_running() and not task.done.wait(0.2):
                pass
            found = inner()
            if found and any(c.get("ExitCode") != 0 for c in found["Containers"]):
                raise _task_failed(self, env, found)
            return found

        return resolve


def _task_failed(service: Any, env: Any, cause: Any) -> FailureEventException:
    name = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
    return FailureEventException(_failure(service, env, name, to_json_str(cause, separators=(",", ":"))))  # as Step Functions does


def _failure(service: Any, env: Any, name: ErrorName, cause: str) -> FailureEvent:
    details = TaskFailedEventDetails(
        resource=service._get_sfn_resource(),
        resourceType=service._get_sfn_resource_type(),
        error=name.error_name,
        cause=cause,
    )
    return FailureEvent(
        env=env,
        error_name=name,
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),
    )


@functools.lru_cache(None)
def _operation(service: str, action: str) -> Any:
    model = botocore.session.get_session().get_service_model(service)
    return next((model.operation_model(n) for n in model.operation_names if camel_to_snake_case(n) == action), None)


def _parameters(self: Any, parameters: Any, boto_service_name: Any = None, service_action_name: Any = None) -> None:
    """Moto leaves PascalCase parameters as they are, so that ECS understands none of them."""
    found = _operation(self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name))
    if found is not None and found.input_shape is not None:
        self._to_boto_request(parameters, found.input_shape)


def _response(self: Any, response: Any, boto_service_name: Any = None, service_action_name: Any = None) -> None:
    found = _operation(self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name))
    if found is not None and found.output_shape is not None:
        self._from_boto_response(response, found.output_shape)


def _strict_map(run: Any) -> Any:
    """A distributed map fails when more children fail than are tolerated; moto's never does."""

    def map_run(self: Any, env: Any, eval_input: Any) -> None:
        run(self, env=env, eval_input=eval_input)
        counts = eval_input.map_run_record.item_counter.describe()
        if counts["failed"] + counts["timedOut"] > 0:  # none is tolerated here
            name = StatesErrorNameType.StatesExceedToleratedFailureThreshold
            said = {"error": name.to_name(), "cause": "The specified tolerated failure threshold was exceeded"}
            raise FailureEventException(
                FailureEvent(
                    env=env,
                    error_name=StatesErrorName(typ=name),
                    event_type=HistoryEventType.MapRunFailed,
                    event_details=EventDetails(mapRunFailedEventDetails=said),
                )
            )

    return map_run


def _validate(self: Any) -> ActionResult:
    """The provider asks for this during plan."""
    try:
        AmazonStateLanguageParser.parse(self._get_param("definition"))
        problems = []
    except Exception as error:
        problems = [{"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": repr(error)[:900], "location": "/"}]
    return ActionResult({"result": "FAIL" if problems else "OK", "diagnostics": problems, "truncated": False})


def _versions(self: Any) -> ActionResult:
    """The provider asks for this after creation."""
    return ActionResult({"stateMachineVersions": []})


def install(endpoint: str, patience: float) -> None:
    """Repair moto; waits between retries take ``patience`` of their time."""
    factory.StateTaskServiceEcs = SynchronousEcs
    ecs_service._SUPPORTED_API_PARAM_BINDINGS["runtask"].add("CapacityProviderStrategy")  # Step Functions takes it; moto drops it
    StateTaskService._normalise_parameters, StateTaskService._normalise_response = _parameters, _response
    lock = threading.Lock()

    @functools.lru_cache(64)
    def client(region: str, service: str) -> Any:
        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id="root",
            aws_secret_access_key="root",
            config=Config(
                parameter_validation=False, retries={"total_max_attempts": 1}, max_pool_connections=64, read_timeout=9999
            ),
        )

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        with lock:
            return client(region, service)

    original = boto_client.boto_client_for
    for module in list(sys.modules.values()):
        if (
            getattr(module, "__name__", "").startswith("moto.stepfunctions")
            and getattr(module, "boto_client_for", None) is original
        ):
            module.boto_client_for = client_for
    retrier_decl.time = types.SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * patience))
    component = distributed_iteration_component.DistributedIterationComponent
    component._map_run = _strict_map(component._map_run)
    parse = AmazonStateLanguageParser.parse
    AmazonStateLanguageParser.parse = staticmethod(  # the grammar wants 5.0 where everybody writes 5
        lambda text: parse(re.sub(r'("ToleratedFailurePercentage"\s*:\s*)(\d+)(?![\d.])', r"\1\2.0", text))
    )
    responses.StepFunctionResponse.validate_state_machine_definition = _validate
    responses.StepFunctionResponse.list_state_machine_versions = _versions
    start = parser_models.StepFunctionsParserBackend.start_execution
    parser_models.StepFunctionsParserBackend.start_execution = lambda self, arn, name=None, *more, **other: start(
        self, arn, name or str(uuid.uuid4()), *more, **other
    )
