"""Notification about the end of a run: a configured program gets one JSON object on its stdin."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

from predict_age.config import NOT_A_FILE, NotifyConfig, load_config
from predict_age.errors import BusyError, ConfigError, IntegrityError, PredictAgeError
from predict_age.runtime.command_log import LOG, whole_numbers
from predict_age.runtime.signals import STOPPED
from predict_age.terminal_text import say

if TYPE_CHECKING:
    from predict_age.storage.workspace import RunFolder

_watched: list[NotifyConfig] = []  # the program to tell
MOST_SAID = 300  # characters of what a failing program says
LAST_BYTES = 4096  # of its stderr that are kept
LAST_WORDS_SECONDS = 1.0  # for the rest of its stderr, which another process may hold open


def notify_with(settings: NotifyConfig) -> None:
    """Tell the program of ``settings`` how the run of this command ends."""
    _watched[:] = [settings] if settings.command else []


def notify(folder: RunFolder | None, workspace: Path | None, code: int, error: PredictAgeError | None, gate: str | None) -> None:
    """Tell the program how the run ended, if there is one. Whatever it does, the command's exit code stays."""
    watched = list(_watched)
    _watched.clear()
    if code in STOPPED or isinstance(error, BusyError):
        return
    try:
        settings = watched[0] if watched else _settings_of(folder)
        if not settings.command:
            return
        problem = _send(settings, json.dumps(_ending(folder, workspace, code, error, gate)) + "\n")
    except ConfigError as unreadable:
        problem = unreadable.message
    except KeyboardInterrupt:
        problem = "it was stopped"
    if not problem:
        LOG.event("notify.done", "debug")
        return
    LOG.event("notify.failed", "warning", message=problem)
    if not LOG.json:
        with suppress(OSError, ValueError):
            say(f"predict-age: nobody was notified: {problem}; the run itself is not affected")


def _settings_of(folder: RunFolder | None) -> NotifyConfig:
    """Settings of the configuration file that the run began with. Raises ConfigError when that names no program any more.

    Its program is run, so the file must be one that only this user, or the machine's administrator, can have written.
    """
    name = ""
    if folder is not None:
        with suppress(IntegrityError, KeyError, OSError):
            name = str(folder.record.get("notify_config", ""))
    if not name:
        return NotifyConfig()
    if name == NOT_A_FILE:
        raise ConfigError("the run began from Python with a [notify] program that was in no file: it is not known here")
    if problem := _written_by_others(Path(name)):
        raise ConfigError(f"{name}, the configuration that the run began with, {problem}: its program is not run")
    settings = load_config(Path(name)).notify
    if not settings.command:
        raise ConfigError(f"{name}, the configuration that the run began with, names no program any more")
    return settings


def _written_by_others(path: Path) -> str:
    """Why somebody else may have written a file, in words; empty for a file of this user's or the administrator's, or for none."""
    try:
        found = path.stat()
    except OSError:
        return ""  # reading it says why
    if hasattr(os, "geteuid") and found.st_uid not in (os.geteuid(), 0):
        return "belongs to another user"
    return "can be written by everybody" if found.st_mode & stat.S_IWOTH else ""


def _ending(
    folder: RunFolder | None, workspace: Path | None, code: int, error: PredictAgeError | None, gate: str | None
) -> dict[str, object]:
    """End of the run for programs, without values of people."""
    from predict_age.runs.summary import run_summary
    from predict_age.storage.workspace import INTERRUPTED

    event = "done" if not code else "stopped" if gate else "failed"
    ending: dict[str, object] = {
        "event": event,
        "exit_code": code,
        "workspace": str(workspace.absolute()) if workspace else "",
        "run_id": folder.id if folder else "",
        "message": error.message if error else "",
        "fix": error.fix if error else "",
        "gate": gate or "",
    }
    if folder is None:
        return ending
    with suppress(IntegrityError, KeyError, OSError):
        s = run_summary(folder)
        if code and s["status"] == INTERRUPTED:
            ending["event"] = "interrupted"
        ending |= {name: s[name] for name in ("status", "as_of", "quarter", "shadow", "report", "model_version")}
        ending |= {"rows": whole_numbers(s["rows"]), "mean_error_years": s["metrics"]["mae"], "findings": s["run_findings"]}
    return ending


def _send(settings: NotifyConfig, text: str) -> str:
    """Run the program with ``text`` on its stdin; what went wrong in words, or nothing."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own program, without a shell
            list(settings.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        return f"{settings.command[0]} cannot be started: {getattr(problem, 'strerror', None) or problem}"
    said = bytearray()
    assert process.stdin is not None
    assert process.stderr is not None
    writing = Thread(target=_write_all, args=(process.stdin, text.encode()), daemon=True)  # a program may never read
    reading = Thread(target=_read_last, args=(process.stderr, said), daemon=True)
    writing.start()
    reading.start()
    try:
        process.wait(settings.seconds)
        reading.join(LAST_WORDS_SECONDS)
    except subprocess.TimeoutExpired:
        return f"{settings.command[0]} took longer than {settings.seconds:g} s (notify.seconds)"
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
    if process.returncode:
        lines = bytes(said).decode("utf-8", "replace").strip().splitlines()
        more = f": {lines[-1][:MOST_SAID]}" if lines else ""
        return f"{settings.command[0]} ended with exit code {process.returncode}{more}"
    return ""


def _write_all(stream: IO[bytes], text: bytes) -> None:
    with suppress(OSError, ValueError), stream:
        stream.write(text)


def _read_last(stream: IO[bytes], said: bytearray) -> None:
    """Read ``stream`` to its end, keeping the last bytes in ``said``."""
    with suppress(OSError, ValueError), stream:
        while chunk := os.read(stream.fileno(), 1 << 16):
            said += chunk
            del said[:-LAST_BYTES]
