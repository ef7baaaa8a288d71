"""Commands in processes of their own that need no start of Python: each is forked from a process that has imported the program.

Starting Python, importing the program and starting the server that forks workers takes more processor time than a small command itself.
:func:`launch` asks a *starter* (one for each process of a test session, single-threaded, in a session of its own) for a process with
the given arguments, folder, environment and standard files. It then runs ``predict_age.__main__.main``, as ``python -m predict_age``
does, and forks its server of workers from itself. Exit code, signals, children and output are those of any process. Tests of what
happens while Python starts and imports, or of variables that Python itself reads, start Python: ``processes.start`` with ``fresh=True``.
"""

from __future__ import annotations

import atexit
import ctypes
import io
import os
import pickle
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

SERVER_NAME = "fork-server"  # of the process that forks workers, and of these, in /proc/<number>/comm
CLOSED = -1  # a standard file that is not open
READ_BY_PYTHON = ("PYTHON", "LC_", "LANG", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "ARROW_", "LD_")  # at its start, or by libraries
_WORD = struct.Struct("i")


class Forked:
    """A running command: those members of ``subprocess.Popen`` that tests use. Output is text."""

    def __init__(self, status: int, out: int, err: int, fed: int) -> None:
        self._status, self._fed = status, fed
        self.stdout = None if out < 0 else open(out, encoding="utf-8")  # noqa: SIM115
        self.stderr = None if err < 0 else open(err, encoding="utf-8")  # noqa: SIM115
        (self.pid,) = _WORD.unpack(os.read(status, _WORD.size))
        self.returncode: int | None = None

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self.communicate()

    def poll(self) -> int | None:
        return self._ended(0.0)

    def _ended(self, seconds: float | None) -> int | None:
        """The exit code, once there is one; waits for it at most so long."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(seconds):
                    return None
            (status,) = _WORD.unpack(os.read(self._status, _WORD.size))
            os.close(self._status)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None, given: bytes = b"") -> tuple[str, str]:
        """Wait for the end, and what the process wrote meanwhile to pipes."""
        until = None if timeout is None else time.monotonic() + timeout
        if self._fed >= 0:
            with suppress(BrokenPipeError), open(self._fed, "wb") as stream:  # noqa: PTH123
                stream.write(given)
            self._fed = -1
        texts = {id(stream): bytearray() for stream in (self.stdout, self.stderr)}
        with selectors.DefaultSelector() as selector:
            for stream in (self.stdout, self.stderr):
                if stream is not None and not stream.closed:
                    selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                left = None if until is None else until - time.monotonic()
                ready = [] if left is not None and left <= 0 else selector.select(left)
                if not ready:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 16)
                    texts[id(key.fileobj)] += data
                    if not data:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        out, err = (texts[id(stream)].decode() for stream in (self.stdout, self.stderr))
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def can_fork(env: Mapping[str, str]) -> bool:
    """Whether nothing in the environment would have been read before ``main``."""
    changed = {name for name in env.keys() | os.environ.keys() if env.get(name) != os.environ.get(name)}
    return sys.platform == "linux" and not any(name.startswith(READ_BY_PYTHON) for name in changed)


def launch(
    arguments: Sequence[object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    fed: bool = False,
) -> Forked:
    """Start ``python -m predict_age`` with these arguments, in a session of its own. Standard files: None is a pipe, or CLOSED.

    Without ``fed``, which makes a pipe, standard input is empty.
    """
    environment = {**os.environ, **(env or {})}
    assert can_fork(environment), "start Python for such an environment"
    ours, theirs, pipes = {}, [], []
    for number, wanted in enumerate((stdin, stdout, stderr)):
        if wanted is None and (number or fed):
            reading, writing = os.pipe()
            ours[number], wanted = (reading, writing) if number else (writing, reading)  # noqa: PLW2901
            pipes.append(wanted)
        elif wanted is None:
            wanted = os.open(os.devnull, os.O_RDONLY)  # noqa: PLW2901
            pipes.append(wanted)
        theirs.append(wanted)
    status, told = os.pipe()
    closed = [number for number, wanted in enumerate(theirs) if wanted == CLOSED]
    request = pickle.dumps((list(map(str, arguments)), environment, str(cwd or Path.cwd()), closed))
    passed = [told if wanted == CLOSED else wanted for wanted in theirs]
    socket.send_fds(_starter(), [request], [*passed, told])
    for descriptor in (*pipes, told):
        os.close(descriptor)
    return Forked(status, ours.get(1, -1), ours.get(2, -1), ours.get(0, -1))


def run(
    arguments: Sequence[object], *, timeout: float = 300.0, given: bytes = b"", **more: Any
) -> subprocess.CompletedProcess[str]:
    """As ``subprocess.run`` with output as text: the command to its end."""
    process = launch(arguments, fed=bool(given), **more)
    try:
        out, err = process.communicate(timeout, given)
    except BaseException:
        process.kill()
        raise
    return subprocess.CompletedProcess(["predict-age", *map(str, arguments)], process.wait(), out, err)


_starters: dict[int, socket.socket] = {}  # by process


def _starter() -> socket.socket:
    """The connection to the starter of this process, which ends when this process does."""
    if os.getpid() not in _starters:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        starter = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **single},
            start_new_session=True,
        )
        theirs.close()
        _starters[os.getpid()] = ours
        atexit.register(_end, starter, ours, os.getpid())
    return _starters[os.getpid()]


def _end(starter: subprocess.Popen[bytes], ours: socket.socket, owner: int) -> None:
    if os.getpid() == owner:
        ours.close()
        starter.wait()


# Below: the starter.


def _warm() -> None:
    """Import what commands and workers import. Nothing here may start a thread."""
    from predict_age.runtime.import_blocking import block_unused_imports

    block_unused_imports()
    import gc

    import duckdb  # noqa: F401
    import lightgbm  # noqa: F401
    import scipy.sparse
    import scipy.special  # noqa: F401

    from faults import warm

    warm()
    gc.collect()
    gc.freeze()  # a collection would write to all pages of memory, and so copy them
    atexit.register(gc.unfreeze)


def _serve(client: socket.socket) -> list[str]:
    """Fork a process for each request. Returns only in such processes: the command's arguments."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(client, 1 << 20, 8)
        if not request:
            sys.exit()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        if os.fork() == 0:  # a process that waits for the command, and tells how it ended
            client.close()
            files, told = descriptors[:3], descriptors[3]
            child = os.fork()
            if child == 0:
                os.close(told)
                arguments, environment, folder, closed = pickle.loads(request)
                _become(files, environment, folder, closed)
                return list(arguments)
            for descriptor in files:
                os.close(descriptor)
            os.write(told, _WORD.pack(child))
            os.write(told, _WORD.pack(os.waitpid(child, 0)[1]))
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _become(files: list[int], environment: dict[str, str], folder: str, closed: list[int]) -> None:
    """Take session, standard files, folder and environment of the command."""
    os.setsid()
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)
    for descriptor in {*files, *closed}:
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    sys.stdin = None if 0 in closed else io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")  # type: ignore[assignment]
    for name, number, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        raw = None if number in closed else io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        setattr(sys, name, raw and io.TextIOWrapper(raw, "utf-8", errors, line_buffering=number == 2))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _fork_servers() -> None:
    """Let ``multiprocessing`` fork the server of workers from this process, instead of starting Python for it.

    A server that is started again, because it was killed, is started as usual: by then the process has several threads.
    """
    from multiprocessing import util

    start = util.spawnv_passfds

    def started(path: bytes, arguments: list[str], passed: list[int]) -> int:
        if "multiprocessing.forkserver" not in arguments[-1] or threading.active_count() > 1:
            return start(path, arguments, passed)
        if child := os.fork():
            return child
        code = 1
        try:
            ctypes.CDLL(None).prctl(15, SERVER_NAME.encode())
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                if callable(signal.getsignal(number)):
                    signal.signal(number, signal.SIG_DFL)
            kept = {0, 1, 2, *passed}
            for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
                if int(name) not in kept:
                    with suppress(OSError):
                        os.close(int(name))
            exec(arguments[-1], {"__name__": "__main__"})
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)

    util.spawnv_passfds = started


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    _warm()
    words = _serve(socket.socket(fileno=int(sys.argv[1])))
    import predict_age.__main__ as program

    sys.argv = [str(program.__file__), *words]
    sys.modules["__main__"] = program
    _fork_servers()
    program.main()
