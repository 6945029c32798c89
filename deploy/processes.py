"""Processes that end with the command that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from commandline import ENDINGS

ENDING_SECONDS = 10.0
MARK = "PRIVFEDTALK_STARTED_BY"


class Processes:
    """Starts processes, each in a group of its own with a log, and ends all that came of them on leaving the context.

    Flower starts processes in sessions of their own; they are known by a mark that every child inherits in its
    environment. Where there is no /proc, only the groups are ended.

    Args:
        logs: Folder of the logs.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.mark = uuid4().hex
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        with _undisturbed():
            self.end()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process whose words go into `<name>.log`."""
        with (self.logs / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                env={**environment, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a command in the foreground and return its exit code; what it leaves behind is ended with the rest."""
        return subprocess.run(command, env={**environment, MARK: self.mark}).returncode

    def wait_for(self, name: str, words: str, seconds: float) -> None:
        """Return when a process has said something.

        Raises:
            ValueError: If it ended before, or did not say it in time; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while words not in self.log(name):
            ended = self.running[name].poll() is not None
            if ended or time.monotonic() > deadline:
                raise ValueError(f"{name} {'has ended' if ended else 'is late'}. {self.last_words(name)}")
            time.sleep(0.2)

    def log(self, name: str) -> str:
        """Return what a process has said so far."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def last_words(self, name: str) -> str:
        """Return the end of a log, and where all of it is, as one line."""
        words = " ".join(self.log(name).split())[-400:] or "none"
        return f"Its last words: {words} (all of them: {self.logs / name}.log)"

    def end(self) -> None:
        """End all groups, the last started first, gently and then not."""
        for process in reversed(self.running.values()):
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + ENDING_SECONDS
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _signal_group(process, signal.SIGKILL)  # whoever outlived its leader
            process.wait()
        while left := find_marked(self.mark):
            for number in left:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.05)
        self.running.clear()


def find_marked(mark: str) -> list[int]:
    """Return the processes that inherited a mark; those that have ended have no environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hear no further Ctrl-C: an ending that is cut short would leave processes behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
