"""Folder of one command in TMPDIR, for sockets and heartbeats of its workers; those of commands that were killed are removed.

A folder's name holds machine and process, so that another command can tell whether its owner still lives. Sockets cannot lie in the
workspace: their paths may have 107 bytes at most.
"""

from __future__ import annotations

import atexit
import hashlib
import multiprocessing
import os
import platform
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

CRASH_FILES = "predict-age-crash-"  # beginning of their names; they hold types of errors and lines of code
KEEP_CRASH_FILES_SECONDS = 7 * 86_400  # time to send one to the developers
OTHER_MACHINE_SECONDS = 86_400  # what another machine made that shares the folder is taken for dead after a day
_OF_A_COMMAND = re.compile(r"predict-age-(?P<machine>[0-9a-f]{4})-(?P<process>\d+)(-\w+)?")


_own_folders: dict[int, Path] = {}  # by process, since a forked child has its parent's


def temporary_folder() -> Path:
    """The folder of this process, made when it is first asked for and removed at exit; ``multiprocessing`` uses it, too.

    Raises OSError where TMPDIR cannot be written to.
    """
    known = _own_folders.get(os.getpid())
    if known is None or not known.is_dir():
        known = _own_folders[os.getpid()] = _make_folder()
    return known


def is_in_own_folder(path: Path) -> bool:
    """Whether a file lies in a folder of this program in TMPDIR, which is gone when its command has ended."""
    temporary = Path(tempfile.gettempdir()).resolve()
    inside = path.resolve().relative_to(temporary) if path.resolve().is_relative_to(temporary) else None
    return inside is not None and len(inside.parts) > 1 and inside.parts[0].startswith("predict-age-")


def _make_folder() -> Path:
    name = f"predict-age-{_short_machine_name()}-{os.getpid()}"  # short, for paths of sockets
    folder = Path(tempfile.gettempdir()) / name
    if _is_mine(folder):  # of a dead process that had this number
        shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # of another user
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    multiprocessing.process.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]
    atexit.register(_remove_own, folder, os.getpid())
    return folder


def _remove_own(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child has the same exit functions
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead_temporary_folders() -> int:
    """Remove what dead commands of this user left in TMPDIR, and crash files older than a week; returns their number."""
    dead = [path for path in Path(tempfile.gettempdir()).glob("predict-age-*") if _is_mine(path) and _is_over(path)]
    for path in dead:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    return len(dead)


def _is_mine(path: Path) -> bool:
    """Whether this user made ``path``, and it is no link: TMPDIR belongs to everybody."""
    try:
        return not path.is_symlink() and (not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid())
    except OSError:
        return False


def _is_over(path: Path) -> bool:
    if path.name.startswith(CRASH_FILES):
        return path.is_file() and _age_seconds(path) > KEEP_CRASH_FILES_SECONDS
    found = _OF_A_COMMAND.fullmatch(path.name)
    return (
        found is not None
        and path.is_dir()
        and is_dead_owner(path, found["machine"] == _short_machine_name(), int(found["process"]))
    )


def is_dead_owner(path: Path, is_this_machine: bool, process: int) -> bool:
    """Whether the ``process`` that made ``path`` has ended; when it ran on another machine: whether ``path`` is a day old.

    Likewise on Windows, where asking a process would interrupt it.
    """
    if not is_this_machine or os.name == "nt":
        return _age_seconds(path) > OTHER_MACHINE_SECONDS
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _short_machine_name() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=2).hexdigest()


def _age_seconds(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0
