"""Several server processes behind one socket, and the process that leads them: it starts them, and replaces those that die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from predict_age.errors import ConfigError, ResourceError
from predict_age.storage.workspace import Workspace

READY = "serving run "
LAST_REQUESTS_SECONDS = 10.0
SHORT_LIFE_SECONDS = 20.0
MOST_SHORT_LIVES = 5  # in a row, after which the next start waits: another one at once would not help
LONGEST_PAUSE_SECONDS = 60.0  # before another try to replace a worker
SAID_AGAIN_SECONDS = 15.0  # in which a sentence of several workers is said once


@dataclass(frozen=True)
class WorkerTask:
    """Arguments of a worker: the workspace, the open socket, the file of keys, and the folder of counters."""

    workspace: str
    socket: int
    keys: str | None
    counters: str

    @classmethod
    def from_json(cls, text: str) -> WorkerTask:
        """The task that a leading process wrote. Raises ConfigError for any other text."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            raise ConfigError(
                "--worker cannot be used by hand", expected="the task of a leading process", fix="--workers N starts several"
            ) from None

    def command(self) -> list[str]:
        """The command line of the worker, which leaves its keys in their file."""
        return [sys.executable, "-m", "predict_age", "serve", "--workspace", self.workspace, "--worker", json.dumps(asdict(self))]


@dataclass
class _Worker:
    """A process and the thread that reads what it says."""

    process: subprocess.Popen[bytes]
    born: float
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def serves(self) -> bool:
        """Whether the process answers requests."""
        return self.ready.is_set() and self.process.poll() is None


class Workers:
    """The processes of a server. ``notice`` is called with each sentence for the operator, once for all workers."""

    def __init__(self, workspace: Workspace, keys: Path | None, listening: socket.socket, notice: Callable[[str], None]) -> None:
        self._workspace, self._keys, self._listening, self._notice = workspace, keys, listening, notice
        self._said: dict[str, float] = {}
        self._saying = threading.Lock()
        self._stopping = False
        self._short_lives = 0
        self._paused: dict[int, float] = {}  # when to try again, by the place of a worker that cannot be replaced now
        self._failures: dict[int, int] = {}

    def run(self, number: int) -> None:
        """Serve with ``number`` workers until SIGTERM or SIGINT. Raises ResourceError when they cannot start at all."""
        previous = {kind: signal.signal(kind, self._stop) for kind in (signal.SIGTERM, signal.SIGINT)}
        with tempfile.TemporaryDirectory(prefix="predict-age-counters-") as counters:
            workers = [self._started(counters) for _ in range(number)]
            try:
                self._watch(workers, counters)
            finally:
                self._end(workers)
                for kind, handler in previous.items():
                    signal.signal(kind, handler)
        self._notice("stopped")

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _started(self, counters: str, *, quiet: bool = False) -> _Worker:
        """A new worker. A ``quiet`` one does not repeat the error that the one before it has said."""
        task = WorkerTask(str(self._workspace.root), self._listening.fileno(), str(self._keys) if self._keys else None, counters)
        # the worker ends when its standard input does, so that nobody is left when this process is killed
        process = subprocess.Popen(  # noqa: S603 - this program
            task.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            pass_fds=[self._listening.fileno()],
            start_new_session=True,
        )
        made = _Worker(process, time.monotonic())
        threading.Thread(target=self._relay, args=(made,), daemon=True).start()
        return made

    def _relay(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        for line in worker.process.stdout:
            sentence = line.decode("utf-8", "replace").rstrip()
            if sentence.startswith(READY):
                worker.ready.set()
            elif sentence != "stopped":
                self._say(sentence)

    def _say(self, sentence: str) -> None:
        now = time.monotonic()
        with self._saying:
            if now - self._said.get(sentence, -SAID_AGAIN_SECONDS) >= SAID_AGAIN_SECONDS:
                self._said[sentence] = now
                self._notice(sentence)

    def _watch(self, workers: list[_Worker], counters: str) -> None:
        """Say when all are ready; replace those that die."""
        announced = False
        while not self._stopping:
            if not announced and all(worker.ready.is_set() for worker in workers):
                host, port = self._listening.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                run = self._workspace.published.current
                self._notice(f"{READY}{run} on http://{shown}:{port} by {len(workers)} workers (API: /)")
                announced = True
            for number, worker in enumerate(workers):
                code = worker.process.poll()
                if code is None or self._stopping:
                    if number in self._failures and worker.serves:
                        del self._failures[number]
                        self._notice("a worker that could not be replaced serves again")
                    continue
                if number in self._paused:
                    if time.monotonic() >= self._paused[number]:
                        del self._paused[number]
                        workers[number] = self._started(counters, quiet=True)
                    continue
                short = time.monotonic() - worker.born < SHORT_LIFE_SECONDS
                self._short_lives = self._short_lives + 1 if short else 0
                _close(worker)
                if (code > 0 and not worker.ready.is_set()) or self._short_lives > MOST_SHORT_LIVES:
                    if not announced:
                        raise ResourceError(
                            "a worker of the server cannot go on", found=f"exit code {code}", fix="see the sentences above"
                        )
                    self._pause(number, code, any(other.serves for other in workers))
                    continue
                self._notice(f"a worker died ({code}) and another one is started")
                workers[number] = self._started(counters)
            time.sleep(0.05)

    def _pause(self, number: int, code: int, others_serve: bool) -> None:
        """Try again later to replace the worker at place ``number``; others, if any, serve on with what they have loaded."""
        failures = self._failures[number] = self._failures.get(number, 0) + 1
        self._paused[number] = time.monotonic() + min(2.0 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
        if not others_serve:
            self._say(f"no worker serves now ({code}): requests wait, and it is tried again at least every minute")
        elif failures == 1:
            self._notice(f"a worker cannot be replaced now ({code}): the others serve on, and it is tried again")

    @staticmethod
    def _end(workers: list[_Worker]) -> None:
        """Let all workers finish the requests in hand, for ten seconds at most."""
        for worker in workers:
            with suppress(ProcessLookupError):
                worker.process.terminate()
        deadline = time.monotonic() + LAST_REQUESTS_SECONDS
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.05, deadline - time.monotonic()))
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
            _close(worker)


def _close(worker: _Worker) -> None:
    if worker.process.stdin is not None:
        with suppress(OSError):
            worker.process.stdin.close()


@dataclass
class SharedCounters:
    """Counters of all workers: each writes its own to a file of ``folder`` once in a while, and reads those of the others.

    Files of workers that died stay, so that no counter falls.
    """

    folder: Path

    def write(self, state: str) -> None:
        """Replace the file of this process."""
        path = self.folder / f"{os.getpid()}.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(state)
        temporary.replace(path)

    def of_others(self) -> list[str]:
        """States of the other processes, as they wrote them last."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            if path.stem != str(os.getpid()):
                with suppress(OSError):
                    found.append(path.read_text())
        return found
