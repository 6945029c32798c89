"""The progress bar: what it shows, and that it ends full."""

from __future__ import annotations

import pytest

from callbacks.progress import Progress
from tests.callbacks.parts import CLIENTS, make_state


@pytest.mark.parametrize("devices", [1, 3])
def test_it_shows_round_client_loss_epsilon_and_ends_full(devices, capsys):
    progress = Progress(rounds=2, local_steps=3, devices=devices)
    progress.on_run_start(make_state())
    for index in range(2):
        state = make_state(index)
        for client in CLIENTS[: len(CLIENTS) // devices]:
            for step in range(3):
                progress.on_step(state, client, step, {"loss": 0.125})
        assert progress.bar.n <= 24 * (index + 1)
        state.metrics["released/epsilon"] = 2.5
        progress.on_round_end(state)
        assert progress.bar.n == 24 * (index + 1)
    shown = capsys.readouterr().err
    for part in ("round 2/2", "loss 0.125", "epsilon 2.50", "left", "100%"):
        assert part in shown


def test_a_resumed_run_starts_where_it_was():
    progress = Progress(rounds=4, local_steps=3, devices=1)
    progress.on_run_start(make_state(index=3))
    assert (progress.bar.n, progress.bar.total) == (72, 96)
    progress.bar.close()


def test_other_devices_show_nothing(capsys):
    progress, state = Progress(rounds=1, local_steps=1, devices=2), make_state()
    state.is_main = False
    progress.on_run_start(state)
    progress.on_step(state, "ann", 0, {"loss": 1.0})
    progress.on_round_end(state)
    assert capsys.readouterr().err == ""
