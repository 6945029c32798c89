from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Timer

import pytest

from commandline import ENDINGS, end_on_signals
from deploy.processes import Processes, find_marked

CHILD = "import time; time.sleep(600)"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}])
print("child", child.pid, flush=True)
child.wait()
"""
AWAY = PARENT.replace("])", "], start_new_session=True)")
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("child 0", flush=True)
time.sleep(600)
"""


def is_alive(process: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def interrupt(folder: Path, code: str) -> list[int]:
    """Start a process, press Ctrl-C and return the numbers of all that was started."""
    started: list[int] = []
    with suppress(KeyboardInterrupt), Processes(folder) as processes:
        processes.start("parent", [sys.executable, "-c", code], dict(os.environ))
        processes.wait_for("parent", "child", seconds=30)
        child = int(processes.log("parent").split()[1])
        started += [processes.running["parent"].pid, *([child] if child else [])]
        assert all(map(is_alive, started))
        raise KeyboardInterrupt
    return started


@pytest.mark.slow
@pytest.mark.parametrize("code", [PARENT, AWAY, STUBBORN], ids=["with a child", "in another session", "stubborn"])
def test_no_process_outlives_the_command(tmp_path, monkeypatch, code):
    monkeypatch.setattr("deploy.processes.ENDING_SECONDS", 1.0)
    started = interrupt(tmp_path, code)
    deadline = time.monotonic() + 10
    while any(map(is_alive, started)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, started))


def impatient(folder: Path, signals: list[signal.Signals]) -> str:
    """Start a process that needs a second to end, be told to end several times, and return what was said of it."""
    try:
        with Processes(folder) as processes:
            processes.start("stubborn", [sys.executable, "-c", STUBBORN], dict(os.environ))
            processes.wait_for("stubborn", "child", seconds=30)
            for number, moment in zip(signals, (0.6, 0.3, 0.0), strict=True):
                Timer(moment, os.kill, [os.getpid(), number]).start()
            time.sleep(30)
    except KeyboardInterrupt:
        return processes.mark
    raise AssertionError("Nobody interrupted.")


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDINGS)
def test_whoever_interrupts_again_does_not_interrupt_the_ending(tmp_path, monkeypatch, number):
    monkeypatch.setattr("deploy.processes.ENDING_SECONDS", 1.0)
    before = {each: signal.signal(each, signal.SIG_DFL) for each in ENDINGS}  # under nohup one of them is ignored
    try:
        end_on_signals()
        assert not find_marked(impatient(tmp_path, [signal.SIGINT, signal.SIGTERM, number]))
        assert all(signal.getsignal(each) is signal.default_int_handler for each in ENDINGS)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@pytest.mark.slow
def test_what_a_command_leaves_behind_is_ended(tmp_path):
    with Processes(tmp_path) as processes:
        code = AWAY.replace("child.wait()", "sys.exit(3)")
        assert processes.run([sys.executable, "-c", code], dict(os.environ)) == 3
        assert len(find_marked(processes.mark)) == 1
    assert not find_marked(processes.mark)


ENDS = "print('oh no'); exit(3)"


@pytest.mark.slow
@pytest.mark.parametrize(("code", "reason"), [(ENDS, "has ended. Its last words: oh no"), (CHILD, "is late")])
def test_a_process_that_does_not_get_ready_is_one_line(tmp_path, code, reason):
    with Processes(tmp_path) as processes:
        processes.start("device", [sys.executable, "-c", code], dict(os.environ))
        with pytest.raises(ValueError, match=f"device {reason}"):
            processes.wait_for("device", "is ready", seconds=30 if code == ENDS else 0.3)
