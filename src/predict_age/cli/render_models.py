"""Models, model cards and experiments as tables for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from predict_age.cli.console import grid, print_sentence, stdout_console, styled
from predict_age.tally import number_or_dash, percent, share_or_dash

if TYPE_CHECKING:
    from predict_age.evaluation.ab_test.arms import AbTestResult
    from predict_age.evaluation.ab_test.score import RunScore
    from predict_age.query.model_registry import Version


def show_models(versions: list[Version]) -> None:
    """Print all models."""
    if not versions:
        stdout_console().print("There are no models yet: they are made by `predict-age run`.")
        return
    table = grid("Models", ["version", "error", "Ridge", "coverage", "gate", "runs", ""], numbers=False)
    for v in versions:
        table.add_row(
            v.version,
            number_or_dash(v.mae, "{:.2f} years"),
            number_or_dash(v.ridge_mae, "{:.2f}"),
            share_or_dash(v.coverage),
            v.gate,
            f"{v.runs[-1]}" + (f" and {len(v.runs) - 1} more" if len(v.runs) > 1 else ""),
            "champion" if v.champion else "",
        )
    stdout_console().print(table)


def show_card(card: dict[str, Any], path: Path) -> None:
    """Print the findings of a model card and its path."""
    console = stdout_console()
    trained = _headline(card["held_out"], "held out")
    in_run = card.get("in_this_run") or {}
    first = _headline(in_run["held_out"], f"measured in run {in_run['run_id']}") if in_run.get("held_out") else trained
    console.print(styled("\n", (f"Model {card['model_version']}", "bold"), f"  {first}"), soft_wrap=True)
    if in_run.get("held_out"):
        console.print(f"  at its training: {trained}; what follows is of the training", soft_wrap=True)
    elif in_run:
        console.print(f"  in run {in_run['run_id']}: {in_run['sentence']}", soft_wrap=True)
    for number, finding in enumerate(card["findings"], start=1):
        print_sentence(console, f"  {number}. ", f"{finding['kind']}: {finding['sentence']}")
    if not card["findings"]:
        console.print("  nothing stands out")
    console.print(f"Card    {path.resolve()}", soft_wrap=True)


def _headline(quality: dict[str, float], who: str) -> str:
    inside = percent(quality["coverage"])
    return f"{quality['mae']:.2f} years mean error, {inside} inside the interval, {quality['rows']:,} people {who}"


def show_read_out(result: AbTestResult) -> None:
    """Print the result of an experiment."""
    console = stdout_console()
    how = "the same people predicted by each model" if result.paired else "each model with people of its own"
    console.print(styled("\n", ("Experiment", "bold"), f"  {how}; true ages of {result.truth}"), soft_wrap=True)
    table = grid("Arms", ["model", "people", "error", "bias", "coverage", "width"])
    for name, sums in result.arms.items():
        row = sums.as_json()
        table.add_row(
            name,
            f"{sums.rows:,}",
            number_or_dash(row["mae"], "{:.2f}"),
            number_or_dash(row["bias"], "{:+.2f}"),
            share_or_dash(row["coverage"]),
            number_or_dash(row["width"], "{:.1f}"),
        )
    console.print(table)
    for d in result.decisions:
        between = f"{d.difference:+.3f} years ({d.low:+.3f} to {d.high:+.3f})" if d.needed else "no difference yet"
        console.print(styled((d.challenger, "bold"), f": {d.decision}; {d.reason}"), soft_wrap=True)
        console.print(
            f"  challenger minus champion {between}; {d.needed:,} people are required to detect the minimum effect", soft_wrap=True
        )


def show_score(found: RunScore) -> None:
    """Print the score of a run."""
    console = stdout_console()
    counts = found.counts
    console.print(styled("\n", (f"Run {found.run_id}", "bold"), f"  against true ages of {found.truth}"), soft_wrap=True)
    console.print(
        f"{counts.used:,} true ages: {found.all.rows:,} of predicted people, {found.not_predicted:,} of people with a known or the "
        f"default age, {found.withheld:,} of withheld people, {found.not_found:,} of people not in the result",
        soft_wrap=True,
    )
    console.print(
        f"Not used: {counts.unknown:,} without a number, {counts.outside:,} outside the age window; "
        f"{found.minors_published:,} minors published",
        soft_wrap=True,
    )
    table = grid("Predictions, years, with 95 % intervals", ["people", "number", "error", "bias", "coverage", "width"])
    sections = [[found.all, found.usable], found.by_predicted_band, found.by_confidence]
    names = ["", "predicted ", "confidence "]
    for prefix, scores in zip(names, sections, strict=True):
        for s in scores:
            table.add_row(
                prefix + s.group,
                f"{s.rows:,}",
                _with_interval(s.mae, s.mae_interval, "{:.2f}"),
                _with_interval(s.bias, s.bias_interval, "{:+.2f}"),
                share_with_interval(s.coverage, s.coverage_interval),
                number_or_dash(s.width, "{:.1f}"),
            )
    console.print(table)


def share_with_interval(share: float, interval: tuple[float, float]) -> str:
    """``share`` and both ends of its interval, which lie unequally far from it where people are few."""
    low, high = (number_or_dash(100 * end, "{:.0f}") for end in interval)
    return f"{share_or_dash(share)} ({low}\N{EN DASH}{high})"


def _with_interval(value: float, interval: tuple[float, float], form: str) -> str:
    """``value`` and half the width of its interval."""
    half = number_or_dash((interval[1] - interval[0]) / 2, form.replace("+", ""))
    return f"{number_or_dash(value, form)} \N{PLUS-MINUS SIGN} {half}"
