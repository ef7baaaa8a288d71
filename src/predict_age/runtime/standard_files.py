"""Standard input, output and error of a process that was started without them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def open_standard_files() -> None:
    """Open closed standard files: the next file that is opened would take their number, and libraries print to it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
