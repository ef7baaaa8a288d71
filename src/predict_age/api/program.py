"""The command line as a process of its own: for what needs workers, memory and signals that are not the caller's.

A run starts workers, sets signal handlers and may be killed for want of memory. In a process of its own none of that reaches the
notebook or the service that asks for it, and a script needs no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO

from predict_age import errors

LAST_LINES = 20  # of what the program said, kept for an error that it could not write as JSON


def run_program(arguments: Sequence[str], *, progress: bool) -> dict[str, object]:
    """Run ``predict-age`` with ``arguments`` and ``--json`` to its end; return the object that it prints.

    ``progress`` copies its messages to ``sys.stderr``. Raises the error that the program ended with. Ctrl-C stops the program,
    which ends cleanly, and is raised again.
    """
    command = [sys.executable, "-m", "predict_age", *arguments, "--json"]
    with subprocess.Popen(  # noqa: S603 - the program itself, without a shell
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        said: list[str] = []
        listening = threading.Thread(target=_copy, args=(process.stderr, said, progress), daemon=True)
        listening.start()
        try:
            printed = process.stdout.read()
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            if process.poll() is None:
                process.terminate()
        listening.join()
    return _printed(printed, code, said)


def _copy(stream: IO[str], said: list[str], progress: bool) -> None:
    for line in stream:
        said.append(line)
        del said[:-LAST_LINES]
        if progress and sys.stderr is not None:
            sys.stderr.write(line)
            sys.stderr.flush()


def _printed(printed: str, code: int, said: list[str]) -> dict[str, object]:
    try:
        answer = json.loads(printed)
    except ValueError:
        answer = {}
    if code == 0 and answer:
        return dict(answer)
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt
    raise _error(answer.get("error") or {}, code, said)


def _error(failure: dict[str, object], code: int, said: list[str]) -> errors.PredictAgeError:
    """The error that ``failure`` describes, of the class that it names."""
    kind = getattr(errors, str(failure.get("kind", "")), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.PredictAgeError)):
        known = {c.exit_code: c for c in errors.PredictAgeError.__subclasses__()}
        kind = errors.ResourceError if code < 0 else known.get(code, errors.PredictAgeError)
    text = "".join(said).strip().removeprefix("predict-age: ")
    if code < 0:
        return kind(f"the run was killed by signal {-code}", found=text, fix="resume it: `predict-age resume`")
    parts = {name: str(failure.get(name, "")) for name in ("expected", "found", "fix")}
    return kind(str(failure.get("message") or text or f"predict-age ended with exit code {code}"), **parts)
