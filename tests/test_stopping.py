"""Stops and time limits get through, whatever code they strike in, and no lost stop lets work count."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from predict_age.errors import LimitError
from predict_age.runs.budget import within
from predict_age.runtime import signals
from processes import start


def wait() -> None:
    """Longer than any limit here."""
    time.sleep(20)


def swallow() -> None:
    """A library that takes every error for its own and goes on."""
    for _ in range(200):
        try:
            time.sleep(0.1)
        except Exception:
            continue


def call_back() -> None:
    """Compiled code that calls into Python again and again, where an exception is printed and forgotten; then it is done."""
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))

    @compare
    def slowly(_a: object, _b: object) -> int:
        time.sleep(0.01)
        return 0

    numbers = (ctypes.c_int * 20)()
    ctypes.CDLL(None).qsort(numbers, 20, 4, slowly)
    wait()


def start_threads() -> None:
    """Starting threads, all the time: an error in there makes threading lose its books."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()


@pytest.mark.parametrize("work", [wait, swallow, call_back, start_threads])
def test_limit_gets_through(work: Callable[[], None], capfd: pytest.CaptureFixture[str]) -> None:
    """The limit ends the work soon, as a LimitError, and nothing is printed by anybody."""
    began = time.monotonic()
    with pytest.raises(LimitError, match="reached its time or cost limit"), within(0.1):
        work()
    assert time.monotonic() - began < 3
    assert capfd.readouterr().err == ""


def test_nothing_left_is_said_before_anything_is_done() -> None:
    """A limit that is used up already strikes before the block begins."""
    done = []
    with pytest.raises(LimitError), within(0.0):
        done.append(1)
    assert not done


def test_lost_stop_does_not_let_work_count() -> None:
    """Between the loss of a stop and its second strike, ``check`` refuses to call work done; afterwards all is forgotten."""

    class Last:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGALRM)
            time.sleep(0.01)

    with pytest.raises(LimitError), within(60.0):
        last = Last()
        del last
        signals.check()
        pytest.fail("a stop was lost, and work would have counted")
    signals.check()


def test_other_lost_errors_are_still_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """Only stops are taken from Python's report of lost exceptions."""

    class Last:
        def __del__(self) -> None:
            raise ValueError("of somebody else")

    with within(60.0):
        last = Last()
        del last
    assert "of somebody else" in capfd.readouterr().err


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Terminated")])
def test_stop_from_outside_gets_through_compiled_code(number: signal.Signals, name: str) -> None:
    """SIGINT and SIGTERM, too, strike again when a callback from compiled code has lost them."""
    code = f"""
import os, signal, sys, threading
sys.path.insert(0, {str(Path(__file__).parent)!r})
from predict_age.runtime import signals
from test_stopping import call_back
signals.install_handlers()
threading.Timer(0.1, os.kill, (os.getpid(), {int(number)})).start()
try:
    call_back()
except KeyboardInterrupt as stop:
    print(type(stop).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.stdout.strip(), done.stderr) == (name, "")


@pytest.mark.parametrize(
    ("seconds", "fresh"),
    [(0.3, True), (0.6, True), (0.9, True), (0.1, False), (0.3, False), (0.6, False), (1.0, False)],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_at_any_moment(
    number: signal.Signals, seconds: float, fresh: bool, small_files: Path, quick: Path, tmp_path: Path
) -> None:
    """While modules are imported, the source is checked, the server forks: the same exit code, and never a traceback, of any process."""
    process = start(small_files, tmp_path / "w", quick, fresh=fresh)
    time.sleep(seconds)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.terminate()
    _, err = process.communicate(timeout=20)
    early = {-number} if number == signal.SIGTERM else set()  # a slow machine has not begun to listen
    ending = {-number} if "9/9 Post-cleanup" in err else set()  # a fast machine was done, and Python no longer listened
    assert process.returncode in {128 + number, 0, *early, *ending}, err  # 0: a fast machine was done
    assert "Traceback" not in err and "internal error" not in err and "compile" not in err, err


def test_error_that_a_stop_became_is_a_stop() -> None:
    """A library that makes an error of its own from Ctrl-C does not make a bug of it."""
    code = (
        "import signal, sys, predict_age.cli\ncli = sys.modules['predict_age.cli.app']\n"
        "def app():\n"
        "    try:\n        signal.raise_signal(signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n        raise ImportError('half a module')\n"
        "cli.app = app\ncli.run_cli()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "predict-age: stopped\n")


def test_error_that_a_time_limit_became_is_the_limit() -> None:
    """A library that makes an error of its own from the time limit does not make a bug of it; any other error stays."""

    def interrupted() -> None:
        try:
            while True:
                time.sleep(0.01)
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None

    with pytest.raises(signals.OutOfTime), signals.stopping_after(0.05):
        interrupted()
    with pytest.raises(RuntimeError, match="of its own"), signals.stopping_after(60):
        raise RuntimeError("of its own")


@pytest.mark.parametrize(("last", "code"), [("forget_signal()", 130), ("", -signal.SIGINT)])
def test_stop_out_of_a_string_of_code_leaves_the_exit_code(last: str, code: int, tmp_path: Path) -> None:
    """Python would end such a module by the signal; without the last line it does."""
    (tmp_path / "stopped.py").write_text(
        "import sys\nfrom predict_age.runtime.signals import forget_signal\n"
        f"try:\n    exec('raise KeyboardInterrupt')\nexcept KeyboardInterrupt:\n    pass\n{last}\nsys.exit(130)"
    )
    assert subprocess.run([sys.executable, "-m", "stopped"], cwd=tmp_path).returncode == code


def test_stop_waits_for_an_import(tmp_path: Path) -> None:
    """The module is whole, and no lock is left that another thread would wait for."""
    (tmp_path / "slow.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nwhole = True\n")
    code = f"""
import _imp, sys, time
from predict_age.runtime.signals import install_handlers
sys.path.insert(0, {str(tmp_path)!r})
install_handlers()
try:
    import slow
    time.sleep(5)
except KeyboardInterrupt:
    print(slow.whole, _imp.lock_held())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.stdout.strip(), done.stderr) == ("True False", "")


def test_stop_while_the_command_line_is_imported_is_that_stop(tmp_path: Path) -> None:
    """It waits for the import, and is not forgotten when the command itself begins to listen."""
    code = f"""
import signal, sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "predict_age.cli":
            signal.raise_signal(signal.SIGTERM)
sys.meta_path.insert(0, Slow())
sys.argv = ["predict-age", "run", "--source", "x", "--workspace", {str(tmp_path / "w")!r}, "--as-of", "2025-10-23"]
from predict_age.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (143, "predict-age: stopped\n")


@pytest.mark.parametrize("seconds", [366.0 * 86_400, *(10.0**power for power in range(8, 309, 20)), math.inf])
def test_a_limit_longer_than_a_timer_can_be_is_no_limit(seconds: float) -> None:
    """The work is done, and no timer is left behind."""
    with signals.stopping_after(seconds):
        remaining = signal.getitimer(signal.ITIMER_REAL)[0]
    assert 0 < remaining <= seconds
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
