"""Errors of predict-age, by exit code.

::

    PredictAgeError
    |-- ConfigError      2   fix the command, the configuration or the feature file
    |-- InputError       3   fix or replace the source
    |-- IntegrityError   4   files or rows do not reconcile: nothing was published; see the message
    |-- QualityError     5   the model is not good enough to publish
    |-- ResourceError    6   out of resources (disk, memory, workers): free some and resume
    |   |-- LimitError       a run or a query exceeds its time or cost limit
    |   `-- OutputError      the result was computed, but stdout cannot be written
    `-- BusyError       75   another run holds the workspace: wait
        `-- LeaseLostError   another run took over the workspace: this run may write nothing more

Every message says what was expected, what was found, and what to do. The numbers are the exit codes of the command line.
"""

from __future__ import annotations

import errno
import os


class PredictAgeError(Exception):
    """Base of all errors that a user can see."""

    exit_code = 1

    def __init__(self, message: str, *, expected: str = "", found: str = "", fix: str = "") -> None:
        self.message, self.expected, self.found, self.fix = message, expected, found, fix
        parts = [message]
        for label, text in (("expected", expected), ("found", found), ("to fix", fix)):
            if text:
                parts.append(f"{label}: {text}")
        super().__init__("\n  ".join(parts))


class ConfigError(PredictAgeError):
    """The command, the configuration or the feature file is wrong."""

    exit_code = 2


class InputError(PredictAgeError):
    """The source cannot be used."""

    exit_code = 3


class IntegrityError(PredictAgeError):
    """The row accounting does not reconcile, or a file differs from its recorded hash."""

    exit_code = 4


class QualityError(PredictAgeError):
    """The result is below a configured quality."""

    exit_code = 5


class ResourceError(PredictAgeError):
    """The machine is out of resources: disk, memory, or a worker that died too often."""

    exit_code = 6


EXHAUSTED = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ENOMEM: "the memory is used up",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.EACCES: "permission was denied",
    errno.EPERM: "permission was denied",
    errno.EIO: "a disk reported an error",
}


def file_error(error: OSError, *, of_run: bool = False) -> PredictAgeError:
    """Error for a failed file operation, naming the resource; a name that is too long is one of usage. ``of_run``: it can go on."""
    if error.errno == errno.ENAMETOOLONG:
        return ConfigError(
            "a name of a file is too long",
            expected="names of at most 255 bytes, in paths of at most 4,096",
            found=f"{len(os.fsencode(error.filename))} bytes" if error.filename else str(error),
            fix="give a shorter name",
        )
    reason = EXHAUSTED.get(error.errno or 0, error.strerror or str(error))
    fix = "correct that, then `predict-age resume`" if of_run else "correct that, then try again"
    return ResourceError(f"out of resources: {reason}", found=str(error), fix=fix)


NO_MEMORY_TEXTS = {  # what errors of other types say when there is no memory for a block, a library or a thread
    OSError: ("Out of Memory Error",),
    ImportError: ("failed to map segment", "cannot allocate memory", "Cannot allocate memory"),
    RuntimeError: ("can't start new thread",),
}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy, Arrow or DuckDB ran out of memory. DuckDB's class is told by its name: nothing is imported here."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, MemoryError) or "OutOfMemoryException" in names:
        return True
    return any(text in str(error) for kind, texts in NO_MEMORY_TEXTS.items() if isinstance(error, kind) for text in texts)


def install_extra(name: str) -> str:
    """Advice on installing the packages of an extra, for the ``fix`` of an error."""
    return (
        f"pip install 'predict-age[{name}]' where pip has installed predict-age; with uv tool or pipx, install the wheel again "
        f"with [{name}] after its name (docs/installation.md)"
    )


def memory_error(error: BaseException, fix: str = "") -> ResourceError:
    """ResourceError for an error that :func:`is_out_of_memory` recognises."""
    found = str(error).partition("\n")[0] or type(error).__name__
    return ResourceError(
        "out of resources: the memory is used up",
        found=found,
        fix=fix or "lower --workers (`predict-age resume --workers N` for a run), or use a machine with more memory",
    )


class LimitError(ResourceError):
    """A run or a query exceeds its time or cost limit."""


class OutputError(ResourceError):
    """Standard output is closed, or what it leads to is full."""


class BusyError(PredictAgeError):
    """Another run holds the workspace."""

    exit_code = 75


class LeaseLostError(BusyError):
    """The lease expired and another run took over the workspace; nothing of this run is published."""
