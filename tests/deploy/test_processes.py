from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.processes import Processes

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


ENDS = "print('oh no'); exit(3)"


@pytest.mark.slow
@pytest.mark.parametrize(("code", "reason"), [(ENDS, "has ended. Its last words: oh no"), (CHILD, "is late")])
def test_a_process_that_does_not_get_ready_is_one_line(tmp_path, code, reason):
    with Processes(tmp_path) as processes:
        processes.start("device", [sys.executable, "-c", code], dict(os.environ))
        with pytest.raises(ValueError, match=f"device {reason}"):
            processes.wait_for("device", "is ready", seconds=30 if code == ENDS else 0.3)
