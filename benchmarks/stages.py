"""Each stage's time, share, rows/s a core and peak memory, at several sizes in one run: ``make bench``.

``python benchmarks/stages.py [ROWS ...]`` (default 1,000,000 and 10,000,000). People are generated once into ``out/bench``.
Prints a Markdown table for each size, and the time a row of each size against the first one.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from predict_age.runtime.worker_pool import available_cores

OUT = Path("out") / "bench"


def processor() -> str:
    """The processor's name, as the system tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def cli(*arguments: object) -> str:
    """Run predict-age; its progress stays visible."""
    return subprocess.run(
        [sys.executable, "-m", "predict_age", *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def measure(rows: int, seed: int = 7) -> dict[str, object]:
    """Generate (once) and run; returns the run's JSON."""
    folder = OUT / f"people-{rows}-{seed}"
    if not (folder / "truth.parquet").exists():
        shutil.rmtree(folder, ignore_errors=True)
        cli("generate", "--rows", rows, "--out", folder, "--seed", seed)
    workspace = OUT / f"workspace-{rows}-{seed}"
    shutil.rmtree(workspace, ignore_errors=True)
    found: dict[str, object] = json.loads(
        cli("run", "--source", folder / "people", "--workspace", workspace, "--as-of", "2025-10-23", "--json")
    )
    return found


def show(rows: int, run: dict) -> float:
    """Print the table of one size; returns microseconds a row."""
    total = sum(s["seconds"] for s in run["stages"])
    print(f"\n{rows:,} people, {run['rows']['predicted']:,} predicted, {run['workers']} workers\n")
    print("| stage | seconds | share | rows/s a core | peak memory, GiB |\n|---|---|---|---|---|")
    for stage in run["stages"]:
        rate = stage["rows"] / stage["seconds"] / run["workers"] if stage["rows"] and stage["seconds"] > 0.05 else 0
        print(
            f"| {stage['name']} | {stage['seconds']:.1f} | {stage['seconds'] / total:.1%} | {f'{rate:,.0f}' if rate else ''} "
            f"| {stage['peak_rss_bytes'] / 2**30:.2f} |"
        )
    peak = max(s["peak_rss_bytes"] for s in run["stages"]) / 2**30
    print(f"| **all** | {total:.1f} | 100 % | {rows / total / run['workers']:,.0f} | {peak:.2f} |")
    return total / rows * 1e6


def main(sizes: list[int]) -> None:
    """Measure all sizes and compare them."""
    print(f"{processor()}, {available_cores()} cores, Python {platform.python_version()}")
    costs = {rows: show(rows, measure(rows)) for rows in sizes}
    first = costs[sizes[0]]
    print()
    for rows, cost in costs.items():
        print(f"{rows:>12,} people: {cost:6.1f} microseconds a row, {cost / first:.2f} of the {sizes[0]:,} run")


if __name__ == "__main__":
    main([int(a.replace(",", "").replace("_", "")) for a in sys.argv[1:]] or [1_000_000, 10_000_000])
