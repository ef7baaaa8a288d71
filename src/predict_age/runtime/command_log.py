"""Log of a command on stderr: its stages with durations (``--verbose``), or one JSON object a line (``--log-json``).

The log is off until the command line switches it on, so that the Python interface writes nothing. With ``--log-json`` all other
text that the command writes to stderr, such as a warning of a library, becomes a line of the log, too.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Literal, cast

from predict_age.terminal_text import say

Level = Literal["debug", "info", "warning", "error"]
FIELDS = {
    "time": "UTC, ISO 8601 with milliseconds and Z",
    "level": "debug, info, warning or error",
    "event": "what happened: a name of the other table",
    "command": "the command, such as run",
    "run": "id of the run, once there is one",
    "step": "name of the step that works",
    "stage": "what was done, in words",
    "message": "a sentence for people, without values of people",
    "done": "units done of the step",
    "total": "units of the step in all",
    "unit": "what is counted: rows, people ...",
    "rows": "rows of the finished step",
    "seconds": "how long it took",
    "counts": "people and records of the finished run, as `rows` of --json",
    "published": "whether readers see the run now",
    "gate": "the quality gate that stopped the run",
    "exit_code": "exit code of the command",
    "kind": "class of the error, such as InputError",
    "fix": "how to mend it",
}
EVENTS = {
    "command.started": "the command begins",
    "stage.finished": "a part of a command is done: `stage`, `seconds`",
    "run.begun": "work on a run begins, or goes on",
    "step.started": "one of the nine steps begins",
    "step.progress": "every ten seconds: `done` of `total` `unit`",
    "step.finished": "a step is done: `rows`, `seconds`",
    "note": "a sentence about the run",
    "message": "other text, such as a warning of a library",
    "run.done": "the run is finished: `counts`, `published`, `seconds`",
    "run.stopped": "a quality gate stopped the run: `gate`, `message`, `fix`",
    "run.failed": "the run failed: `kind`, `message`, `fix`",
    "run.interrupted": "Ctrl-C, SIGTERM or a time limit stopped the run",
    "notify.done": "the program of [notify] was notified",
    "notify.failed": "the program of [notify] could not be notified: `message`",
    "command.failed": "a command failed that has no run, or whose run is done",
    "command.finished": "the last line, always: `exit_code`, `seconds`",
}
_BOX = dict.fromkeys(map(ord, "\N{BOX DRAWINGS LIGHT VERTICAL}╭╮╰╯─"), " ")  # around messages of wrong options


class CommandLog:
    """Log of the command that runs. ``json``: objects instead of text; ``verbose``: stages of a command, too."""

    def __init__(self) -> None:
        self.json = self.verbose = False
        self.command = ""
        self.run = ""
        self.step = ""
        self._stream: IO[str] | None = None
        self._began = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._began

    def event(self, event: str, level: Level = "info", **fields: object) -> None:
        """Write one line of the JSON log, without fields that are empty. A stream that takes no line is no reason to stop."""
        if not self.json or self._stream is None:
            return
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": now, "level": level, "event": event, "command": self.command, "run": self.run, "step": self.step, **fields}
        kept = {name: value for name, value in line.items() if value is not None and value != ""}
        with suppress(OSError, ValueError):
            self._stream.write(json.dumps(kept) + "\n")
            self._stream.flush()

    def detail(self, text: str) -> None:
        """Write a line for people who asked for details."""
        if self.verbose and not self.json:
            with suppress(OSError, ValueError):
                say(f"  {text}")

    @contextmanager
    def writing(self, arguments: Sequence[str]) -> Iterator[None]:
        """Write the log of the command with these ``arguments`` in the block, if they ask for one."""
        stream = sys.stderr
        self.__init__()  # type: ignore[misc]  # commands in one process do not share a log
        self._began = time.monotonic()
        self.command = next((a for a in arguments if not a.startswith("-")), "")
        self.json = "--log-json" in arguments
        self.verbose = bool({"-v", "--verbose"} & set(arguments))
        if self.json:
            self._stream = stream
            sys.stderr = cast(Any, _LoggedText(stream, self))
        try:
            yield
        finally:
            if self.json:
                sys.stderr.flush()
                sys.stderr = stream
            self.json = self.verbose = False


class _LoggedText:
    """A text stream whose lines become messages of the JSON log. All but writing is the ``stream``'s."""

    def __init__(self, stream: IO[str], log: CommandLog) -> None:
        self._stream, self._log, self._waiting = stream, log, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Whether a person reads: no, a program does."""
        return False

    def write(self, text: str) -> int:
        """Log every whole line of ``text``."""
        *lines, self._waiting = (self._waiting + text).split("\n")
        for line in lines:
            self._message(line)
        return len(text)

    def flush(self) -> None:
        """Log what no line end has followed."""
        rest, self._waiting = self._waiting, ""
        self._message(rest)

    def _message(self, line: str) -> None:
        words = line.translate(_BOX).strip()
        if words and words != "Error":
            self._log.event("message", message=words)


LOG = CommandLog()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Log what the block does, called ``name``, when it is done, with its duration."""
    began = time.monotonic()
    yield
    seconds = time.monotonic() - began
    LOG.event("stage.finished", "debug", stage=name, seconds=round(seconds, 3))
    LOG.detail(f"{name}: {seconds:.2f} s")


def whole_numbers(counts: Mapping[str, object]) -> dict[str, int]:
    """The whole numbers among ``counts``."""
    return {name: n for name, n in counts.items() if isinstance(n, int) and not isinstance(n, bool)}
