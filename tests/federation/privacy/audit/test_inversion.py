"""T9: the attack on real LoRA layers, trained by autograd; bare it succeeds, through the pipeline it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from federation.key_source import SeededKeys
from federation.privacy.audit.battery import powerful
from federation.privacy.audit.draws import draw_normals
from federation.privacy.audit.faults import NoNoise
from federation.privacy.audit.inversion import HIDDEN, RECOVERED, invert, similarity
from federation.privacy.audit.system import System
from tests.federation.privacy.audit.systems import PipelineSystem, make_system

INPUTS, OUTPUTS, RANK = 96, 12, 64


class Layer(nn.Module):
    """One linear layer, as peft finds it in a model."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(INPUTS, OUTPUTS, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.linear(inputs)


def train_one_example(freeze_a: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Take one step of plain gradient descent on one example and return the attacked matrix' update and its secret."""
    torch.manual_seed(seed)
    model = get_peft_model(Layer(), LoraConfig(r=RANK, lora_alpha=RANK, target_modules=["linear"]))
    adapter = model.base_model.model.linear
    a, b = adapter.lora_A.default.weight, adapter.lora_B.default.weight
    nn.init.normal_(b)
    trained = b if freeze_a else a
    before, example = trained.detach().clone(), torch.randn(INPUTS)
    (model(example) - torch.randn(OUTPUTS)).square().sum().backward()
    torch.optim.SGD([trained], lr=0.1).step()
    secret = a.detach() @ example if freeze_a else example
    return (trained.detach() - before).double().numpy(), secret.double().numpy()


def cosines(freeze_a: bool, kind: type[System] | None, examples: int = 6) -> list[float]:
    """Return how well examples are recovered, bare or from the sum of a system in which only the victim has data."""
    found = []
    for seed in range(examples):
        update, secret = train_one_example(freeze_a, seed)
        if kind is not None:
            vector = np.append(update.ravel(), 0.0) / np.linalg.norm(update)
            system = powerful(make_system(kind, seed, clients=8, dropout_share=0.0, dimension=vector.size))
            total = system.run_round(0, {system.terms.honest[-1]: vector * system.terms.clip_norm}, masked=False).total
            update = total[:-1].reshape(update.shape)
        found.append(similarity(invert(update), secret))
    return found


@pytest.mark.parametrize("freeze_a", [False, True], ids=["naive", "freeze-A"])
def test_a_bare_update_shows_its_example(freeze_a):
    assert min(cosines(freeze_a, None)) >= RECOVERED


@pytest.mark.slow
@pytest.mark.parametrize("freeze_a", [False, True], ids=["naive", "freeze-A"])
@pytest.mark.parametrize("kind", [System, PipelineSystem])
def test_through_the_pipeline_it_does_not(freeze_a, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert np.mean(cosines(freeze_a, kind)) <= HIDDEN


@pytest.mark.parametrize("freeze_a", [False, True], ids=["naive", "freeze-A"])
def test_without_noise_it_does(freeze_a):
    assert min(cosines(freeze_a, NoNoise)) >= RECOVERED


def test_a_frozen_a_leaves_no_more_than_a_projection():
    """The update of B lies in the span of A x: what A maps to zero cannot be in it."""
    torch.manual_seed(0)
    a = torch.randn(RANK // 8, INPUTS)
    example, unseen = torch.randn(INPUTS), torch.linalg.svd(a)[2][-1]
    assert torch.allclose(a @ example, a @ (example + 5 * unseen), atol=1e-4)


def test_normal_numbers_are_normal():
    numbers = draw_normals(SeededKeys(0).stream("auditor", 0, 0, "test"), 3, 33_333)
    assert numbers.shape == (3, 33_333)
    assert abs(numbers.mean()) < 0.015
    assert numbers.std() == pytest.approx(1, abs=0.01)
