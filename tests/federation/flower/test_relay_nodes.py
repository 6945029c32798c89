from __future__ import annotations

import socket
import stat
import struct
import threading
from contextlib import suppress

import pytest

from federation.deployment.frames import receive_frame, send_frame
from federation.flower import relay_nodes
from federation.flower.relay_nodes import NODE, RelayNodes


class Relay:
    """A relay of this process, which says what it is told to."""

    def __init__(self, path, said):
        self.path, self.said, self.heard, self.runs = path, list(said), [], 0

    def __call__(self):
        self.runs += 1
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with suppress(ConnectionResetError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.path))
            while self.said and (request := receive_frame(connection, 1000)):
                self.heard.append(request)
                answers = self.said.pop(0)
                if answers is None:
                    return
                for answer in answers:
                    send_frame(connection, answer)


@pytest.fixture
def make(tmp_path):
    made = []

    def make(*said):
        relay = Relay(tmp_path / "door" / "relay", said)
        made.append(RelayNodes(relay.path, relay))
        return made[-1], relay

    yield make
    for nodes in made:
        nodes.close()


def test_nodes_are_asked_and_answer(make):
    nodes, relay = make([b"N" + NODE.pack(7) + NODE.pack(2**63)], [b"R" + NODE.pack(7) + b"yes", b"E"], [b"E"])
    assert nodes.everybody() == [7, 2**63]
    assert list(nodes.ask({7: b"one", 2**63: b"three"}, 5.0)) == [(7, b"yes")]
    assert list(nodes.ask({7: b"again"}, 5.0)) == []
    assert relay.heard[1] == b"A" + struct.pack(">d", 5.0) + b"".join(
        struct.pack(">QI", node, len(order)) + order for node, order in ((7, b"one"), (2**63, b"three"))
    )
    assert relay.runs == 1
    assert list(nodes.ask({}, 5.0)) == []


def test_only_its_user_reaches_the_socket(make):
    nodes, _ = make()
    assert stat.S_IMODE(nodes.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(nodes.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("said", [[], [b"R" + NODE.pack(7) + b"yes"]], ids=["silent", "amid"])
def test_a_relay_that_breaks_off_is_said_so_and_replaced(make, monkeypatch, said):
    monkeypatch.setattr(relay_nodes, "SLACK_SECONDS", 0.1)
    nodes, relay = make(said, None)
    with pytest.raises(ConnectionError, match="broke off"):
        list(nodes.ask({7: b"one"}, 0.05))
    relay.said = [[b"N" + NODE.pack(7)]]
    assert nodes.everybody() == [7]
    assert relay.runs == 2


def test_answers_that_nobody_waited_for_are_not_those_of_the_next_question(make):
    nodes, relay = make([b"R" + NODE.pack(7) + b"one", b"R" + NODE.pack(8) + b"two", b"E"], None)
    answers = nodes.ask({7: b"a", 8: b"b"}, 5.0)
    assert next(answers) == (7, b"one")
    answers.close()
    relay.said = [[b"N" + NODE.pack(7)]]
    assert nodes.everybody() == [7]
    assert relay.runs == 2


def test_a_relay_that_has_ended_is_said_so(make):
    nodes, _ = make(None)
    with pytest.raises(ConnectionError, match="has ended"):
        nodes.everybody()


def test_a_superlink_that_is_not_there_is_one_line(tmp_path):
    def launch():
        raise ConnectionError("The SuperLink loop must run the relay. It said: no")

    nodes = RelayNodes(tmp_path / "relay", launch)
    with pytest.raises(ConnectionError, match="It said: no"):
        nodes.everybody()
    nodes.close()
    assert not nodes.path.exists()


def test_another_runs_socket_is_not_taken_away(make):
    nodes, relay = make([b"N" + NODE.pack(7)], [b"N" + NODE.pack(8)])
    with pytest.raises(ValueError, match="Another run has its relay in"):
        RelayNodes(relay.path, relay)
    assert nodes.everybody() == [7]
    nodes.close()
    RelayNodes(relay.path, relay).close()
