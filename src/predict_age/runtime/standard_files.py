"""Standard input, output and error of a process that was started without them, or whose standard error takes nothing."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any


class _Messages(io.FileIO):
    """Standard error that drops what cannot be written (full disk, reader that has ended): no message is part of a result."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def open_standard_files() -> None:
    """Open closed standard files: the next file that is opened would take their number, and libraries print to it.

    An error of writing to standard error ends no command from now on. Python itself would end with exit code 120.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    given = sys.stderr
    if given is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    elif given is sys.__stderr__:
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        raw = io.BufferedWriter(_Messages(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, encoding, errors, line_buffering=True)
