from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.precision import MixedPrecision

from federation.args import AggregationArgs, FederationArgs
from federation.client_states import ClientState
from federation.client_training import TrainedClient
from federation.rounds import FederatedRounds
from federation.time_limit import TimeLimit
from federation.update import RoundState
from tests.tiny import Recorder, TinyData, TinyModule, tiny_fabric, tiny_rounds


def make(folder: Path, **kwargs: object) -> tuple[FederatedRounds, RoundState]:
    rounds = tiny_rounds(kwargs.pop("fabric", None) or tiny_fabric(), folder, **kwargs)
    return rounds, rounds._new_state()


def same(one: TrainedClient, other: TrainedClient) -> bool:
    pairs = zip([one.update.delta, *one.personal.personal], [other.update.delta, *other.personal.personal], strict=True)
    return one.update.signals == other.update.signals and all(torch.equal(*pair) for pair in pairs)


def test_a_clients_result_depends_on_no_other_client(tmp_path):
    rounds, state = make(tmp_path, data=TinyData(broken=("cleo",)))
    alone = rounds.cohort.trainer.train(state, "bob", rounds.states.newcomer)
    for client in ("ann", "cleo", "dan"):
        rounds.cohort.trainer.train(state, client, rounds.states.newcomer)
    assert same(rounds.cohort.trainer.train(state, "bob", rounds.states.newcomer), alone)
    assert not same(rounds.cohort.trainer.train(state, "dan", rounds.states.newcomer), alone)


def test_training_changes_neither_the_global_adapter_nor_the_state_it_began_with(tmp_path):
    rounds, state = make(tmp_path)
    middle = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer).personal
    before = state.global_adapter.clone(), copy.deepcopy(middle)
    rounds.cohort.trainer.train(state, "ann", middle)
    assert torch.equal(state.global_adapter, before[0])
    for part in ("exp_avg", "exp_avg_sq", "step"):
        assert torch.equal(middle.optimizer[0][part], before[1].optimizer[0][part])
    assert torch.equal(middle.personal[0], before[1].personal[0])


def test_the_personal_optimizer_goes_on_and_the_shared_one_starts_anew(tmp_path):
    class Counting(TinyModule):
        def configure_optimizers(self):
            made.append(super().configure_optimizers())
            return made[-1]

    made: list[dict[str, torch.optim.Optimizer]] = []
    rounds, state = make(tmp_path, module=Counting())
    first = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    rounds.cohort.trainer.train(state, "ann", first.personal)
    steps = {part: next(iter(optimizer.state.values()))["step"].item() for part, optimizer in made[-1].items()}
    assert steps == {"shared": 3, "personal": 6}


def test_exactly_the_local_steps_are_taken_and_seen(tmp_path):
    class Steps(Recorder):
        def on_step(self, state, client, step, losses):
            seen.append((client, step, sorted(losses)))

    seen: list[tuple[str, int, list[str]]] = []
    rounds, state = make(tmp_path, observers=[Steps()], federation=FederationArgs(local_steps=4))
    rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert seen == [("ann", step, ["flip", "loss"]) for step in range(4)]


def test_a_slow_client_takes_the_steps_it_has_time_for(tmp_path, monkeypatch, capsys):
    """On a clock on which every step takes a second; the steps it takes are those of a fast one."""
    monkeypatch.setattr("federation.client_training.TimeLimit", partial(TimeLimit, now=map(float, count()).__next__))
    rounds, state = make(tmp_path, federation=FederationArgs(local_steps=12))
    slow = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer, seconds=10.0)
    assert "Client ann, round 1: time for 7 of 12 steps." in capsys.readouterr().out
    rounds, state = make(tmp_path, federation=FederationArgs(local_steps=7))
    assert same(slow, rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer))
    assert slow.update.contributes


def test_data_with_too_few_batches_are_refused(tmp_path):
    class Short(TinyData):
        def client_dataloader(self, client, *, steps, seed, split="train"):
            return super().client_dataloader(client, steps=steps - 1, seed=seed)

    rounds, state = make(tmp_path, data=Short())
    with pytest.raises(ValueError, match=r"The data of ann must give 3 batches\. Got 2\."):
        rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)


def test_what_is_not_finite_becomes_a_zero_update(tmp_path, capsys):
    rounds, state = make(tmp_path, data=TinyData(broken=("ann",)))
    trained = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert not trained.update.delta.any()
    assert not trained.update.contributes
    assert trained.update.metrics["failed"] == 1.0
    assert trained.personal is rounds.states.newcomer
    assert "Client ann, round 1: training was not finite. Its update is zero." in capsys.readouterr().out


def test_a_gradient_that_is_not_finite_becomes_a_zero_update(tmp_path):
    class Steep(TinyModule):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss + (self.shared.weight - self.shared.weight).abs().pow(0.5).sum()

    rounds, state = make(tmp_path, module=Steep())
    trained = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert trained.update.metrics["failed"] == 1.0
    assert not trained.update.delta.any()


def test_an_update_whose_length_is_not_finite_is_zero(tmp_path):
    """Each of its numbers is finite, and yet nothing can be made of it."""

    class Runs(TinyModule):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            with torch.no_grad():
                self.shared.weight.fill_(1e30)
            return loss

    rounds, state = make(tmp_path, module=Runs(), federation=FederationArgs(local_steps=1))
    trained = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert not trained.update.delta.any()
    assert not trained.update.contributes


def test_a_personal_adapter_that_is_not_finite_is_not_kept(tmp_path):
    class Bursts(TinyModule):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            with torch.no_grad():
                self.personal.weight[0, 0] = float("inf")
            return loss

    rounds, state = make(tmp_path, module=Bursts(), federation=FederationArgs(local_steps=1))
    trained = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert trained.personal is rounds.states.newcomer
    assert not trained.update.contributes


def test_the_two_gradient_clips_are_separate(tmp_path):
    deltas = {}
    for clip in (1.0, 1e-12):
        federation = FederationArgs(local_steps=1, personal_gradient_clip=clip)
        rounds, state = make(tmp_path, federation=federation)
        deltas[clip] = rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer)
    assert torch.equal(deltas[1.0].update.delta, deltas[1e-12].update.delta)
    assert not torch.equal(deltas[1.0].personal.personal[0], deltas[1e-12].personal.personal[0])


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("learning_rate", [1e-4, 1e-2])
def test_a_strong_proximal_term_holds_the_shared_adapter(tmp_path, steps, learning_rate):
    """Mu = 1e6 leaves under 1 % of the update, and the personal adapter is not held."""
    norms, personal = {}, {}
    for mu in (0.0, 1e6):
        module = TinyModule(learning_rate)
        federation = FederationArgs(local_steps=steps, aggregation="fedprox")
        rounds, state = make(
            tmp_path, module=module, federation=federation, aggregation=AggregationArgs(proximal_mu=mu)
        )
        state.global_adapter = torch.zeros_like(state.global_adapter)
        newcomer = ClientState([torch.zeros(4, 4)])
        trained = rounds.cohort.trainer.train(state, "ann", newcomer)
        norms[mu], personal[mu] = trained.update.delta.norm().item(), trained.personal.personal[0].norm().item()
    assert 0 < norms[1e6] < 0.01 * norms[0.0]
    assert personal[1e6] > 0.5 * personal[0.0]


def test_mu_zero_is_fedavg(tmp_path):
    results = []
    for aggregation in ("fedavg", "fedprox"):
        federation = FederationArgs(local_steps=3, aggregation=aggregation)
        rounds, state = make(tmp_path, federation=federation, aggregation=AggregationArgs(proximal_mu=0.0))
        results.append(rounds.cohort.trainer.train(state, "ann", rounds.states.newcomer))
    assert same(*results)


def test_signals_are_scored_on_the_same_batches_with_the_same_draws_in_every_round(tmp_path):
    class Watching(TinyModule):
        def signals(self, batches):
            seen.append((torch.stack(list(batches)), torch.rand(3)))
            assert not self.training, "dropout would blur the scores"
            return super().signals(batches)

    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    rounds, state = make(tmp_path, module=Watching())
    for index in (0, 1):
        rounds.cohort.trainer.train(replace(state, index=index), "ann", rounds.states.newcomer)
    assert all(torch.equal(*pair) for pair in zip(*seen, strict=True))
    assert len(seen[0][0]) == 2


def test_the_gradient_scaler_starts_anew_for_each_client(tmp_path):
    """A scale that one client's overflow has lowered would change what the next client computes."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    precision = MixedPrecision("16-mixed", "cpu", scaler)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[precision])
    rounds, state = make(tmp_path, fabric=fabric, federation=FederationArgs(local_steps=1))
    scales = []
    for client in ("ann", "bob"):
        rounds.cohort.trainer.train(state, client, rounds.states.newcomer)
        scales.append(scaler.get_scale())
    assert scales == [2.0**39, 2.0**39]
