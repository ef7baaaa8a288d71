"""Cost of a run on AWS: tasks, minutes, bytes, quotas, dollars by service; estimated before it, and counted from its records.

Every rate is measured on the machine that docs/performance.md names. A Fargate vCPU is one hardware thread of unknown make, so a
vCPU counts as ``CORES_PER_VCPU`` of a measured core. Correct the rates here after the first real run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import ceil

from predict_age.aws.prices import PRICES, Prices
from predict_age.config import TrainingConfig
from predict_age.pipeline.estimate import PREDICTION_BYTES_A_ROW, Estimate, estimate
from predict_age.pipeline.measured_speeds import CONVERT_RATE, READ_RATE, prediction_rate
from predict_age.runs.run import RunPlan
from predict_age.tally import percent

CORES_PER_VCPU = 0.6
TASK_START_SECONDS = 60.0  # a task: image, interpreter, model
TRAIN_SECONDS_A_ROW = 165 / 1_000_000
PEOPLE_BYTES, QA_BYTES, RESULT_BYTES = 14, 22, 26  # a row, in the Parquet that Athena reads and writes
WORKING_COPY_BYTES = 200  # a row of text (1.6 kB of JSON) as Parquet: the converted source, which workers read
UPLOAD_BYTES_A_SECOND = 100e6  # of a task, one file after another: an assumption
HOURS_A_MONTH = 730
KMS_KEYS, ALARM_METRICS, OWN_METRICS, DASHBOARDS = 2, 12, 3, 1  # of the Terraform modules, with their default variables
API_ALARM_METRICS, API_GIB, API_SECONDS = 2, 2.0, 0.1  # seconds a request, S3 included: an assumption
MINIMUM_SCAN_BYTES, STATEMENTS = 10_000_000, 8  # bytes that Athena bills for a statement; statements of a run
FREE_DISK_GIB = 20  # of a Fargate task
CHILD_OUTPUT = 16  # bytes that a child of the map returns
OUTPUT_LIMIT = 256 * 1024
EVENTS_OF_PARENT, EVENT_LIMIT = 120, 25_000


@dataclass(frozen=True)
class Fleet:
    """Variables of the Terraform module that decide time and money."""

    training_vcpu: int = 16
    training_gib: int = 64
    prediction_vcpu: int = 4
    prediction_gib: int = 16
    batch_rows: int = 300_000
    batches_per_task: int = 16
    max_concurrency: int = 500
    spot_weight: float = 0.8  # of the prediction tasks: weights 4 to 1
    training_disk_gib: int = 200
    prediction_disk_gib: int = 30
    helper_disk_gib: int = 30  # of each task that adds up the batches or writes the report

    def disk_gib(self, task: str) -> int:
        """Disk of a task by its command: "train", "predict" or another."""
        return {"train": self.training_disk_gib, "predict": self.prediction_disk_gib}.get(task, self.helper_disk_gib)


@dataclass(frozen=True)
class AwsPlan:
    """Estimate: ``dollars`` by service, ``arithmetic`` with each formula, ``checks`` against limits of the platform.

    ``standing_month`` are dollars a month, run or no run.
    """

    rows: int
    to_predict: int
    batches: int
    tasks: int
    concurrency: int
    minutes: float
    scanned_bytes: int
    quota_vcpu: int
    dollars: dict[str, float]
    arithmetic: list[str]
    checks: dict[str, str] = field(default_factory=dict)
    prices: str = ""
    source: str = "Parquet"  # or "JSON or CSV"
    standing_month: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Dollars altogether."""
        return sum(self.dollars.values())

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "total_usd": round(self.total, 4)}


def task_dollars(vcpu: float, gib: float, seconds: float, prices: Prices = PRICES) -> float:
    """Processors and memory of a Fargate task on demand; a minute at least is billed."""
    return _billed_hours(seconds) * (vcpu * prices.vcpu_hour + gib * prices.gib_hour)


def disk_dollars(gib: float, seconds: float, prices: Prices = PRICES) -> float:
    """Disk of a Fargate task, whose first 20 GiB are free; counted at the full price on Spot, too."""
    return _billed_hours(seconds) * max(gib - FREE_DISK_GIB, 0) * prices.disk_gib_hour


def _billed_hours(seconds: float) -> float:
    return max(seconds, 60.0) / 3600


def estimate_cost(
    rows: int,
    known_share: float = 0.375,
    text: bool = False,
    fleet: Fleet | None = None,
    prices: Prices = PRICES,
    training_source: Estimate | None = None,
    api_requests: int | None = None,
) -> AwsPlan:
    """Estimate a run over ``rows`` people, of whom ``known_share`` (0..1) have a known age; ``text``: JSON lines or CSV.

    ``training_source``: its estimate, where there is one. ``api_requests``: requests a month to the prediction API, where it is on.
    """
    fleet = fleet or Fleet()
    to_predict = round(rows * (1 - known_share))
    batches = max(1, ceil(to_predict / fleet.batch_rows))
    tasks = max(1, ceil(batches / fleet.batches_per_task))
    concurrency = min(tasks, fleet.max_concurrency)
    said = [
        f"batches = ceil({to_predict:,} / {fleet.batch_rows:,}) = {batches:,}",
        f"tasks = ceil({batches:,} / {fleet.batches_per_task}) = {tasks:,}",
    ]

    labelled = training_source.rows * training_source.known_share if training_source else rows * known_share
    sampled = min(round(labelled), 1_000_000)
    cores, read_rows = CORES_PER_VCPU * fleet.training_vcpu, rows + (training_source.rows if training_source else 0)
    read = read_rows / (READ_RATE * cores) + (read_rows / (CONVERT_RATE * cores) if text else 0)
    upload = read_rows * WORKING_COPY_BYTES / UPLOAD_BYTES_A_SECOND if text else 0
    training = TASK_START_SECONDS + read + upload + sampled * TRAIN_SECONDS_A_ROW
    said.append(
        f"training: {TASK_START_SECONDS:.0f} s start + {read:.0f} s reading{' and converting' if text else ''}"
        + (f" + {upload:.0f} s uploading {read_rows * WORKING_COPY_BYTES / 1e9:.0f} GB of Parquet" if text else "")
        + f" + {sampled * TRAIN_SECONDS_A_ROW:.0f} s learning"
    )
    rate = prediction_rate(sampled, TrainingConfig())
    work = to_predict / tasks / (rate * CORES_PER_VCPU * fleet.prediction_vcpu)
    each = TASK_START_SECONDS + work
    factor = _on_spot(fleet.spot_weight, prices)
    said.append(
        f"a prediction task: {TASK_START_SECONDS:.0f} s start + {to_predict / tasks:,.0f} rows / "
        f"({rate:,.0f} x {CORES_PER_VCPU} x {fleet.prediction_vcpu} vCPU) = {each:.0f} s, "
        f"at {percent(factor, 0)} of the price on demand ({percent(fleet.spot_weight, 0)} on Spot)"
    )
    helpers = [TASK_START_SECONDS + batches * 0.05, TASK_START_SECONDS]
    fargate = (
        task_dollars(fleet.training_vcpu, fleet.training_gib, training, prices)
        + disk_dollars(fleet.training_disk_gib, training, prices)
        + tasks * factor * task_dollars(fleet.prediction_vcpu, fleet.prediction_gib, each, prices)
        + tasks * disk_dollars(fleet.prediction_disk_gib, each, prices)
        + sum(task_dollars(1, 4, s, prices) + disk_dollars(fleet.helper_disk_gib, s, prices) for s in helpers)
    )
    said.append(
        f"disk beyond {FREE_DISK_GIB} GiB, at full price on Spot, too: {fleet.training_disk_gib - FREE_DISK_GIB} GiB for training "
        f"and {fleet.prediction_disk_gib - FREE_DISK_GIB} GiB for each prediction task, at ${prices.disk_gib_hour:g} a GiB and hour"
    )
    scanned = _scanned(rows, to_predict)
    minutes = _minutes(training + ceil(tasks / concurrency) * each + sum(helpers), scanned)
    dollars = {"Fargate": fargate, **_other_dollars(batches, tasks, scanned, minutes, prices)}
    said.append(f"Athena: {scanned / 1e9:.1f} GB read by 5 statements, at ${prices.athena_tb:g} a TB")
    return AwsPlan(
        rows,
        to_predict,
        batches,
        tasks,
        concurrency,
        minutes,
        scanned,
        max(fleet.training_vcpu, concurrency * fleet.prediction_vcpu),
        dollars,
        said,
        _checks(tasks, concurrency, fleet) | _disk(read_rows if text else 0, fleet),
        f"{prices.region}, {prices.as_of}",
        "JSON or CSV" if text else "Parquet",
        standing_costs(rows, prices) | _api_costs(api_requests, prices),
    )


def _query_seconds(scanned_bytes: int) -> float:
    """Seconds that a function waits for its statements."""
    return 20 + scanned_bytes / 1e9


def _minutes(seconds_of_tasks: float, scanned_bytes: int) -> float:
    """Minutes of a run whose tasks take so long one after the other."""
    return (seconds_of_tasks + 2 * _query_seconds(scanned_bytes) + 60) / 60


def _other_dollars(batches: int, tasks: int, scanned_bytes: int, minutes: float, prices: Prices) -> dict[str, float]:
    """Dollars of all services but Fargate for a run of so many batches, prediction tasks, bytes read by Athena, and minutes."""
    query_seconds = _query_seconds(scanned_bytes)
    return {
        "Athena": max(scanned_bytes, STATEMENTS * MINIMUM_SCAN_BYTES) / 1e12 * prices.athena_tb,
        "Lambda": prices.lambda_gib_second * (1.0 * query_seconds + 2.0 * query_seconds + 4 * 5 * 0.5),
        "Step Functions": (tasks * 4 + 60) * prices.transition,
        "S3 requests": batches * (3 * prices.put_request + 12 * prices.get_request) + 200 * prices.put_request,
        "CloudWatch logs": (tasks + 10) * 0.0002 * prices.log_gb,
        "NAT": minutes / 60 * (prices.nat_hour + prices.public_ipv4_hour) + tasks * 0.005 * prices.nat_gb,
    }


def standing_costs(rows: int, prices: Prices = PRICES) -> dict[str, float]:
    """Dollars a month of what stands there whether a run is done or not, with the results of one run over ``rows`` people."""
    kept = rows * (PEOPLE_BYTES + QA_BYTES + RESULT_BYTES + PREDICTION_BYTES_A_ROW)
    return {
        "NAT gateway": HOURS_A_MONTH * prices.nat_hour,
        "its public IPv4 address": HOURS_A_MONTH * prices.public_ipv4_hour,
        "KMS keys": KMS_KEYS * prices.kms_key_month,
        "alarms": ALARM_METRICS * prices.alarm_metric_month,
        "own metrics": OWN_METRICS * prices.own_metric_month,
        "dashboard": DASHBOARDS * prices.dashboard_month,
        "results of a run": kept / 1e9 * prices.storage_gb_month,
    }


def _api_costs(requests: int | None, prices: Prices) -> dict[str, float]:
    """Dollars a month of the prediction API for so many ``requests``; none where it is off (None)."""
    if requests is None:
        return {}
    each = prices.http_request + prices.lambda_request + API_GIB * API_SECONDS * prices.lambda_gib_second + 2 * prices.get_request
    return {
        "alarms of the prediction API": API_ALARM_METRICS * prices.alarm_metric_month,
        f"{requests:,} requests to it": requests * each,
    }


def _scanned(rows: int, to_predict: int) -> int:
    """Bytes of Parquet that the statements read: the join, its check, the merge, and its two checks."""
    join = rows * PEOPLE_BYTES + to_predict * PREDICTION_BYTES_A_ROW
    return round(join + rows * 1 + rows * QA_BYTES + rows * 6 + rows * (8 + 8))


def _checks(tasks: int, concurrency: int, fleet: Fleet) -> dict[str, str]:
    """Limits of the platform against this plan."""
    output = tasks * CHILD_OUTPUT
    return {
        "payload": f"{output:,} of {OUTPUT_LIMIT:,} bytes returned by the map" + (" - TOO MUCH" if output > OUTPUT_LIMIT else ""),
        "history": f"about {EVENTS_OF_PARENT} of {EVENT_LIMIT:,} events: children have histories of their own",
        "concurrency": f"{concurrency:,} tasks at a time of 10,000 that a distributed map allows",
        "vCPU quota": f"{concurrency * fleet.prediction_vcpu:,} Fargate vCPUs; new accounts have 6, ask for more",
        "launch rate": f"{tasks:,} starts at 20 a second: {tasks / 20:.0f} s",
    }


def _disk(text_rows: int, fleet: Fleet) -> dict[str, str]:
    """Working copies of a source of text against the disk of the training task."""
    used, disk = text_rows * WORKING_COPY_BYTES / 1e9, fleet.training_disk_gib * 2**30 / 1e9
    too_much = " - TOO MUCH: write the source as Parquet" if used > 0.8 * disk else ""
    return {"disk of training": f"{used:.0f} of {disk:.0f} GB for the converted source{too_much}"} if text_rows else {}


def estimate_run_cost(run: RunPlan, api_requests: int | None = None) -> AwsPlan:
    """Estimate a run whose source can be read, and the month of the prediction API with so many requests, if it is on."""
    counted = estimate(run)
    text = any(f.format != "parquet" for f in run.all_files)
    return estimate_cost(counted.rows, counted.known_share, text, training_source=counted.training, api_requests=api_requests)


def _on_spot(share: float, prices: Prices) -> float:
    """Average price of a task, as a share of the price on demand, when ``share`` (0..1) of its kind run on Spot."""
    return share * prices.spot_share + 1 - share


@dataclass(frozen=True)
class TaskCost:
    """Resources that a task used: seconds, vCPUs, GiB, and the share (0..1) of its kind that runs on Spot."""

    what: str
    outcome: str
    seconds: float
    vcpu: float
    gib: float
    spot: float


def spent_dollars(
    costs: list[TaskCost], batches: int, scanned_bytes: int, fleet: Fleet | None = None, prices: Prices = PRICES
) -> dict[str, float]:
    """Dollars of a run in the lines of its estimate, from what its tasks noted, failed ones too, and its statements read.

    Each task is billed from its start, which it does not see: ``TASK_START_SECONDS`` before its first second, as in the estimate. A
    killed task records no cost: it is missing here, but on the bill.
    """
    fleet = fleet or Fleet()
    fargate = 0.0
    for cost in costs:
        seconds = cost.seconds + TASK_START_SECONDS
        fargate += _on_spot(cost.spot, prices) * task_dollars(cost.vcpu, cost.gib, seconds, prices)
        fargate += disk_dollars(fleet.disk_gib(cost.what), seconds, prices)
    predicting = [cost.seconds + TASK_START_SECONDS for cost in costs if cost.what == "predict"]  # at the same time
    others = [cost.seconds + TASK_START_SECONDS for cost in costs if cost.what != "predict"]
    minutes = _minutes(sum(others) + max(predicting, default=0.0), scanned_bytes)
    return {"Fargate": fargate, **_other_dollars(batches, len(predicting), scanned_bytes, minutes, prices)}
