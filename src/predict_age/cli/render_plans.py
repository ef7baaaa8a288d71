"""Estimates and plans as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from predict_age.cli.console import grid, stdout_console
from predict_age.runtime.progress import counted, duration, size

if TYPE_CHECKING:
    from predict_age.aws.cost_plan import AwsPlan
    from predict_age.features.inspection import FeatureCoverage
    from predict_age.pipeline.estimate import Estimate


def show_estimate(found: Estimate) -> None:
    """Print an estimate."""
    table = grid("Plan", ["", ""], numbers=False)
    about = "" if found.exact_rows else "about "
    table.add_row("rows", f"{about}{found.rows:,} in {size(found.source_bytes)}")
    odd = f"; {found.odd_ids:,} of those looked at are none and would be set aside" if found.odd_ids else ""
    ids = "text; results carry it as source_id" if found.pid_type == "text" else "whole numbers"
    table.add_row("ids", ids + odd)
    table.add_row("known ages", f"about {found.known_share:.1%}")
    table.add_row("to predict", f"about {found.to_predict:,}")
    table.add_row("batches", found.formula)
    table.add_row("time", f"about {duration(found.minutes * 60)} with {counted(found.workers, 'worker')}")
    table.add_row("memory", f"about {size(found.memory_bytes)}")
    table.add_row("disk", f"about {size(found.disk_bytes)} in the workspace")
    price = (
        f"{found.minutes:.1f} minutes at ${found.usd_per_hour:g} an hour"
        if found.usd_per_hour
        else "limits.usd_per_hour is not set"
    )
    table.add_row("cost", f"about ${found.cost_usd:.2f} ({price})")
    stdout_console().print(table)


def show_features(coverage: list[FeatureCoverage]) -> None:
    """Coverage of each feature in the sampled profiles, and what is wrong with those that no profile has or none can be read."""
    profiles = max((c.profiles for c in coverage), default=0)
    table = grid(f"Features, in {profiles:,} sampled profiles", ["feature", "path", "found in", "readable in"])
    table.columns[1].justify = "left"
    for c in coverage:
        found, readable = (f"{n / c.profiles:.1%}" if c.profiles else "" for n in (c.found, c.readable))
        table.add_row(c.feature, c.path, found, readable, style="yellow" if c.sentence else "")
    stdout_console().print(table)
    for c in coverage:
        if c.sentence:
            stdout_console().print(f"[yellow]{escape(c.sentence)}[/yellow]")


def show_aws_plan(found: AwsPlan) -> None:
    """Print a plan for AWS with its arithmetic."""
    table = grid(f"Plan on AWS (prices of {found.prices})", ["", ""], numbers=False)
    table.add_row("people", f"{found.rows:,}, of whom {found.to_predict:,} need a prediction")
    for line in found.arithmetic:
        name, _, rest = line.partition(" = " if " = ceil" in line else ": ") if ":" in line or " = ceil" in line else ("", "", line)
        table.add_row(name, rest or line)
    table.add_row("time", f"about {duration(found.minutes * 60)}, {found.concurrency:,} tasks at a time")
    for name, text in found.checks.items():
        table.add_row(name, text)
    money = grid("Dollars", ["service", "dollars"])
    for name, dollars in found.dollars.items():
        money.add_row(name, f"{dollars:.3f}")
    money.add_row("altogether", f"{found.total:.2f}", style="bold")
    stdout_console().print(table)
    stdout_console().print(money)
