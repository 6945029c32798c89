"""Real Flower on loopback, with TLS and node keys; minutes long, and skipped where Flower is not installed.

Keys are agreed on for two rounds at once, of five. One device sleeps through the fourth round and answers when it is
over.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from deploy.loopback import CLIENTS, ROOT, set_aside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SETTINGS = """\
module: {class_path: tests.tiny_command.CommandModule}
data: {class_path: tests.tiny_command.DeviceData}
federation: {rounds: 5, local_steps: 2}
privacy: {key_source: seeded, allow_tiny_cohort: true}
security: {dropout_share: 0.34, epoch_rounds: 2}
deployment: {training_seconds: 5}
accelerator: cpu
"""
MESSAGES = [5, 3, 5, 3, 5]
SLEEPER, SLEPT = CLIENTS[2], 4
AWAKE = CLIENTS[:2]


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and entry.parent.name != str(os.getpid()):
            found.append(line)
    return found


def read_adapters(committed: Path) -> dict[str, bytes]:
    """Return the bytes of a round's global adapter and of the server's momentum."""
    return {name: tensor.tobytes() for name, tensor in load_file(committed / "server.safetensors").items()}


def figures(run: Path, tag: str) -> list[str]:
    """Return the values of a released figure, round by round."""
    with (run / "metrics.csv").open() as file:
        return [value for _, name, value in csv.reader(file) if name == tag]


def read_tags(run: Path) -> set[str]:
    with (run / "metrics.csv").open() as file:
        return {row["tag"] for row in csv.DictReader(file)}


@dataclass
class Deployment:
    """A run of the loopback command, and what was seen while it ran."""

    place: Path
    adapters: dict[int, dict[str, bytes]] = field(default_factory=dict)
    """By number of committed rounds."""
    workers: list[dict[str, set[int]]] = field(default_factory=list)
    """At each commit, the processes that each device had started."""
    said: str = ""

    def log(self, name: str) -> str:
        return (self.place / "logs" / f"{name}.log").read_text()

    def front(self, client: str) -> int:
        """Return the process that answers for a client."""
        return int(re.search(r"is ready: process (\d+)", self.log(f"device-{client}"))[1])

    def answered(self, client: str) -> list[tuple[int, int]]:
        """Return the attempts that a device has charged to its owner's budget."""
        lines = next((self.place / "devices" / client / "ledger").glob("*.jsonl")).read_text().splitlines()
        entries = map(json.loads, lines)
        return [(entry["round"], entry["attempt"]) for entry in entries if entry.get("event") == "charge"]

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Look at every round when it is committed; one device sleeps from one commit to the next."""
        while process.poll() is None:
            for committed in (self.place / "run" / "checkpoints").glob("round_[0-9][0-9][0-9][0-9]"):
                rounds = int(committed.name.removeprefix("round_"))
                if rounds not in self.adapters:
                    self.adapters[rounds] = read_adapters(committed)
                    self.workers.append({client: children(self.front(client)) for client in CLIENTS})
                    if fate := {SLEPT - 1: signal.SIGSTOP, SLEPT: signal.SIGCONT}.get(rounds):
                        os.kill(self.front(SLEEPER), fate)
            time.sleep(0.1)


def children(parent: int) -> set[int]:
    """Return the processes that a process has started and that still run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.add(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "tiny.yaml"
    path.write_text(SETTINGS)
    return path


def loopback_command(place: Path, settings: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "deploy.loopback", "--folder", str(place), "--settings", str(settings)]
    return [*command, "--clips", str(settings.parent), *more]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory, settings) -> Deployment:
    """Return what came of a whole run: real TLS, node keys and processes; seeded keys, which the owners allow."""
    done = Deployment(tmp_path_factory.mktemp("loopback") / "place")
    owner, words = settings.with_name("owner.json"), done.place.with_name("words")
    owner.write_text('{"seeded_keys": true}')
    with words.open("wb") as file:
        command = loopback_command(done.place, settings, "--owner", str(owner))
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        try:
            done.watch(process)
        finally:
            process.terminate()
            process.wait(120)
    done.said = words.read_text()
    assert process.returncode == 0, done.said
    return done


@pytest.mark.flower
def test_flower_and_a_simulation_have_the_same_bits_round_by_round(deployed, settings, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    here = [sys.executable, str(ROOT / "train.py"), "--config", str(settings), "--out_dir", str(tmp_path / "here")]
    subprocess.run([*here, f"--federation.rounds={SLEPT - 1}"], env=environment, check=True, timeout=600)
    for committed in (tmp_path / "here" / "checkpoints").glob("round_*"):
        assert deployed.adapters[int(committed.name.removeprefix("round_"))] == read_adapters(committed)
    steps = [figures(run, "released/step_norm") for run in (tmp_path / "here", deployed.place / "run")]
    assert len(set(steps[0])) == SLEPT - 1
    assert steps[1][: SLEPT - 1] == steps[0]


@pytest.mark.flower
def test_of_every_two_rounds_the_second_takes_three_messages(deployed):
    assert figures(deployed.place / "run", "released/messages") == [f"{messages}.0" for messages in MESSAGES]
    for client in AWAKE:  # what their SuperNodes handed on
        assert deployed.log(f"supernode-{client}").count("Sending: query message") == sum(MESSAGES)


@pytest.mark.flower
def test_devices_keep_their_processes_from_round_to_round(deployed):
    before_the_end = deployed.workers[: len(MESSAGES) - 1]
    assert all(workers == before_the_end[0] for workers in before_the_end)
    for client in CLIENTS:
        log = deployed.log(f"device-{client}")
        assert int(re.search(r"training in process (\d+)", log)[1]) in before_the_end[0][client]
        assert "replaced" not in log
        assert "left nothing in time" not in log


@pytest.mark.flower
def test_who_returns_late_with_an_old_round_does_not_get_in_and_is_back_for_the_next_keys(deployed):
    assert figures(deployed.place / "run", "released/survivors") == ["3.0", "3.0", "3.0", "2.0", "3.0"]
    assert deployed.said.count(f"Round {SLEPT} goes on without {SLEEPER}.") == 1
    everything = [(index, 0) for index in range(len(MESSAGES))]
    assert all(deployed.answered(client) == everything for client in AWAKE)
    assert deployed.answered(SLEEPER) == [position for position in everything if position[0] != SLEPT - 1]


@pytest.mark.flower
def test_the_server_has_released_figures_alone_and_leaves_no_process(deployed):
    run = deployed.place / "run"
    assert {tag.partition("/")[0] for tag in read_tags(run)} == {"released"}
    assert read_tags(run / "local") == {"local/peak_memory_mb"}  # the server's own
    assert not processes_of(deployed.place)


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """Have processes hear Ctrl-C; those that a shell starts in the background, and all they start, are told not to."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.flower
@pytest.mark.usefixtures("at_a_terminal")
def test_ctrl_c_in_the_middle_of_a_round_brings_everything_down(settings, tmp_path):
    own, run = tmp_path / "tiny.yaml", tmp_path / "run"
    own.write_text(settings.read_text().replace("key_source: seeded, ", ""))
    terminal = {"cwd": ROOT, "text": True, "start_new_session": True}
    process = subprocess.Popen(loopback_command(run, own), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **terminal)
    while process.poll() is None and not list((run / "run" / "checkpoints").glob("round_*")):
        time.sleep(0.5)
    assert len(processes_of(run)) > 8
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not processes_of(tmp_path)


@pytest.mark.usefixtures("at_a_terminal")
def test_ctrl_c_while_people_are_drawn_is_one_line(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "deploy.loopback"]
    terminal = {"cwd": tmp_path, "env": environment, "text": True, "start_new_session": True}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **terminal)
    while process.poll() is None and not list(tmp_path.rglob("clip_*.mp4")):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    *bars, last = said.replace("\r", "\n").split("\n")[:-1]
    assert (process.returncode, last) == (130, "deploy.loopback: interrupted.")
    assert all(not line or line.startswith("drawing demo people: ") for line in bars)
    assert not processes_of(tmp_path)


def test_a_folder_is_moved_aside(tmp_path):
    for content in ("one", "two", "three"):
        place = set_aside(tmp_path / "run")
        assert not list(place.iterdir())
        (place / content).touch()
    assert (tmp_path / "run.previous" / "two").exists()
