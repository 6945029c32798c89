"""The same federation with its devices elsewhere: the same bits, and rounds that are refused and go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from callbacks.clipping import ClipUpdate
from callbacks.isfa import ISFAAggregation
from callbacks.masking import SecureAggregation
from callbacks.noise import DistributedNoise
from callbacks.sampling import HiddenSampling
from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.client_states import ClientState
from federation.client_training import ClientTrainer
from federation.deployment.client_half import ClientHalf
from federation.deployment.device import Device
from federation.deployment.device_books import DeviceBooks
from federation.deployment.local_training import LocalTraining
from federation.deployment.patience import Patience
from federation.deployment.personal_states import PersonalStates
from federation.deployment.roster_cohort import RosterCohort
from federation.deployment.signed_norm import SignedNorm
from federation.hooks import FederationCallback
from federation.key_source import SeededKeys
from federation.privacy.accountant import Release
from federation.privacy.device_ledger import DeviceLedger
from federation.rounds import MOST_REFUSALS, FederatedRounds
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.memory import InMemory
from federation.secure_aggregation.session import Session, SessionConfig
from federation.vectors import read_vector
from tests.federation.deployment.devices import AtOnce, DeviceNodes, HandClock
from tests.federation.secure_aggregation.parties import DIGEST, identity, make_session
from tests.tiny import NAMES, TinyData, TinyModule, tiny_fabric

CLIENTS, SEED, CLIP_NORM, Z = NAMES[:4], 11, 0.5, 0.3
SECURITY = SecurityArgs(dropout_share=0.25)
FEDERATION = FederationArgs(rounds=3, local_steps=2, sample_rate=0.5)
AGGREGATION = AggregationArgs(server_momentum=0.5)


def make_module() -> TinyModule:
    torch.manual_seed(5)
    return TinyModule()


def client_steps(keys: SeededKeys) -> list[FederationCallback]:
    return [
        HiddenSampling(keys, FEDERATION.sample_rate),
        ISFAAggregation(AGGREGATION),
        ClipUpdate(keys, contributing=FEDERATION.sample_rate),
        DistributedNoise(keys, Z, SECURITY),
    ]


def make_device(client: str, session: Session, folder: Path) -> Device:
    keys, module = SeededKeys(SEED), make_module()
    trainer = ClientTrainer(tiny_fabric(), module, TinyData(CLIENTS), FEDERATION, AGGREGATION, SEED)
    states = PersonalStates(folder / client, "model", "session", ClientState.capture(module.personal_parameters()))
    return Device(
        SecureClient(client, identity(client), session, keys, InMemory()),
        ClientHalf(client, CLIENTS, client_steps(keys), ClippingArgs()),
        AtOnce(LocalTraining(client, trainer, states)),
        DeviceBooks(DeviceLedger(folder / f"{client}.jsonl", float("inf"), 1e-5), session, Release(Z, 0.5)),
        SignedNorm(CLIP_NORM, ClippingArgs()),
        FEDERATION.rounds,
        HandClock(),
        epoch_rounds=FEDERATION.rounds,
    )


def make_roster_session() -> Session:
    size = read_vector(make_module().shared_parameters()).numel()
    cohort = SECURITY.provision(len(CLIENTS))
    config = SessionConfig.plan(size + 1, len(CLIENTS), cohort.colluders, cohort.honest, "active", DIGEST)
    return make_session(config, CLIENTS)


class Attempts(FederationCallback):
    """Counts attempts as the ledger of a private run does, and remembers what was summed."""

    def __init__(self) -> None:
        self.begun: dict[int, int] = {}
        self.released: list[tuple[int, int, int]] = []
        self.sums: list[bytes] = []

    def on_round_start(self, state):
        state.attempt = self.begun[state.index] = self.begun.get(state.index, -1) + 1

    def on_release(self, state):
        survivors = len(state.clients if state.survivors is None else state.survivors)
        self.released.append((state.index, state.attempt, survivors))

    def on_aggregate(self, state, aggregate):
        self.sums.append(aggregate.integers.tobytes())


class Names:
    """Data of which the server knows nothing but whose it is."""

    clients = CLIENTS


def run_rounds(
    folder: Path,
    nodes: DeviceNodes | None,
    session: Session | None = None,
    epoch_rounds: int = 1,
    answer_seconds: float = 600.0,
) -> tuple[Attempts, torch.Tensor]:
    """Run the federation, on these devices or in this process, and return what was summed and the global adapter."""
    attempts, keys = Attempts(), SeededKeys(SEED)
    remote = nodes and RosterCohort(session, nodes, Patience(answer_seconds, 600.0), epoch_rounds)
    masks = [] if nodes else [SecureAggregation(keys, SECURITY, DIGEST)]
    rounds = FederatedRounds(
        tiny_fabric(),
        make_module(),
        Names() if nodes else TinyData(CLIENTS),
        AgreedSettings(PrivacyArgs(clip_norm=CLIP_NORM), FEDERATION, AGGREGATION, SECURITY, ClippingArgs()),
        pipeline=[*client_steps(keys), attempts, *masks],
        observers=[],
        checkpoint_dir=folder / "rounds",
        seed=SEED,
        remote=remote,
    )
    return attempts, rounds.run().global_adapter


def make_nodes(folder: Path, session: Session) -> DeviceNodes:
    return DeviceNodes({100 + n: make_device(client, session, folder) for n, client in enumerate(CLIENTS)})


@pytest.mark.slow
@pytest.mark.parametrize("epoch_rounds", [1, 2])
def test_devices_elsewhere_give_the_same_bits(tmp_path, epoch_rounds):
    session = make_roster_session()
    here, adapter = run_rounds(tmp_path / "here", None)
    there, other = run_rounds(tmp_path / "there", make_nodes(tmp_path / "devices", session), session, epoch_rounds)
    assert len(here.sums) == FEDERATION.rounds
    assert here.sums == there.sums
    assert adapter.numpy().tobytes() == other.numpy().tobytes()
    assert there.released == [(index, 0, 4) for index in range(3)]
    newest = next((tmp_path / "here" / "rounds" / "round_0003" / "clients" / "bob").iterdir())
    kept = tmp_path / "devices" / "bob" / "model" / "session" / "round_0003.safetensors"
    simulated, kept = map(ClientState.load, (newest, kept))
    assert all(map(torch.equal, simulated.personal, kept.personal))


@pytest.mark.slow
def test_another_seed_gives_other_bits(tmp_path, monkeypatch):
    session = make_roster_session()
    here, _ = run_rounds(tmp_path / "here", None)
    nodes = make_nodes(tmp_path / "devices", session)
    nodes.devices[101].trainer.training.trainer.seed += 1
    there, _ = run_rounds(tmp_path / "there", nodes, session)
    assert here.sums != there.sums


class Flaky(DeviceNodes):
    """Loses the answers of some nodes in some calls."""

    lost: dict[int, tuple[int, ...]]

    def ask(self, orders, seconds):
        gone = self.lost.get(len(self.orders), ())
        yield from (answer for answer in super().ask(orders, seconds) if answer[0] not in gone)


@pytest.mark.slow
def test_a_refused_round_costs_nothing_and_the_next_attempt_goes_on(tmp_path, capsys):
    session = make_roster_session()
    nodes = Flaky(make_nodes(tmp_path / "devices", session).devices)
    nodes.lost = {2: (100, 101), 10: (103,)}  # the first attempt's vectors; one of the second round's
    attempts, _ = run_rounds(tmp_path, nodes, session)
    assert attempts.released == [(0, 1, 4), (1, 0, 3), (2, 0, 4)]
    assert "Round 1, attempt 1, is refused: At least 3 clients must be left. Got 2." in capsys.readouterr().out
    charged = nodes.devices[100].books.ledger._charged
    assert [key[1:] for key in charged] == [(0, 1), (1, 0), (2, 0)]


@pytest.mark.slow
def test_in_an_epoch_too_a_refused_round_is_tried_again_with_new_keys(tmp_path):
    session = make_roster_session()
    nodes = Flaky(make_nodes(tmp_path / "devices", session).devices)
    nodes.lost = {5: (100, 101), 11: (103,)}  # two of the second round's vectors, and one of the third's
    attempts, _ = run_rounds(tmp_path, nodes, session, epoch_rounds=3)
    assert attempts.released == [(0, 0, 4), (1, 1, 4), (2, 0, 3)]
    tags = [next(iter(orders.values()))[:4] for orders in nodes.orders]
    asked = [b"BEG0", b"KEY1", b"SEA2", b"SUR3", b"SIG4"]
    assert tags == [*asked, b"CNT0", *asked, b"CNT0", *asked[3:]]


def test_without_devices_the_run_ends_and_says_how_to_go_on(tmp_path):
    session = make_roster_session()
    with pytest.raises(ValueError, match=f"{MOST_REFUSALS} attempts in a row were refused. Go on with `--resume`"):
        run_rounds(tmp_path, DeviceNodes({}), session, answer_seconds=0.1)
    assert not list((tmp_path / "rounds").iterdir())


class Returning(DeviceNodes):
    """A carrier that starts anew: at first it is not there, and then not all nodes are."""

    seen = 0

    def everybody(self):
        self.seen += 1
        if self.seen == 1:
            raise ConnectionError("Flower's relay has ended.")
        return super().everybody()[: 1 if self.seen < 4 else None]


@pytest.mark.slow
def test_devices_on_their_way_are_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("federation.deployment.roster_cohort.PAUSE_SECONDS", 0.001)
    session = make_roster_session()
    attempts, _ = run_rounds(tmp_path, Returning(make_nodes(tmp_path / "devices", session).devices), session)
    assert [attempt for _, attempt, _ in attempts.released] == [0, 0, 0]
    assert [record.getMessage() for record in caplog.records] == [
        "Waiting for devices: Flower's relay has ended.",
        "Waiting for devices: at least 3 nodes must be there. Got 1.",
    ]


def test_a_session_of_another_size_is_refused(tmp_path):
    config = SessionConfig.plan(5, 4, 0, 3, "active", DIGEST)
    with pytest.raises(ValueError, match="signed for 5 coordinates"):
        run_rounds(tmp_path, DeviceNodes({}), make_session(config, CLIENTS))


def test_a_device_that_was_signed_other_settings_does_not_join(tmp_path):
    session = make_roster_session()
    nodes = make_nodes(tmp_path / "devices", session)
    numbers = (session.config.dimension, 4, session.config.colluders, session.config.honest, "active")
    other = make_session(SessionConfig.plan(*numbers, bytes(32)), CLIENTS)
    stranger = nodes.devices[100]
    stranger.client = SecureClient("ann", identity("ann"), other, SeededKeys(SEED), InMemory())
    attempts, _ = run_rounds(tmp_path, nodes, session)
    assert [survivors for *_, survivors in attempts.released] == [3, 3, 3]
