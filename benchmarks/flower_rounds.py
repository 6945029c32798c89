"""Times a round over Flower beside one that does nothing: `python -m benchmarks.flower_rounds --run DIR`.

The floor is measured here, on loopback, with TLS, node keys and three nodes: five questions to devices that echo at
once, or three as in a later round of an epoch, each as long as the order or the message of its stage. What a run took
beside it is read from its metrics. In the first round of an epoch devices agree on keys while they train, so that two
of its five messages cost nothing; a later round has no such help.
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import yaml

from commandline import run_command
from deploy.certificates import make_certificates
from deploy.enrol import make_home
from deploy.flower_network import CONNECTION, free_port, register, start_superlink, start_supernode
from deploy.loopback import CLIENTS
from deploy.processes import Processes
from federation.deployment.device import WORK_SECONDS
from federation.deployment.roster_cohort import FIRST_MESSAGES, LATER_MESSAGES
from federation.deployment.socket_service import SocketService
from federation.flower.launch import flower_environment, run_relay, write_connection
from federation.flower.relay_nodes import RelayNodes

LONG = {FIRST_MESSAGES: (0, 2), LATER_MESSAGES: (0,)}
"""Questions that are as long as an adapter, or whose answer is as long as a masked vector, by messages of a round."""
HEADER_BYTES = 40
ANSWER_SECONDS = 120.0


def compare(run: str | None = None, rounds: int = 3, coordinates: int = 34401) -> None:
    """Time rounds that do nothing, and say how many times as long a run's rounds were.

    Args:
        run: Folder of a run over Flower, of the same day and machine.
        rounds: Rounds that do nothing.
        coordinates: D, of the vectors that stand for orders and messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        floors = time_nothing(Path(folder), rounds, bytes(HEADER_BYTES + 4 * coordinates))
    ours = read_seconds(Path(run)) if run is not None else {}
    for messages, seconds in floors.items():
        floor = statistics.median(seconds)
        print(f"A round that does nothing: {floor:.1f} s ({messages} questions to {len(CLIENTS)} nodes, of {rounds}).")
        if messages in ours:
            took = statistics.median(ours[messages])
            print(
                f"Such a round of {run} beside training and deadline: {took:.1f} s, {took / floor:.2f} times as long."
            )


def time_nothing(folder: Path, rounds: int, content: bytes) -> dict[int, list[float]]:
    """Return the seconds of rounds over a real SuperLink and SuperNodes whose devices echo, by number of messages."""
    make_certificates(str(folder / "certificates"))
    homes = {client: folder / "devices" / client for client in CLIENTS}
    for home in homes.values():
        make_home(home)
    port, socket = free_port(), folder / "relay" / "socket"
    write_connection(folder / "flower", CONNECTION, f"127.0.0.1:{port}", folder / "certificates" / "ca.crt")
    environment = flower_environment(folder / "flower")
    services = [serve_echo(home / "door" / "socket", len(content)) for home in homes.values()]
    nodes = RelayNodes(socket, partial(run_relay, folder / "flower", CONNECTION, socket))
    try:
        with Processes(folder / "logs") as processes:
            start_superlink(processes, folder, port, environment)
            for number, (client, home) in enumerate(homes.items(), start=1):
                register(home / "node.pub", client, environment)
                start_supernode(processes, client, home, folder, (port, port + number), environment)
            for client in homes:
                processes.wait_for(f"supernode-{client}", "SuperNode ID", seconds=300)
            time_round(nodes, content, FIRST_MESSAGES)  # starts the relay
            return {messages: [time_round(nodes, content, messages) for _ in range(rounds)] for messages in LONG}
    finally:
        nodes.close()
        for service in services:
            service.close()


def time_round(nodes: RelayNodes, content: bytes, messages: int) -> float:
    """Return the seconds of so many questions; every node must answer all."""
    start, everybody = time.perf_counter(), nodes.everybody()
    for stage in range(messages):
        question = content if stage in LONG[messages] else content[: 100 * HEADER_BYTES]
        answers = list(nodes.ask(dict.fromkeys(everybody, question), ANSWER_SECONDS))
        if len(answers) != len(CLIENTS):
            raise ValueError(f"All {len(CLIENTS)} nodes must answer. Got {len(answers)} answers.")
    return time.perf_counter() - start


def serve_echo(path: Path, longest: int) -> SocketService:
    """Answer every frame on a socket with itself."""
    service = SocketService(path, bytes, longest=longest, users={os.getuid()})
    threading.Thread(target=service.serve, daemon=True).start()
    return service


def read_seconds(run: Path) -> Mapping[int, list[float]]:
    """Return the seconds of a run's rounds without training and its deadline, by number of messages."""
    settings = yaml.safe_load((run / "config.yaml").read_text())
    waiting = settings["deployment"]["training_seconds"] + WORK_SECONDS
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {(row["tag"], row["round"]): float(row["value"]) for row in rows}
    seconds = defaultdict(list)
    for (tag, number), value in values.items():
        if tag == "released/seconds":
            seconds[int(values["released/messages", number])].append(value - waiting)
    return seconds


if __name__ == "__main__":
    sys.exit(run_command(compare))
