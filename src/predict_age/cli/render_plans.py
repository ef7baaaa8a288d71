"""Estimates and plans as tables for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from predict_age.cli.console import grid, print_sentence, stdout_console, styled
from predict_age.features.refused_names import proxy_warning
from predict_age.runtime.progress import duration, size
from predict_age.source.text_ids import PADDED_IDS
from predict_age.tally import counted, percent

if TYPE_CHECKING:
    from predict_age.aws.cost_plan import AwsPlan
    from predict_age.features.inspection import FeatureCoverage
    from predict_age.pipeline.estimate import Estimate


def show_estimate(estimate: Estimate) -> None:
    """Print an estimate: how the files are read, and what the run takes."""
    show_reading(estimate)
    show_ages(estimate)
    table = grid("Plan", ["", ""], numbers=False)
    table.show_header = False
    about = "" if estimate.exact_rows else "about "
    table.add_row("rows", f"{about}{estimate.rows:,} in {size(estimate.source_bytes)}")
    odd = f"; {estimate.odd_ids:,} of those looked at are none and would be set aside" if estimate.odd_ids else ""
    odd += "; " + PADDED_IDS.format(estimate.padded_ids) if estimate.padded_ids else ""
    ids = "text; results carry it as source_id" if estimate.pid_type == "text" else "whole numbers"
    table.add_row("ids", ids + odd)
    given, used = sum(column.given for column in estimate.ages), sum(column.used for column in estimate.ages)
    of_sample = " of the rows looked at" if estimate.rows_sampled < estimate.rows else ""
    table.add_row(
        "known ages", f"about {percent(estimate.known_share)} of the rows; {used:,} of {given:,} given values are used{of_sample}"
    )
    if theirs := estimate.training:
        rows = f"{'' if theirs.exact_rows else 'about '}{theirs.rows:,} rows"
        table.add_row("training source", f"{rows}, {percent(theirs.known_share)} with a known age")
    if estimate.withheld:
        table.add_row("withheld", f"{estimate.withheld:,} of the rows looked at are of known minors; the model withholds more")
    about, how = ("", "") if estimate.exact_people else ("about ", ", if ids repeat as often as in the sample")
    if estimate.duplicates:
        more = f"{about}{estimate.duplicates:,} further records of them are duplicates; a record with a known age counts first"
        table.add_row("people", f"{about}{estimate.people:,}{how}; {more}")
    table.add_row("to predict", f"{about}{estimate.to_predict:,} people{how}")
    table.add_row("batches", estimate.formula)
    table.add_row(
        "time",
        f"about {duration(estimate.minutes * 60)} with {counted(estimate.workers, 'worker')} on a machine that is idle otherwise",
    )
    table.add_row("memory", f"about {size(estimate.memory_bytes)}")
    table.add_row("disk", f"about {size(estimate.disk_bytes)} in the workspace")
    price = f"about ${estimate.cost_usd:.2f} ({estimate.minutes:.1f} minutes at ${estimate.usd_per_hour:g} an hour)"
    table.add_row("cost", price if estimate.usd_per_hour else "not counted: limits.usd_per_hour is not set")
    stdout_console().print(table)


def show_reading(found: Estimate) -> None:
    """Print how the files of the source are read, and which are passed over."""
    table = grid("Reading plan", ["files", "format", "read as", "size"], numbers=False)
    for group in found.reading:
        name = Path(group.first).name
        table.add_row(
            name if group.files == 1 else f"{name} and {group.files - 1:,} more",
            group.format,
            group.details,
            size(group.bytes),
        )
    for passed in found.passed_over:
        name = Path(passed.first[0]).name
        table.add_row(
            name if passed.files == 1 else f"{name} and {passed.files - 1:,} more", "passed over", passed.reason, "", style="yellow"
        )
    stdout_console().print(table)


def show_ages(found: Estimate) -> None:
    """Print what the age columns hold at ``as_of``, and which values are not used.

    The range is that of all but 19 people at each end, because single people's ages are shown nowhere.
    """
    sampled = found.rows_sampled < found.rows
    rows = f"a sample of {found.rows_sampled:,} of {found.rows:,} rows" if sampled else f"{found.rows_sampled:,} rows"
    table = grid(
        f"Ages at as_of {found.as_of}, in {rows}", ["column", "given", "used", "20th youngest", "median", "20th oldest", "not used"]
    )
    table.columns[-1].justify = "left"
    for column in found.ages:
        numbers = (f"{n:g}" if n is not None else "" for n in (column.youngest, column.median, column.oldest))
        unused = "; ".join(
            f"{u.rows:,} {u.reason}" + (f", first {u.form}" if u.form else "") + (f", nearly all {u.between}" if u.between else "")
            for u in column.unused
        )
        table.add_row(
            column.column,
            f"{column.given:,}",
            f"{column.used:,}",
            *numbers,
            unused,
            style="yellow" if unused else "",
        )
    if not found.ages:
        table.add_row("none", "0", "0")
    stdout_console().print(table)


def show_features(coverage: list[FeatureCoverage]) -> None:
    """Coverage of each feature in the sampled profiles, and what is wrong with those that no profile has or none can be read."""
    profiles = max((c.profiles for c in coverage), default=0)
    table = grid(f"Features, in {profiles:,} sampled profiles", ["feature", "path", "found in", "readable in"])
    table.columns[1].justify = "left"
    for c in coverage:
        found, readable = (percent(n / c.profiles) if c.profiles else "" for n in (c.found, c.readable))
        table.add_row(c.feature, c.path, found, readable, style="yellow" if c.sentence else "")
    stdout_console().print(table)
    for c in coverage:
        if c.sentence:
            stdout_console().print(styled((c.sentence, "yellow")))
    if proxies := [w for c in coverage if (w := proxy_warning(c.path or c.feature))]:
        print_sentence(stdout_console(), "", "; ".join(proxies) + ": the model card measures it where card.groups names the group")


def show_aws_plans(plans: list[AwsPlan]) -> None:
    """Print plans for AWS, of one job over sources of different formats: arithmetic, dollars of a run, dollars of a month."""
    first = plans[0]
    table = grid(f"Plan on AWS (prices of {first.prices})", ["", ""], numbers=False)
    table.add_row("people", f"{first.rows:,}, of whom {first.to_predict:,} need a prediction")
    shown: set[str] = set()
    for plan in plans:
        for line in plan.arithmetic:
            if line not in shown:
                shown.add(line)
                name, _, rest = line.partition(" = " if " = ceil" in line else ": ")
                table.add_row(f"{name}, source in {plan.source}" if name == "training" and len(plans) > 1 else name, rest or line)
    for name, text in {name: text for plan in plans for name, text in plan.checks.items()}.items():
        table.add_row(name, text)
    money = grid("Dollars of a run", ["service", *(f"source in {plan.source}" for plan in plans)])
    for name in first.dollars:
        money.add_row(name, *(f"{plan.dollars[name]:.3f}" for plan in plans))
    money.add_row("altogether", *(f"{plan.total:.2f}" for plan in plans), style="bold")
    money.add_row("time", *(f"about {duration(plan.minutes * 60)}" for plan in plans))
    month = grid("Dollars a month, run or no run", ["what", "dollars"])
    for name, dollars in first.standing_month.items():
        month.add_row(name, f"{dollars:.2f}")
    month.add_row("altogether", f"{sum(first.standing_month.values()):.2f}", style="bold")
    for printed in (table, money, month):
        stdout_console().print(printed)
