"""Clients trained at once end where each ends alone; the talking head's own groups are tested beside it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from lightning import LightningModule
from lightning.fabric import Fabric
from lightning.fabric.plugins.precision import MixedPrecision
from torch.nn import functional as F

from federation.args import AggregationArgs, FederationArgs
from federation.client_training import TrainedClient
from federation.group_training import GroupTrainer, demand_groups
from federation.rounds import FederatedRounds
from federation.update import RoundState
from tests.tiny import Recorder, TinyData, TinyModule, tiny_fabric, tiny_rounds


class TinyGroup(TinyModule):
    """A tiny module whose noise is drawn before the batch is moved, so that it can train several clients at once."""

    def on_before_batch_transfer(self, batch, dataloader_idx):
        return batch, torch.randn_like(batch)

    def training_step(self, batch, batch_idx):
        loss = self._loss(batch, self.shared.weight, self.shared.bias, self.personal.weight)
        self.losses = {"total": loss.detach()}
        return loss

    def _loss(self, batch, weight, bias, personal):
        clean, noise = batch
        inputs = clean + 0.1 * noise
        outputs = self.base(inputs) + F.linear(inputs, weight, bias) + F.linear(inputs, personal)
        return (outputs.float() - clean.flip(-1)).square().mean()

    def configure_optimizers(self, parts=None):
        parts = parts or {"shared": self.shared_parameters(), "personal": self.personal_parameters()}
        return {name: torch.optim.AdamW(parameters, lr=self.learning_rate) for name, parameters in parts.items()}

    def signals(self, batches):
        return super().signals((batch, torch.zeros_like(batch)) for batch in batches)

    @contextmanager
    def side_by_side(self, adapters, batches):
        self.adapters = list(zip(adapters["shared"], adapters["personal"], strict=True))
        yield
        del self.adapters

    def client_losses(self, batches):
        return [
            {"total": self._loss(batch, shared[:16].view(4, 4), shared[16:], personal.view(4, 4))}
            for batch, (shared, personal) in zip(batches, self.adapters, strict=True)
        ]


def make(folder: Path, fabric: Fabric | None = None, **kwargs: object) -> tuple[FederatedRounds, RoundState]:
    torch.manual_seed(5)
    rounds = tiny_rounds(fabric or tiny_fabric(), folder, module=kwargs.pop("module", None) or TinyGroup(), **kwargs)
    return rounds, rounds._new_state()


def train_both(rounds: FederatedRounds, state: RoundState, group: dict) -> list[tuple[TrainedClient, TrainedClient]]:
    """Train clients at once and each alone."""
    together = GroupTrainer(rounds.cohort.trainer).train(state, group)
    return [(one, rounds.cohort.trainer.train(state, one.update.client, group[one.update.client])) for one in together]


def assert_same(together: TrainedClient, alone: TrainedClient) -> None:
    torch.testing.assert_close(together.update.delta, alone.update.delta, rtol=1e-5, atol=1e-7)
    ours, theirs = together.personal.joined(), alone.personal.joined()
    torch.testing.assert_close(ours.personal, theirs.personal, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(ours.optimizer, theirs.optimizer, rtol=1e-5, atol=1e-9)
    for name in alone.update.metrics.keys() - {"seconds"}:
        assert together.update.metrics[name] == pytest.approx(alone.update.metrics[name], rel=1e-5)
    assert together.update.contributes == alone.update.contributes


@pytest.mark.parametrize("aggregation", ["isfa", "fedprox"])
def test_clients_end_where_they_end_alone(tmp_path, aggregation):
    """In a second round, too, with personal optimizers that have taken different numbers of steps."""
    federation = FederationArgs(local_steps=4, aggregation=aggregation, personal_gradient_clip=0.5)
    rounds, state = make(tmp_path, federation=federation, aggregation=AggregationArgs(proximal_mu=5.0))
    older = rounds.cohort.trainer.train(state, "bob", rounds.states.newcomer).personal
    group = {"ann": rounds.states.newcomer, "bob": older, "cleo": rounds.states.newcomer}
    pairs = train_both(rounds, state, group)
    for pair in pairs:
        assert_same(*pair)
    assert {one.update.client: one.personal.optimizer[0]["step"].item() for one, _ in pairs} == {
        "ann": 4,
        "bob": 8,
        "cleo": 4,
    }


def test_one_that_is_not_finite_leaves_the_others_alone(tmp_path):
    rounds, state = make(tmp_path, data=TinyData(broken=("bob",)))
    pairs = train_both(rounds, state, dict.fromkeys(("ann", "bob", "cleo"), rounds.states.newcomer))
    assert [one.update.contributes for one, _ in pairs] == [True, False, True]
    assert not pairs[1][0].update.delta.any()
    assert pairs[1][0].personal is rounds.states.newcomer
    for pair in (pairs[0], pairs[2]):
        assert_same(*pair)


def test_a_client_may_have_fewer_steps_left_than_others(tmp_path, monkeypatch):
    """Its batches end, it leaves, the others go on; and with as many steps it would end there alone."""
    rounds, state = make(tmp_path, federation=FederationArgs(local_steps=5))
    whole, trainer = rounds.cohort.trainer.batches, rounds.cohort.trainer
    short = {"bob": 2}
    monkeypatch.setattr(trainer, "batches", lambda state, client: list(whole(state, client))[: short.get(client)])
    with pytest.raises(ValueError, match=r"The data of bob must give 5 batches\. Got 2\."):
        GroupTrainer(trainer).train(state, dict.fromkeys(("ann", "bob"), rounds.states.newcomer))

    group = GroupTrainer(trainer)
    members = [group._admit(state, client, rounds.states.newcomer) for client in ("ann", "bob", "cleo")]
    group._take_steps(state, members)
    assert [len(member.losses) for member in members] == [5, 2, 5]
    for member in members:
        trainer.federation = FederationArgs(local_steps=len(member.losses))
        ended = group._dismiss(state, member, rounds.states.newcomer, 0.0)
        assert_same(ended, trainer.train(state, member.client, rounds.states.newcomer))


def test_each_client_has_its_own_scaler(tmp_path):
    """Ann's overflow must not lower the scale that bob's gradients get."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    rounds, state = make(tmp_path, fabric=fabric, federation=FederationArgs(local_steps=2))
    group = GroupTrainer(rounds.cohort.trainer)
    members = [group._admit(state, client, rounds.states.newcomer) for client in ("ann", "bob")]
    members[1].local.scaler.load_state_dict(members[1].local.scaler.state_dict() | {"scale": 2.0**4})
    group._take_steps(state, members)
    assert [member.local.scaler.get_scale() for member in members] == [2.0**38, 2.0**4]
    assert scaler.get_scale() == 2.0**40


def test_everybody_sees_every_step_and_draws_do_not_mix(tmp_path):
    class Steps(Recorder):
        def on_step(self, state, client, step, losses):
            seen.append((client, step, sorted(losses)))

    seen: list[tuple[str, int, list[str]]] = []
    rounds, state = make(tmp_path, observers=[Steps()], federation=FederationArgs(local_steps=2))
    GroupTrainer(rounds.cohort.trainer).train(state, dict.fromkeys(("ann", "bob"), rounds.states.newcomer))
    assert seen == [(client, step, ["loss", "total"]) for step in range(2) for client in ("ann", "bob")]


@pytest.mark.parametrize("at_once", [3, 8])
def test_rounds_end_at_the_same_adapter_however_many_train_at_once(tmp_path, at_once):
    """Four clients, so the last group of three is one client, trained alone."""
    ends = [make(tmp_path / str(n), clients_at_once=n)[0].run().global_adapter for n in (1, at_once)]
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("module", "trainable", "at_once"),
    [(TinyGroup, "adapter", 0), (TinyGroup, "backbone", 2), (TinyModule, "adapter", 2)],
)
def test_what_cannot_be_grouped_is_refused(module: type[LightningModule], trainable: str, at_once: int):
    with pytest.raises(ValueError, match="--clients_at_once"):
        demand_groups(module(), FederationArgs(trainable=trainable), at_once)
    demand_groups(module(), FederationArgs(trainable=trainable), 1)
