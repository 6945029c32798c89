"""What clients minimise: each term counts with its weight, and reaches what it is to teach."""

import pytest
import torch

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
