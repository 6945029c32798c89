"""What clients minimise: each term counts with its weight, and reaches what it is to teach."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.diffusion import NoisyLatents, make_scheduler
from lightning_modules.objective import Objective
from lightning_modules.talking_head import TalkingHead
from tests.lightning_modules.batches import make_batch


@pytest.mark.slow
def test_losses_are_named_and_weighed(tiny_base):
    head = TalkingHead(str(tiny_base), identity_rank=0, tdc_weight=0.5, identity_weight=0.0)
    loss = head.training_step(make_batch(head), 0)
    terms = head.losses["denoising"] + 0.5 * head.losses["tdc"] + head.losses["mover"]
    assert loss.item() == pytest.approx(terms.item())
    assert head.losses["mover"] > 0
    assert head.losses["identity"] == 0.0


@pytest.mark.slow
def test_the_identity_loss_reaches_the_adapters(tiny_base, monkeypatch):
    head = TalkingHead(str(tiny_base), tdc_weight=0.0, identity_weight=1.0)
    monkeypatch.setattr("lightning_modules.draws.draw_timesteps", lambda n, d: torch.full((n,), 100))
    monkeypatch.setattr("lightning_modules.objective.denoising_loss", lambda *_: torch.zeros(()))
    head.training_step(make_batch(head), 0).backward()
    assert head.losses["identity"] > 0
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in head.personal_parameters())


def test_of_each_clip_that_shows_a_face_the_middle_frame_is_compared():
    shown = []

    def embed(frames):
        shown.append(frames)
        return F.normalize(frames.flatten(1), dim=-1)

    backbone = SimpleNamespace(decode=lambda latents: latents, embed=embed)
    latents, clean, noise = torch.randn(2, 5, 1, 2, 2), torch.ones(2, 1, 1, 1, 1), torch.zeros(2, 1, 1, 1, 1)
    noisy = NoisyLatents(latents, latents, latents, torch.zeros(2).long(), a_t=clean, s_t=noise)
    batch = {"visible_rows": torch.tensor([1]), "identity": torch.ones(2, 4)}
    Objective(backbone, {"identity": 1.0})._identity_terms(noisy, latents, batch, [1])
    assert torch.equal(shown[0], latents[[1], 2])


def test_errors_are_compared_with_all_motion_shown_that_is_known(monkeypatch):
    asked = []

    def predict(_, noisy, batch, has_motion):
        asked.append(has_motion)
        return noisy.velocity

    monkeypatch.setattr(Objective, "predict", predict)
    latents, eps = torch.randn(2, 2, 3, 1, 2, 2)
    batch = {"latents": latents, "has_motion": torch.tensor([1.0, 0.0]), "shown": torch.zeros(2)}
    objective = Objective(SimpleNamespace(scheduler=make_scheduler()), {})
    assert objective.error(batch, torch.tensor([100, 900]), eps) == 0
    assert torch.equal(asked[0], batch["has_motion"])


def mover_gradients(head, term, batch):
    """Return how far each parameter of the mover's adapter is pulled by one term of the loss."""
    parameters = [p for p in head.backbone.mover.parameters() if p.requires_grad]
    found = torch.autograd.grad(
        head.client_losses([head.on_before_batch_transfer(batch, 0)])[0][term], parameters, allow_unused=True
    )
    return [0.0 if gradient is None else gradient.abs().max().item() for gradient in found]


@pytest.mark.slow
def test_the_mover_learns_from_pixels_of_known_motion_alone(tiny_base):
    head = TalkingHead(str(tiny_base), identity_rank=2, identity_weight=0.0)
    for parameter in head.personal_parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    batch = make_batch(head) | {"has_motion": torch.ones(2)}
    assert max(mover_gradients(head, "mover", batch)) > 0
    assert max(mover_gradients(head, "denoising", batch)) == 0
    assert max(mover_gradients(head, "mover", batch | {"has_motion": torch.zeros(2)})) == 0


@pytest.mark.slow
@pytest.mark.parametrize("clips", [1, 2])
def test_the_mover_is_judged_by_frames_of_the_client_alone(tiny_base, clips):
    head = TalkingHead(str(tiny_base), identity_rank=2, identity_weight=0.0)
    own, other, another = (make_batch(head, clips) for _ in range(3))
    alone, *together = (head.client_losses(some)[0]["mover"] for some in ([own], [own, other], [own, another]))
    assert all(torch.isclose(one, alone, rtol=1e-5) for one in together)


@pytest.mark.slow
def test_a_mover_that_returns_the_true_frame_has_no_loss(tiny_base, monkeypatch):
    """Frame k of 8 is made of the one four further on, whose own motion is the one that was read off it."""
    head = TalkingHead(str(tiny_base), identity_rank=2, identity_weight=0.0)
    batch = make_batch(head, clips=2, frames=4)
    frames = batch["frames"].flatten(0, 1) / 127.5 - 1
    asked = []

    def move(reference, own, motion):
        asked.append([one.flatten(0, 1) for one in (reference, own, motion)])
        return frames.unflatten(0, (2, 4))

    monkeypatch.setattr(head.backbone.mover, "forward", move)
    assert head.objective._mover_terms(batch, [2])[0] == 0
    reference, own, motion = asked[0]
    assert torch.equal(reference, torch.cat([frames[4:], frames[:4]]))
    assert torch.equal(own, torch.cat([batch["pose"][1], batch["pose"][0]]))
    assert torch.equal(motion, batch["motion"].flatten(0, 1))
