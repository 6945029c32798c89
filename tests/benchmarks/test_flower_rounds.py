from __future__ import annotations

import os
import socket
import stat

import pytest

from benchmarks.flower_rounds import read_seconds, serve_echo, time_round
from federation.deployment.frames import receive_frame, send_frame


def test_what_a_round_waits_for_by_agreement_is_no_cost(tmp_path):
    (tmp_path / "config.yaml").write_text("deployment: {training_seconds: 40}\n")
    rows = ["round,tag,value", "1,released/seconds,61.5", "1,released/messages,5", "1,released/epsilon,3"]
    rows += [f"{number},released/{row}" for number in (2, 3) for row in (f"seconds,{49 + number}", "messages,3")]
    (tmp_path / "metrics.csv").write_text("\n".join(rows))
    assert read_seconds(tmp_path) == {5: [20.5], 3: [10.0, 11.0]}


def test_a_device_that_does_nothing_echoes(tmp_path):
    service = serve_echo(tmp_path / "door" / "socket", longest=10)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(service.path))
        send_frame(connection, b"order")
        assert receive_frame(connection, 10) == b"order"
    assert stat.S_ISSOCK(os.stat(service.path).st_mode)
    service.close()


class TwoNodes:
    """A transport that loses one node's answers."""

    def everybody(self):
        return [1, 2, 3]

    def ask(self, orders, seconds):
        yield from list(orders.items())[:-1]


def test_a_floor_counts_only_if_everybody_answers():
    with pytest.raises(ValueError, match=r"All 3 nodes must answer\. Got 2"):
        time_round(TwoNodes(), bytes(8000), 3)
