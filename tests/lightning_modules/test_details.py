"""Frames get back what the autoencoder lost, where they show what the moved reference shows, and nothing elsewhere."""

import pytest
import torch

from lightning_modules.base_folder import load_base
from lightning_modules.details import Details
from lightning_modules.sampling import animate


@pytest.fixture(scope="module")
def backbone(tiny_base):
    return load_base(tiny_base).requires_grad_(False).eval()


@pytest.fixture
def details(backbone):
    generator = torch.Generator().manual_seed(0)
    portrait = torch.randint(256, (3, 64, 64), generator=generator, dtype=torch.uint8)
    return Details.of(backbone, portrait, 0.1 * torch.randn(6, 6, generator=generator))


def moved_and_rebuilt(details):
    """Return the moved references (frames, 3, H, W) before and after the autoencoder."""
    moved = details.backbone.move(details.reference, details.motion[None])[0]
    return moved, details.backbone.decode(details.backbone.encode(moved))


def test_a_frame_that_is_the_moved_reference_gets_all_of_it_back(details):
    moved, rebuilt = moved_and_rebuilt(details)
    assert (moved - rebuilt).abs().mean() > 0.05  # the tiny autoencoder is untrained and loses much
    torch.testing.assert_close(details.give_back(rebuilt, 0), moved)


def test_what_shows_something_else_stays_as_it_is(details):
    _, rebuilt = moved_and_rebuilt(details)
    frames = rebuilt.clone()
    frames[..., 20:40, 20:40] += 1.0
    given = details.give_back(frames, 0)
    assert torch.equal(given[..., 21:39, 21:39], frames[..., 21:39, 21:39])
    assert not torch.equal(given[..., :18, :18], frames[..., :18, :18])


def test_frames_get_the_details_of_their_own_motion(details):
    frames = moved_and_rebuilt(details)[1]
    whole = details.give_back(frames, 0)
    torch.testing.assert_close(details.give_back(frames[4:], 4), whole[4:])
    assert not torch.allclose(details.give_back(frames[4:], 0), whole[4:])


def test_without_known_motion_or_a_mover_there_are_none(backbone, tiny_base):
    portrait = torch.zeros(3, 64, 64, dtype=torch.uint8)
    assert Details.of(backbone, portrait, None) is None
    rough = load_base(tiny_base)
    rough.mover = None
    assert Details.of(rough, portrait, torch.zeros(2, 6)) is None


@pytest.mark.slow
def test_a_stream_is_the_same_however_it_is_cut(backbone, monkeypatch):
    portrait, motion = torch.randint(256, (3, 64, 64), dtype=torch.uint8), 0.2 * torch.randn(11, 6)
    sound = torch.randn(11, 20, 80)
    whole = animate(backbone, portrait, sound, motion=motion, steps=1)
    monkeypatch.setattr("lightning_modules.sampling.DECODED", 3)
    pieces = animate(backbone, portrait, sound, motion=motion, steps=1)
    assert (whole.int() - pieces.int()).abs().max() <= 1
    monkeypatch.setattr(Details, "of", lambda *_: None)
    assert (whole.int() - animate(backbone, portrait, sound, motion=motion, steps=1).int()).abs().max() > 1
