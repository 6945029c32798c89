"""Processes that end with the command that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ENDING_SECONDS = 10.0


class Processes:
    """Starts processes, each in a group of its own with a log, and ends all of their groups on leaving the context.

    Args:
        logs: Folder of the logs.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process whose words go into `<name>.log`."""
        with (self.logs / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_for(self, name: str, words: str, seconds: float) -> None:
        """Return when a process has said something.

        Raises:
            ValueError: If it ended before, or did not say it in time; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while words not in self.log(name):
            ended = self.running[name].poll() is not None
            if ended or time.monotonic() > deadline:
                raise ValueError(
                    f"{name} {'has ended' if ended else 'is late'}. Its last words: {self.last_words(name)}"
                )
            time.sleep(0.2)

    def log(self, name: str) -> str:
        """Return what a process has said so far."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def last_words(self, name: str) -> str:
        """Return the end of a log as one line."""
        return " ".join(self.log(name).split())[-400:] or "none"

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
        self.running.clear()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
