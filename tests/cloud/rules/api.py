"""The prediction API is never open, logs no path, reads what it answers from and nothing else, and has the server's routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cloud.rules.plan import Plan
from predict_age.serving.application import Service
from predict_age.serving.routes import Route
from predict_age.serving.served_model import Watch
from predict_age.storage.workspace import Workspace

NOT_SERVED = {"/metrics", "/"}  # metrics of a single process; a page, which no browser can sign a request for
GATEWAY_SECONDS = 30
ONE_VCPU_MB = 1769
LEAST_DISK_MB = 1024
LEAST_SECONDS = 15  # of a function whose first answer loads a model
CALLER = {"AWS_IAM": "$context.identity.userArn", "JWT": "$context.authorizer.claims.sub"}
LOGGED = {  # what an access log may hold beside the caller: nothing of the path, the query, or other claims of a token
    "$context.requestTime",
    "$context.requestId",
    "$context.routeKey",
    "$context.status",
    "$context.responseLength",
    "$context.responseLatency",
    "$context.error.responseType",
}
ENVIRONMENT = {
    "PREDICT_AGE_PREFIX": "predict-age",
    "PREDICT_AGE_KERNELS": "/app/kernels",
    "PREDICT_AGE_SCRATCH": "/tmp",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
}


def server_routes() -> dict[str, str]:
    """The routes of `predict-age serve` as the gateway names them, with their scopes."""
    found: dict[str, str] = {}
    for route in Service(Watch(Workspace(Path("nowhere")), print), None).routes:
        if route.path not in NOT_SERVED:
            found |= dict.fromkeys(_names(route), route.scope)
    return found


def _names(route: Route) -> list[str]:
    if route.path == "/v2/models/":
        return ["GET /v2/models/{model}", "GET /v2/models/{model}/ready"]
    return [f"{route.method} {route.path}{'{pid}' if route.path.endswith('/') else ''}"]


def doors(plan: Plan) -> Iterator[str]:
    """Every route of the server is there, and none without a signature or a token with its scope."""
    routes = {r["route_key"]: r for r in plan.of("aws_apigatewayv2_route")}
    served = server_routes()
    if missing := set(served) ^ set(routes):
        yield f"routes of the API and of the server differ: {sorted(missing)}"
    authorizers = {a["id"]: a for a in plan.of("aws_apigatewayv2_authorizer")}
    for name, route in routes.items():
        if route["authorization_type"] == "JWT":
            found = authorizers.get(route["authorizer_id"])
            if found is None or found["authorizer_type"] != "JWT":
                yield f"the token for {name} is looked at by nobody"
            scope = served.get(name, "")
            wanted = {scope} if scope else {"predict", "people"}
            if {s.rpartition("/")[2] for s in route["authorization_scopes"] or []} != wanted:
                yield f"a token with another scope opens {name}"
        elif route["authorization_type"] != "AWS_IAM":
            yield f"{name} is open to everybody"
    for authorizer in authorizers.values():
        (jwt,) = authorizer["jwt_configuration"]
        if authorizer["identity_sources"] != ["$request.header.Authorization"]:
            yield "tokens are taken from where logs keep them"
        if not jwt["audience"] or not str(jwt["issuer"]).startswith("https://"):
            yield "tokens of any issuer, or for anybody, are taken"
    for gateway in plan.of("aws_apigatewayv2_api"):
        if gateway["protocol_type"] != "HTTP" or gateway["cors_configuration"]:
            yield "pages of other sites may ask the API"
        if gateway["disable_execute_api_endpoint"]:
            yield "the API has no address"


def gateway(plan: Plan) -> Iterator[str]:
    """The gateway hands events of payload format 2.0 to the function, limits requests, and its log names no path."""
    function = plan.api
    assert function is not None
    (integration,) = plan.of("aws_apigatewayv2_integration")
    if (integration["integration_type"], integration["payload_format_version"]) != ("AWS_PROXY", "2.0"):
        yield "the function gets events that it does not read"
    if integration["integration_uri"] != function["invoke_arn"]:
        yield "the gateway asks another function"
    if integration["timeout_milliseconds"] < function["timeout"] * 1000:
        yield "the gateway gives up before the function does"
    (stage,) = plan.of("aws_apigatewayv2_stage")
    if (stage["name"], stage["auto_deploy"]) != ("$default", True):
        yield "routes are not served where the documentation has them"
    (limits,) = stage["default_route_settings"] or [{}]
    if not 0 < (limits.get("throttling_rate_limit") or 0) <= 10_000 or not 0 < (limits.get("throttling_burst_limit") or 0) <= 5000:
        yield "requests to the API are not limited"
    groups = {g["arn"] for g in plan.of("aws_cloudwatch_log_group") if g["name"].startswith("/aws/apigateway/")}
    (log,) = stage["access_log_settings"] or [{"destination_arn": "", "format": ""}]
    if log["destination_arn"] not in groups:
        yield "the API has no access log"
    (how,) = {r["authorization_type"] for r in plan.of("aws_apigatewayv2_route")} & set(CALLER) or {""}
    logged = set(re.findall(r"\$context[\w.]*", log["format"]))
    if CALLER.get(how) not in logged:
        yield "the access log does not say who asked"
    if more := logged - LOGGED - {CALLER.get(how)}:
        yield f"the access log may name people: {sorted(more)}"
    (permission,) = plan.of("aws_lambda_permission")
    (api,) = plan.of("aws_apigatewayv2_api")
    if permission["action"] != "lambda:InvokeFunction" or permission["function_name"] != function["function_name"]:
        yield "the API may not call its function"
    if permission["principal"] != "apigateway.amazonaws.com" or permission["source_arn"] != f"{api['execution_arn']}/*":
        yield "others than the API may call its function"


def function(plan: Plan) -> Iterator[str]:
    """The function is the tasks' image with another command, in its own role, and gives up before the gateway does."""
    found = plan.api
    assert found is not None
    if found["image_uri"] != plan.container("training")["image"] or found["package_type"] != "Image":
        yield "the API does not run the image of the tasks"
    if [c["command"] for c in found["image_config"]] != [["aws-api"]]:
        yield "the API's container does something else"
    if found["role"] != plan.roles["api"]["arn"]:
        yield "the API works with another's role"
    if not LEAST_SECONDS <= found["timeout"] < GATEWAY_SECONDS:
        yield "the API gives up too early, or answers when nobody waits any longer"
    if found["memory_size"] < ONE_VCPU_MB:
        yield "the API has less than one vCPU"
    if not 1 <= (found["reserved_concurrent_executions"] or 0) <= 1000:
        yield "the API may take all functions of the account"
    env = found["environment"][0]["variables"]
    arm = found["architectures"] == ["arm64"]
    processor = ("neoverse-n1", "+neon") if arm else ("haswell", "+avx2")  # the image has machine code for these
    if (env.get("NUMBA_CPU_NAME"), env.get("NUMBA_CPU_FEATURES")) != processor:
        yield "the API compiles its kernels at each start"
    blas = "NEOVERSEN1" if arm else "Haswell"  # the tasks' instructions and no threads: the same last digits
    if (env.get("OPENBLAS_CORETYPE"), env.get("OPENBLAS_NUM_THREADS")) != (blas, "1"):
        yield "the API computes other last digits than the tasks"
    if found["ephemeral_storage"][0]["size"] < LEAST_DISK_MB:
        yield "the API has too little disk for a model"
    for name, value in {**ENVIRONMENT, "PREDICT_AGE_BUCKET": plan.bucket["id"]}.items():
        if env.get(name) != value:
            yield f"the API has {name} = {env.get(name)}"
    if set(found["architectures"]) != {
        "arm64" if t["runtime_platform"][0]["cpu_architecture"] == "ARM64" else "x86_64" for t in plan.tasks.values()
    }:
        yield "the API runs on a processor that the image is not built for"
    (log,) = [g for g in plan.of("aws_cloudwatch_log_group") if g["name"] == f"/aws/lambda/{found['function_name']}"]
    if not plan.may("api", "logs:PutLogEvents", f"{log['arn']}:x"):
        yield "the API cannot log"
    (policy,) = plan.of("aws_ecr_repository_policy")
    (statement,) = json.loads(policy["policy"])["Statement"]
    sources = statement.get("Condition", {}).get("StringLike", {}).get("aws:SourceArn", "")
    if statement["Principal"] != {"Service": "lambda.amazonaws.com"} or not sources.endswith(f":function:{found['function_name']}"):
        yield "others may pull the image"
    if set(statement["Action"]) != {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}:
        yield "Lambda may do more with images than pull them"


def listing(plan: Plan) -> Iterator[str]:
    """The API may ask whether an object of the workspace is there, and list nothing else of the bucket."""
    bucket = plan.bucket["arn"]
    for prefix, may in (("predict-age/suppression/list.json", True), ("source/", False), ("", False), ("predict-age", False)):
        if plan.may("api", "s3:ListBucket", bucket, **{"s3:prefix": prefix}) != may:
            yield f"the API may{' not' if may else ''} list {prefix or 'everything'}"
    if plan.may("api", "s3:ListBucket", bucket):
        yield "the API may list the bucket"


def api(plan: Plan) -> Iterator[str]:
    """All of it, where there is such an API."""
    if plan.api is not None:
        for rule in (doors, gateway, function, listing):
            yield from rule(plan)
    elif plan.of("aws_apigatewayv2_api"):
        yield "the API has no function"


RULES = (api,)
