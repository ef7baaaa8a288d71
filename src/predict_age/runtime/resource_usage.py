"""Wall time and peak memory of a step: the process and its workers together, sampled from /proc."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL = 0.25
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _tree_rss() -> int:
    """Resident bytes of this process and all its descendants; shared pages count once for each."""
    total = 0
    todo = [os.getpid()]
    while todo:
        pid = todo.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, IndexError, ValueError):
            continue
    return total


class Measure:
    """``with Measure() as m: ...`` then ``m.seconds`` and ``m.peak_rss_bytes``."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_rss_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.seconds = time.perf_counter() - self._start
        self._stop.set()
        self._thread.join()
        if not self.peak_rss_bytes:  # no /proc here
            unit = 1 if sys.platform == "darwin" else 1024
            self.peak_rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def _watch(self) -> None:
        while True:
            self.peak_rss_bytes = max(self.peak_rss_bytes, _tree_rss())
            if self._stop.wait(INTERVAL):
                return
