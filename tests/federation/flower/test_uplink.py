"""Over real Flower: a SuperLink with TLS, registered nodes, and a tap between each relay and its device."""

from __future__ import annotations

from functools import partial

import pytest

from deploy.certificates import make_certificates
from deploy.enrol import make_home
from deploy.flower_network import CONNECTION, free_port, register, start_superlink, start_supernode
from deploy.loopback import CLIENTS
from deploy.processes import Processes
from federation.flower.launch import flower_environment, run_relay, write_connection
from federation.flower.relay_nodes import RelayNodes
from tests.federation.deployment.devices import make_nodes
from tests.federation.deployment.uplink import ROUNDS, TappedDevices, read_uplink, run_epoch
from tests.federation.secure_aggregation.parties import make_session, plan

pytestmark = [pytest.mark.flower, pytest.mark.slow, pytest.mark.timeout(1800)]


def test_over_flower_devices_send_the_typed_messages_and_nothing_else(tmp_path):
    """Of three devices one trains in time, one too late, and one fails; all send the same."""
    session = make_session(plan(len(CLIENTS), 0, 2, dimension=7))
    fates = {1: "late", 2: "crashed"}
    devices = make_nodes(session, tmp_path / "ledgers", fates, sample_rate=0.5, epoch_rounds=ROUNDS).devices
    homes = [tmp_path / "devices" / client for client in CLIENTS]
    for home in homes:
        make_home(home)
    make_certificates(str(tmp_path / "certificates"))
    port, relay = free_port(), tmp_path / "relay" / "socket"
    write_connection(tmp_path / "flower", CONNECTION, f"127.0.0.1:{port}", tmp_path / "certificates" / "ca.crt")
    environment = flower_environment(tmp_path / "flower")
    nodes = RelayNodes(relay, partial(run_relay, tmp_path / "flower", CONNECTION, relay))
    doors = {node: home / "door" / "socket" for node, home in enumerate(homes)}
    try:
        with Processes(tmp_path / "logs") as processes, TappedDevices(devices, tmp_path, doors) as tapped:
            start_superlink(processes, tmp_path, port, environment)
            for number, client in enumerate(CLIENTS, start=1):
                register(homes[number - 1] / "node.pub", client, environment)
                start_supernode(processes, client, homes[number - 1], tmp_path, (port, port + number), environment)
            for client in CLIENTS:
                processes.wait_for(f"supernode-{client}", "SuperNode ID", seconds=300)
            run_epoch(session, nodes, answer=300.0)
            seen = [read_uplink(tapped.taps[node].sent, node, session) for node in devices]
    finally:
        nodes.close()
    assert [len(each) for each in seen] == [2 + 3 * ROUNDS] * len(CLIENTS)
    assert seen[0] == seen[1] == seen[2]
