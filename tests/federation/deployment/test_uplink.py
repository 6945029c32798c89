"""What leaves a device is the five messages and nothing else, whether its owner's data is in them or not."""

from __future__ import annotations

import pytest

from federation.deployment.device import Device
from federation.key_source import SeededKeys
from federation.secure_aggregation.errors import ProtocolError
from tests.federation.deployment.devices import make_device_session, make_nodes
from tests.federation.deployment.uplink import ROUNDS, TappedDevices, read_uplink, run_epoch

NAME = "client-0000"
CONTRIBUTING, ABSENT = 1, 2


@pytest.fixture(scope="module")
def session():
    return make_device_session()


def overhear(session, folder, seed=CONTRIBUTING, fate="done") -> list[tuple[str, int]]:
    """Return what the first device sends in an epoch, as `read_uplink` finds it."""
    nodes = make_nodes(session, folder, {0: fate}, keys=SeededKeys(seed), sample_rate=0.5, epoch_rounds=ROUNDS)
    with TappedDevices(nodes.devices, folder) as tapped:
        run_epoch(session, tapped)
        return read_uplink(tapped.taps[0].sent, 0, session)


def coins(seed: int) -> list[bool]:
    return [SeededKeys(seed).stream(NAME, index, 0, "coin").bernoulli(0.5) for index in range(ROUNDS)]


def test_the_coins_of_these_seeds_differ_in_every_round():
    assert all(coins(CONTRIBUTING))
    assert not any(coins(ABSENT))


@pytest.mark.parametrize(
    ("seed", "fate"),
    [
        (ABSENT, "done"),
        pytest.param(CONTRIBUTING, "late", marks=pytest.mark.slow),
        pytest.param(CONTRIBUTING, "crashed", marks=pytest.mark.slow),
    ],
)
def test_what_leaves_has_the_same_form_whether_data_is_in_it_or_not(session, tmp_path, seed, fate):
    usual = overhear(session, tmp_path / "a")
    assert [kind for kind, _ in usual] == ["Advertise", "ShareKeys", *["MaskedInput", "Confirm", "Unmask"] * ROUNDS]
    assert overhear(session, tmp_path / "b", seed, fate) == usual


FAULTS = {
    "a loss behind the vector": lambda said, trained: said + b"0.3" if said[:4] == b"MSK3" else said,
    "a message of its own": lambda said, trained: b"LOSS" + said[4:] if said[:4] == b"CON4" else said,
    "fewer bytes without data": lambda said, trained: said if trained else said[:-4],
    "no vector without data": lambda said, trained: said if trained or said[:4] != b"MSK3" else b"",
}
"""What a device makes of an answer, given whether it trained."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_device_that_says_more_or_less_is_noticed(session, tmp_path, monkeypatch, fault):
    answer = Device.answer

    def answer_wrongly(self, order):
        said = answer(self, order)
        return FAULTS[fault](said, self.trainer.fate == "done") if self.client.name == NAME else said

    monkeypatch.setattr(Device, "answer", answer_wrongly)
    with pytest.raises((AssertionError, ProtocolError)):
        overhear(session, tmp_path, fate="late")
