"""Progress of a run on stderr: a live bar on a terminal, plain lines when piped, JSON lines with ``--log-json``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from predict_age.runtime.command_log import LOG
from predict_age.terminal_text import line_width, say, visible, wrapped

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 10.0


def duration(seconds: float) -> str:
    """Time for people: 12.3 s, 4 min 05 s, 2 h 07 min."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s" if seconds < 3600 else f"{minutes // 60} h {minutes % 60:02d} min"


def _rate(each_second: float) -> str:
    """Units a second, or the time for one where it takes longer: 57,685/s, 2.5/s, 32.3 s each."""
    if 0 < each_second < 1:
        return f"{duration(1 / each_second)} each"
    return f"{each_second:,.0f}/s" if each_second >= 10 else f"{each_second:.2g}/s"


class Console:
    """Progress of a run. ``quiet`` prints nothing; in the JSON log it leaves out progress within a step."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty() and not quiet and not LOG.json
        self._label = ""
        self._began = self._spoke = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def _say(self, text: str) -> None:
        if not self.quiet:
            if self._bar is not None:
                self._bar.console.print(visible(text), highlight=False, markup=False, emoji=False)
            else:
                say(text)

    def _detail(self, text: str) -> None:
        if LOG.verbose and not LOG.json:
            self._say(text)

    def begin(self, number: int, total: int, title: str, name: str = "") -> None:
        """Begin a step, called ``name`` in the JSON log."""
        self._label = f"{number}/{total} {title}"
        self._began = self._spoke = time.monotonic()
        LOG.step = name or title
        LOG.event("step.started", done=number - 1, total=total, unit="steps")
        self._detail(f"  {self._label} ...")

    def part(self, total: int, unit: str, done: int = 0) -> Callable[[int], None]:
        """Begin a part of a step with ``total`` units, ``done`` of them earlier. Returns a function that counts further units."""
        self._clear()
        self._began = self._spoke = time.monotonic()

        def more(number: int) -> None:
            nonlocal done
            done += number
            self.update(done, total, unit)

        return more

    def update(self, done: int, total: int, unit: str) -> None:
        """Show ``done`` of ``total`` units, the rate and the time left."""
        if self.quiet:
            return
        now = time.monotonic()
        if done >= total:
            self._detail(f"    {done:,} {unit}: {duration(now - self._began)}")
        if self.live:
            self._draw(done, total, unit)
            return
        if now - self._spoke >= SECONDS_BETWEEN_LINES and done < total:
            self._spoke = now
            if LOG.json:
                LOG.event("step.progress", done=done, total=total, unit=unit, seconds=round(now - self._began, 3))
                return
            rate = done / (now - self._began)
            left = f", {duration((total - done) / rate)} left" if rate else ""
            self._say(f"    {self._label}: {done:,} of {total:,} {unit}, {_rate(rate)}{left}")

    def _draw(self, done: int, total: int, unit: str) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            self._bar = Progress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=RichConsole(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=total, unit=unit, rate="")
        rate = done / max(time.monotonic() - self._began, 1e-9)
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, unit=unit, rate=_rate(rate))

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def note(self, text: str) -> None:
        """Print a line."""
        if LOG.json:
            LOG.event("note", message=text)
            return
        self._say(wrapped("    ", text, line_width(sys.stderr)))

    def end(self, seconds: float, rows: int) -> None:
        """End a step."""
        self._clear()
        if LOG.json:
            LOG.event("step.finished", rows=rows or None, seconds=round(seconds, 3))
            LOG.step = ""
            return
        rate = f", {rows / seconds:,.0f} rows/s" if rows and seconds > 0.05 else ""
        self._say(f"  {self._label:<30} {duration(seconds):>12}   {f'{rows:,} rows{rate}' if rows else ''}".rstrip())

    def close(self) -> None:
        """Remove the live bar from the terminal."""
        self._clear()


def size(number: float) -> str:
    """Bytes as KiB, MiB or GiB; less than a KiB as bytes."""
    if number >= 2**30:
        return f"{number / 2**30:.1f} GiB"
    if number >= 2**20:
        return f"{number / 2**20:.0f} MiB"
    return f"{number / 2**10:.0f} KiB" if number >= 2**10 else f"{number:.0f} bytes"
