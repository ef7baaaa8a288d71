"""Prices of the services, dated: us-east-1, on demand, from the public price pages. Check them before you rely on them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prices:
    """Prices in dollars."""

    as_of: str = "2026-11-01"
    region: str = "us-east-1"
    vcpu_hour: float = 0.04048  # Fargate, Linux on x86
    gib_hour: float = 0.004445
    spot_share: float = 0.30  # of the price on demand; it varies by the hour
    disk_gib_hour: float = 0.000111  # beyond the first 20 GiB of a task
    lambda_gib_second: float = 0.0000166667
    lambda_request: float = 0.20 / 1e6
    http_request: float = 1.00 / 1e6  # HTTP API of API Gateway
    athena_tb: float = 5.0  # 10 MB a statement at least
    put_request: float = 0.005 / 1000
    get_request: float = 0.0004 / 1000
    transition: float = 0.025 / 1000
    log_gb: float = 0.50
    nat_hour: float = 0.045
    nat_gb: float = 0.045
    public_ipv4_hour: float = 0.005  # the NAT gateway's
    storage_gb_month: float = 0.023
    kms_key_month: float = 1.0
    alarm_metric_month: float = 0.10
    own_metric_month: float = 0.30
    dashboard_month: float = 3.0


PRICES = Prices()
