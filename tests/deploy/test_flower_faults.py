"""A SuperLink that dies, nodes and certificates that are none of ours: real Flower on loopback, TLS and node keys."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import Popen

import pytest

from deploy.certificates import make_certificates
from deploy.enrol import make_home
from deploy.flower_network import CONNECTION, PORT_OF_NODES, free_port, register, start_superlink, start_supernode
from deploy.processes import Processes, find_marked
from federation.flower.launch import QUIET, flower_environment, run_relay, write_connection
from federation.flower.relay_nodes import RelayNodes
from tests.deploy.faulty_devices import Script
from tests.deploy.faulty_rounds import FaultyRounds, demand_exact, find_leaks, public_files, run_rounds
from tests.deploy.refusing_server import refused_server
from tests.deploy.sockets import LOOPBACK, NOBODY, addresses
from tests.federation.secure_aggregation.parties import make_names

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NAMES = tuple(make_names(3))
ANSWER_SECONDS = 40.0
"""A node that lost its SuperLink tries again after up to 20 s, and starts a Python for every message."""
BELIEVED_SECONDS = 60.0
"""For so long a SuperLink takes a node for present after its last heartbeat, also over a restart of its own."""
SCRIPTS: Mapping[str, Script] = {NAMES[0]: {0: "dies before upload"}, NAMES[1]: {}, NAMES[2]: {1: "trainer crashes"}}


@dataclass
class Loopback:
    """A SuperLink and SuperNodes in a folder."""

    place: Path
    port: int
    environment: dict[str, str]
    processes: Processes
    nodes: int = 0

    def home(self, name: str) -> Path:
        make_home(self.place / "devices" / name)
        return self.place / "devices" / name

    def start_superlink(self) -> None:
        start_superlink(self.processes, self.place, self.port, self.environment)

    def start_node(self, name: str, trusted: Path | None = None, port: int | None = None) -> None:
        self.nodes += 1
        ports = (port or self.port, self.port + PORT_OF_NODES + self.nodes)
        start_supernode(self.processes, name, self.home(name), trusted or self.place, ports, self.environment)


@pytest.fixture(scope="module")
def loopback(tmp_path_factory) -> Iterator[Loopback]:
    """Yield a SuperLink with a node for each client; in the end no process is left."""
    place, port = tmp_path_factory.mktemp("faults"), free_port()
    make_certificates(str(place / "certificates"))
    write_connection(place / "flower", CONNECTION, f"127.0.0.1:{port}", place / "certificates" / "ca.crt")
    (place / "user").mkdir()
    environment = flower_environment(place / "flower") | {"HOME": str(place / "user")}
    with Processes(place / "logs") as processes:
        running = Loopback(place, port, environment, processes)
        running.start_superlink()
        for name in NAMES:
            register(running.home(name) / "node.pub", name, environment)
            running.start_node(name)
        for name in NAMES:
            processes.wait_for(f"supernode-{name}", "SuperNode ID", seconds=300)
        yield running
    assert not find_marked(processes.mark)


@pytest.mark.flower
def test_a_node_that_is_not_registered_is_refused_by_flower(loopback):
    loopback.start_node("stranger")
    assert loopback.processes.running["supernode-stranger"].wait(300) != 0
    assert "SuperNode ID" not in loopback.processes.log("supernode-stranger")


def make_untrusted(folder: Path, fault: str) -> Path:
    """Write a server's certificates, and return the folder of a device that must not trust them."""
    trusted = folder / "device" / "certificates"
    make_certificates(str(folder / "server"), days=0 if fault == "expired" else 1)
    make_certificates(str(trusted))
    if fault == "expired":
        (trusted / "ca.crt").write_bytes((folder / "server" / "ca.crt").read_bytes())
    return trusted.parent


@pytest.mark.flower
@pytest.mark.parametrize("fault", ["expired", "another authority"])
def test_nobody_speaks_to_a_superlink_that_cannot_be_trusted(loopback, tmp_path, fault):
    trusted, name = make_untrusted(tmp_path, fault), fault.split()[0]
    with refused_server(tmp_path / "server") as (port, refusals):
        loopback.start_node(name, trusted, port)
        assert refusals.acquire(timeout=300)
        write_connection(tmp_path / "flower", CONNECTION, f"127.0.0.1:{port}", trusted / "certificates" / "ca.crt")
        with pytest.raises(ConnectionError, match=r"SuperLink federation must run the relay\. It said: ") as error:
            run_relay(tmp_path / "flower", CONNECTION, tmp_path / "relay")
    assert "\n" not in str(error.value)
    assert "SuperNode ID" not in loopback.processes.log(f"supernode-{name}")


class Struck(RelayNodes):
    """Loses its SuperLink, once, when the vectors of the second round are asked for."""

    def __init__(self, loopback: Loopback) -> None:
        path = loopback.place / "server" / "relay" / "socket"
        super().__init__(path, partial(run_relay, loopback.place / "flower", CONNECTION, path))
        self.loopback, self.position, self.stage = loopback, (0, 0), 0
        self.struck: tuple[int, int] | None = None
        self.struck_at = 0.0

    @property
    def superlink(self) -> Popen:
        return self.loopback.processes.running["superlink"]

    def begin(self, round: int, attempt: int) -> None:
        """Start the SuperLink anew if it died, as systemd would, and wait for the nodes.

        A node is back with a connection and a heartbeat, which try again in a time of their own each. Whom the
        SuperLink names proves a heartbeat only when it believes none from before its death any more.
        """
        self.position, self.stage = (round, attempt), 0
        if self.superlink.poll() is not None:
            before = self.returns()
            self.loopback.start_superlink()
            while not all(now > then for now, then in zip(self.returns(), before, strict=True)):
                time.sleep(1)
            while time.monotonic() < self.struck_at + BELIEVED_SECONDS or len(self.everybody()) < len(NAMES):
                time.sleep(1)

    def returns(self) -> list[int]:
        """Return how often each node has found its SuperLink again."""
        logs = (self.loopback.processes.log(f"supernode-{name}") for name in NAMES)
        return [log.count("Connection successful") for log in logs]

    def ask(self, orders, seconds):
        self.stage += 1
        if self.struck is None and (self.position[0], self.stage) == (1, 3):
            self.superlink.kill()
            self.struck, self.struck_at = self.position, time.monotonic()
        else:
            seconds *= 2  # only the dead SuperLink is waited for to the end: a busy machine may take its time
        return super().ask(orders, seconds)


@pytest.fixture(scope="module")
def done(loopback) -> Iterator[tuple[FaultyRounds, Struck]]:
    nodes, patch = Struck(loopback), pytest.MonkeyPatch()
    patch.setattr("federation.flower.relay_nodes.SLACK_SECONDS", 5.0)  # the relay's end is waited for once
    try:
        with run_rounds(
            loopback.place, nodes, SCRIPTS, least=2, revive=nodes.begin, answer_seconds=ANSWER_SECONDS
        ) as rounds:
            yield rounds, nodes
    finally:
        patch.undo()
        nodes.close()


@pytest.mark.flower
def test_a_superlink_that_dies_costs_one_attempt_and_a_device_that_dies_itself(done):
    rounds, nodes = done
    assert rounds.survivors == (NAMES[1:], NAMES, NAMES)
    demand_exact(rounds)
    assert nodes.struck not in rounds.counted()
    assert all(nodes.struck not in rounds.answered(name) for name in NAMES)
    assert rounds.lines.count(f"Round 1 goes on without {NAMES[0]}.") == 1


@pytest.mark.flower
def test_nobodys_data_or_secret_is_on_the_server_or_with_flower(done):
    rounds, _ = done
    assert {"superlink.db", "superlink.log"} <= {path.name for path in public_files(rounds)}
    assert find_leaks(rounds) == []


@pytest.mark.flower
def test_flower_speaks_on_loopback_alone_and_reports_to_nobody(loopback):
    processes = find_marked(loopback.processes.mark)
    own, others = addresses(processes)
    assert len(processes) > len(NAMES)
    assert own <= LOOPBACK
    assert others & NOBODY  # some listen
    assert others - NOBODY <= LOOPBACK
    for number in processes:
        environment = Path(f"/proc/{number}/environ").read_text().split("\0")
        assert {f"{name}={value}" for name, value in QUIET.items()} <= set(environment)
    assert not list((loopback.place / "user").iterdir())


def test_the_check_sees_who_listens_to_everybody():
    with socket.create_server(("0.0.0.0", 0)):
        own, _ = addresses([os.getpid()])
    assert not own <= LOOPBACK
