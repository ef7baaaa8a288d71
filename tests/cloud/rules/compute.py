"""Containers and functions have what their work needs, and no more rights than it needs; the cost plan knows their size."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from cloud.rules.plan import Plan, Values
from predict_age.aws.cost_plan import Fleet
from predict_age.aws.state_machine import LAMBDAS, TASKS

ROOT = Path(__file__).parents[3]
LAMBDA_CODE = ROOT / "src" / "predict_age" / "aws" / "lambdas"
GIB_A_VCPU = 4  # every vCPU has a worker with model and rows
DISK_GIB = {"training": Fleet().training_disk_gib, "prediction": Fleet().prediction_disk_gib}
SPOT_NOTICE_SECONDS = 120
ATHENA_FUNCTIONS = {"human_qa", "final_results"}  # they wait for statements over all rows
LONGEST_FUNCTION = 900


def containers(plan: Plan) -> Iterator[str]:
    """A container runs a named image as nobody, writes to its scratch disk only, logs, and is told before it is stopped."""
    if set(plan.tasks) != {"prediction", *(family for family, _ in TASKS.values())}:
        yield "there is not one task for each state that needs one"
    groups = {g["name"] for g in plan.of("aws_cloudwatch_log_group")}
    for name in plan.tasks:
        container = plan.container(name)
        if not re.search(r"@sha256:[0-9a-f]{64}$", container["image"]):
            yield "an image is not named by its digest"
        if container.get("user", "0").split(":")[0] in ("", "0", "root"):
            yield "a container runs as root"
        if not container.get("readonlyRootFilesystem"):
            yield "a container may write its own file system"
        if container.get("privileged"):
            yield "a container is privileged"
        linux = container.get("linuxParameters", {})
        if linux.get("capabilities", {}).get("drop") != ["ALL"] or linux.get("capabilities", {}).get("add"):
            yield "a container keeps capabilities"
        if not linux.get("initProcessEnabled"):
            yield "a container's first process passes no signal on"
        if not SPOT_NOTICE_SECONDS / 2 <= container.get("stopTimeout", 30) <= SPOT_NOTICE_SECONDS:
            yield "a container has no time to stop when Spot takes it back"
        log = container["logConfiguration"]
        if log["logDriver"] != "awslogs" or log["options"]["awslogs-group"] not in groups:
            yield f"{name} logs into a group that does not exist"
        if log["options"]["awslogs-region"] != plan.one("aws_ecs_cluster")["arn"].split(":")[3]:
            yield f"{name} logs into another region"
        if [m["containerPath"] for m in container["mountPoints"] if not m["readOnly"]] != ["/scratch"]:
            yield f"{name} has nowhere to write"


def sizes(plan: Plan) -> Iterator[str]:
    """Processors, memory and disk suffice, and are those that the cost plan counts with."""
    fleet = Fleet()
    planned = {"training": (fleet.training_vcpu, fleet.training_gib), "prediction": (fleet.prediction_vcpu, fleet.prediction_gib)}
    for name, task in plan.tasks.items():
        vcpu, gib = int(task["cpu"]) / 1024, int(task["memory"]) / 1024
        if vcpu < 1 or gib < GIB_A_VCPU * vcpu:
            yield f"{name} has too little memory"
        if (vcpu, gib) != planned.get(name, (1, 4)):
            yield f"{name} is not the size that the cost plan counts with"
        if task["ephemeral_storage"][0]["size_in_gib"] != DISK_GIB.get(name, fleet.helper_disk_gib):
            yield f"{name} has another disk than the cost plan counts with"
        platform = task["runtime_platform"][0]
        if (platform["operating_system_family"], platform["cpu_architecture"]) != ("LINUX", "X86_64"):
            yield f"{name} runs on a processor that the image is not built for"
    for name, state in plan.containers_of_states():
        task = next(t for t in plan.tasks.values() if t["arn"] == state["Parameters"]["TaskDefinition"])
        vcpu, gib = int(task["cpu"]) / 1024, int(task["memory"]) / 1024
        family = task["address"].rpartition('["')[2].rstrip('"]')
        env = environment(plan, family)
        weights = {p["CapacityProvider"]: p.get("Weight", 0) for p in state["Parameters"]["CapacityProviderStrategy"]}
        spot = weights.get("FARGATE_SPOT", 0) / sum(weights.values())
        if (float(env["PREDICT_AGE_VCPU"]), float(env["PREDICT_AGE_GIB"])) != (vcpu, gib):
            yield f"{name} notes another size than it has"
        if "prediction" in family and spot not in (0, fleet.spot_weight):
            yield f"{name} has another share of Spot than the cost plan counts with"
        if "prediction" in family and float(env["PREDICT_AGE_SPOT"]) != fleet.spot_weight:
            yield f"{name} notes another share of Spot than the cost plan counts with"
    maps = [s for _, s in plan.states() if s["Type"] == "Map"]
    if [m.get("MaxConcurrency") for m in maps] != [fleet.max_concurrency]:
        yield "the map's concurrency is not the one that the cost plan counts with"
    batches = {e["variables"]["PREDICT_AGE_BATCHES_PER_TASK"] for f in plan.functions.values() for e in f["environment"]}
    if batches != {str(fleet.batches_per_task)}:
        yield "tasks do not do as many batches as the cost plan counts with"


def environment(plan: Plan, task: str) -> dict[str, str]:
    """Variables of a container."""
    return {e["name"]: e["value"] for e in plan.container(task)["environment"]}


def variables(plan: Plan) -> Iterator[str]:
    """Containers and functions know their workspace, and every variable that the code reads is given."""
    place = {"PREDICT_AGE_BUCKET": plan.bucket["id"], "PREDICT_AGE_PREFIX": "predict-age"}
    for name in plan.tasks:
        env = environment(plan, name)
        expected = {**place, "PREDICT_AGE_SCRATCH": "/scratch", "TMPDIR": "/scratch", "OPENBLAS_CORETYPE": "Haswell"}
        for variable, value in expected.items():
            if env.get(variable) != value:
                yield f"{name} has {variable} = {env.get(variable)}"
    read = {v for p in LAMBDA_CODE.glob("*.py") for v in re.findall(r'environ(?:\.get\(|\[)"(PREDICT_AGE_\w+)"', p.read_text())}
    read |= set(re.findall(r'env(?:\.get\(|\[)"(PREDICT_AGE_\w+)"', (LAMBDA_CODE / "runtime.py").read_text()))
    database = next((d["name"] for d in plan.of("aws_glue_catalog_database")), None)
    expected = {**place, "PREDICT_AGE_WORKGROUP": plan.one("aws_athena_workgroup")["name"]}
    for name, function in plan.functions.items():
        env = function["environment"][0]["variables"]
        if unset := read - set(env):
            yield f"{name} is not given {sorted(unset)}"
        if unread := set(env) - read:
            yield f"{name} is given {sorted(unread)}, which nothing reads"
        for variable, value in expected.items():
            if env.get(variable) != value:
                yield f"{name} has {variable} = {env.get(variable)}"
        if database and env["PREDICT_AGE_DATABASE"] != database:
            yield f"{name} works in another database"


def functions(plan: Plan) -> Iterator[str]:
    """Every function has a handler that exists, memory and time for its work, a log group and traces."""
    if set(plan.functions) != set(LAMBDAS.values()):
        yield "there is not one function for each state that needs one"
    groups = {g["name"] for g in plan.of("aws_cloudwatch_log_group")}
    for name, function in plan.functions.items():
        module, _, handler = function["handler"].rpartition(".")
        if not hasattr(getattr(importlib.import_module(module), handler, None), "__wrapped__"):  # by the decorator of handlers
            yield f"{function['handler']} does not exist"
        if f"/aws/lambda/{function['function_name']}" not in groups:
            yield f"{name} logs into a group that does not exist"
        waits = name in ATHENA_FUNCTIONS
        if function["timeout"] < (LONGEST_FUNCTION if waits else 120):
            yield f"{name} has too little time"
        if function["memory_size"] < (1024 if waits else 256):
            yield f"{name} has too little memory"
        if not re.fullmatch(r"python3\.1[1-9]", function["runtime"]):
            yield f"{name} runs on {function['runtime']}"
        if [t["mode"] for t in function["tracing_config"]] != ["Active"]:
            yield f"{name} is not traced"
        if function["filename"] is None:
            yield f"{name} has no package"


def capacity(plan: Plan) -> Iterator[str]:
    """The cluster has each provider of capacity that a state asks for."""
    if {"name": "containerInsights", "value": "enabled"} not in plan.one("aws_ecs_cluster")["setting"]:
        yield "the dashboard shows no processor time and memory of tasks"
    has = set(plan.one("aws_ecs_cluster_capacity_providers")["capacity_providers"])
    for name, state in plan.containers_of_states():
        if missing := {p["CapacityProvider"] for p in state["Parameters"]["CapacityProviderStrategy"]} - has:
            yield f"the cluster has no {', '.join(sorted(missing))}, which {name} asks for"


RULES = (capacity, containers, sizes, variables, functions)


def image_problems(dockerfile: str, ignored: str, user: str) -> Iterator[str]:
    """Problems of the image: ``user`` is the one that task definitions name."""
    lines = [line.strip() for line in re.sub(r"\\\n", " ", dockerfile).splitlines() if line.strip() and not line.startswith("#")]
    words: Values = {}
    for line in lines:
        words.setdefault(line.split()[0], []).append(line)
    base = words["FROM"][-1].split()[1]
    if not re.fullmatch(r"python:3\.1[1-9]-slim(@sha256:[0-9a-f]{64})?", base):
        yield f"the base image is {base}"
    if [u.split()[1] for u in words.get("USER", [])][-1:] != [user]:
        yield "the image does not run as the tasks' user"
    installs = [line for line in words["RUN"] if "pip install" in line]
    if not installs or not all("--require-hashes" in line and re.search(r"-r requirements-aws\.txt\b", line) for line in installs):
        yield "packages are not the locked ones"
    if not any(re.search(r"apt-get install\b.*\blibgomp1\b", line) for line in words["RUN"]):
        yield "LightGBM and XGBoost find no OpenMP"
    if not any(re.search(rf"chown {user} /scratch\b", line) for line in words["RUN"]):
        yield "the tasks' user may not write to /scratch"
    if words.get("VOLUME") != ["VOLUME /scratch"]:
        yield "Fargate's disk belongs to root: it takes over the owner of a folder that the image declares as a volume"
    variables = dict(re.findall(r"(\w+)=(\S+)", " ".join(words.get("ENV", []))))
    for name in ("HOME", "TMPDIR", "PREDICT_AGE_SCRATCH"):
        if variables.get(name) != "/scratch":
            yield f"{name} is a folder that cannot be written"
    (folder,) = [line.split()[1] for line in words.get("WORKDIR", ["WORKDIR /"])[-1:]]
    sources = [line.split()[2] for line in words["COPY"] if line.split()[1] == "src"]
    if [f"{folder}/{place.removeprefix('./')}" for place in sources] != [variables.get("PYTHONPATH")]:
        yield "the image does not find its code"
    if words.get("ENTRYPOINT") != ['ENTRYPOINT ["python", "-m", "predict_age"]']:
        yield "the entry point is not the program itself: a shell passes no signal on"
    for copied in words["COPY"]:
        if copied.split()[1] in {".", "./"}:
            yield "the image holds the whole folder"
    rules = [r for r in ignored.split() if not r.startswith("#")]
    if rules[:1] != ["*"] or not set(rules[1:]) <= {"!src", "!requirements-aws.txt", "**/__pycache__"}:
        yield "the build is sent more than it needs"
    built = next((line for line in words["RUN"] if "predict_age.aws.built_kernels /app/kernels" in line), "")
    for processor in ("NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2", "NUMBA_CPU_NAME=neoverse-n1 NUMBA_CPU_FEATURES=+neon"):
        if processor not in built:
            yield "the image holds no machine code for the processor of the prediction API"
    if dockerfile.find("COPY src") < dockerfile.find("pip install"):
        yield "each change of the code installs all packages again"
