"""Building blocks of printed results: the console, tables, numbers, labelled lines."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from predict_age.terminal_text import visible, wrapped


class PlainConsole(Console):
    """Console that takes names and values as they are: no markup, no emoji codes, and control characters as escapes."""

    def __init__(self, stream: IO[str], width: int | None = None) -> None:
        super().__init__(file=stream, highlight=False, markup=False, emoji=False, width=width)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of ``renderable``, in which only the console's own styles control the terminal."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def stdout_console() -> PlainConsole:
    """Console on stdout: as wide as the terminal, or 100 characters when piped."""
    return PlainConsole(sys.stdout, width=None if sys.stdout.isatty() else 100)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Text of ``parts``; a part with a style is a tuple of both."""
    return Text.assemble(*parts)


def grid(title: str, columns: list[str], numbers: bool = True) -> Table:
    """Empty table with a title; ``numbers``: all columns but the first are aligned to the right."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i and numbers else "left")
    return table


def program_name() -> str:
    """Command that calls this program: its name where that is on the PATH, else the path it was called by."""
    called = Path(sys.argv[0])
    if called.name != "predict-age" or shutil.which("predict-age"):
        return "predict-age"
    return os.path.relpath(called)


def print_field(console: PlainConsole, label: str, text: str) -> None:
    """Print a labelled line without wrapping, so that paths and commands can be copied. Further lines of ``text`` are indented."""
    console.print(f"{label:<8}{text}".replace("\n", "\n" + " " * 8), soft_wrap=True)


def print_sentence(console: PlainConsole, lead: str, text: str) -> None:
    """Print a sentence after ``lead``: on a terminal wrapped between words, else in one line."""
    console.print(wrapped(lead, visible(text), console.width) if sys.stdout.isatty() else f"{lead}{text}", soft_wrap=True)
