"""Several clients' adapters in one denoiser: each client gets what it would get alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from federation.args import AggregationArgs, FederationArgs
from federation.client_states import ClientState
from federation.client_training import ClientTrainer, TrainedClient
from federation.group_training import GroupTrainer
from federation.preparation import prepare_module
from federation.update import RoundState
from federation.vectors import read_vector
from lightning_modules.efficiency.stacked import StackedAdapters
from lightning_modules.talking_head import TalkingHead
from tests.tiny import tiny_fabric


@pytest.mark.parametrize("clips", [[2, 2, 2], [1, 3, 2], [4]])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_each_clients_rows_meet_its_own_weight(kind, clips):
    factor = nn.Linear(5, 3, bias=False) if kind == "linear" else nn.Conv2d(5, 3, 3, 2, 1, bias=False)
    x = torch.randn(2 * sum(clips), *((7, 5) if kind == "linear" else (5, 6, 6)), dtype=torch.float64)
    module, own = nn.ModuleDict({"factor": factor}).double(), factor.weight.detach().clone()
    vectors = torch.randn(len(clips), own.numel(), requires_grad=True, dtype=torch.float64)
    with StackedAdapters(module, [factor.weight]).put(vectors, clips):
        together = module["factor"](x)
        together.square().sum().backward()
    assert module["factor"] is factor
    for client, (rows, vector) in enumerate(zip(x.split([2 * n for n in clips]), vectors.detach(), strict=True)):
        with torch.no_grad():
            factor.weight.copy_(vector.view_as(own))
        factor.zero_grad()
        alone = factor(rows)
        alone.square().sum().backward()
        torch.testing.assert_close(together.split([2 * n for n in clips])[client], alone)
        torch.testing.assert_close(vectors.grad[client].view_as(own), factor.weight.grad)


def test_only_lora_factors_can_be_stacked():
    with pytest.raises(ValueError, match="LoRA"):
        StackedAdapters(nn.Sequential(layer := nn.Linear(2, 2)), [layer.weight, layer.bias])


class Clips:
    """Clients with different clips, in batches of different sizes."""

    def __init__(self, channels: int, dtype: torch.dtype, **sizes: int) -> None:
        self.channels, self.dtype, self.sizes, self.clients = channels, dtype, sizes, sorted(sizes)

    def num_examples(self, client: str) -> int:
        return 10

    def client_dataloader(self, client, *, steps, seed, split="train") -> Iterator[dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(self.sizes[client], *shape, generator=generator).to(self.dtype)

        for _ in range(steps):
            yield {
                "latents": draw(3, self.channels, 16, 16),
                "frames": draw(3, 3, 64, 64).clamp(-1, 1) * 127 + 128,
                "reference_frame": draw(3, 64, 64).clamp(-1, 1) * 127 + 128,
                "reference": draw(self.channels, 16, 16),
                "reference_motion": draw(6).tanh(),
                "identity": nn.functional.normalize(draw(128), dim=-1),
                "mel": draw(3, 20, 80),
                "pose": draw(3, 6).tanh(),
                "motion": draw(3, 6).tanh(),
                "has_motion": torch.ones(self.sizes[client], dtype=self.dtype),
            }


def make_trainer(base, dtype: torch.dtype, sizes: dict[str, int], **settings) -> tuple[ClientTrainer, RoundState]:
    """Return a trainer, and a round that starts from an adapter as later rounds do."""
    torch.manual_seed(0)
    fabric = tiny_fabric()
    head = prepare_module(fabric, TalkingHead(str(base), **settings)).to(dtype)
    data = Clips(head.backbone.vae.config.latent_channels, dtype, **sizes)
    federation = FederationArgs(local_steps=3, aggregation="fedprox")
    trainer = ClientTrainer(fabric, head, data, federation, AggregationArgs(), 0)
    start = 0.02 * torch.randn(read_vector(head.shared_parameters()).shape, dtype=dtype)
    return trainer, RoundState(0, tuple(sizes), start, clip_norm=1.0, exchange=dict)


def difference(one: Tensor, other: Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


def differences(start: Tensor, together: TrainedClient, alone: TrainedClient) -> dict[str, float]:
    """Return relative differences of both adapters, the personal optimizer's state, and all losses."""
    found = {"shared": difference(start + together.update.delta, start + alone.update.delta)}
    ours, theirs = together.personal.joined(), alone.personal.joined()
    if theirs.personal:
        found |= {"personal": difference(ours.personal[0], theirs.personal[0])}
        found |= {name: difference(ours.optimizer[0][name], value) for name, value in theirs.optimizer[0].items()}
    for name in alone.update.metrics.keys() - {"seconds", "update_norm"}:
        mine, his = together.update.metrics[name], alone.update.metrics[name]
        found[name] = abs(mine - his) / max(abs(his), 1e-9)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("sizes", [{"ann": 1, "bob": 1}, {"ann": 1, "bob": 2, "cleo": 1}])
def test_talking_heads_trained_at_once_are_those_trained_alone(tiny_base, sizes, dtype, bound):
    """In float64, too, where a difference is a mistake.

    In float32 Adam makes much of a rounded gradient that is almost zero: of 24 clients 21 ended with adapters within
    1e-5, two with 1.05e-5 and 1.5e-5, one with 1.1e-4, while losses and gradients (`exp_avg`) agree.
    """
    trainer, state = make_trainer(tiny_base, dtype, sizes)
    newcomer = ClientState.capture(trainer.module.personal_parameters())
    together = GroupTrainer(trainer).train(state, dict.fromkeys(sizes, newcomer))
    alone = [trainer.train(state, client, newcomer) for client in sizes]
    assert together[0].update.delta.norm() > 0
    for pair in zip(together, alone, strict=True):
        found = differences(state.global_adapter, *pair)
        moved = {name: found.pop(name) for name in ("shared", "personal")}
        assert max(found.values()) <= bound, found
        assert max(moved.values()) <= (bound if dtype == torch.float64 else 2e-4), moved
    assert differences(0, together[0], alone[1])["shared"] > 0.01  # no two clients learn the same


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"identity_rank": 0}, {"gradient_checkpointing": True}, {"freeze_a": False}])
def test_other_settings_train_at_once_too(tiny_base, settings):
    sizes = {"ann": 1, "bob": 1}
    trainer, state = make_trainer(tiny_base, torch.float64, sizes, **settings)
    newcomer = ClientState.capture(trainer.module.personal_parameters())
    for one in GroupTrainer(trainer).train(state, dict.fromkeys(sizes, newcomer)):
        found = differences(state.global_adapter, one, trainer.train(state, one.update.client, newcomer))
        assert max(found.values()) <= 1e-10, found
