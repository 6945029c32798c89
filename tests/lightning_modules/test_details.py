"""Frames get back what the autoencoder lost, where they show what the moved reference shows, and nothing elsewhere."""

import pytest
import torch

from lightning_modules.base_folder import load_base
from lightning_modules.details import MovedReference, move_with_details, restore_details
from lightning_modules.head_motion import lay_on


@pytest.fixture(scope="module")
def backbone(tiny_base):
    return load_base(tiny_base).requires_grad_(False).eval()


@pytest.fixture
def moved(backbone):
    frames = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return MovedReference(frames, backbone.encode(frames))


def test_a_frame_that_is_the_moved_reference_gets_all_of_it_back(backbone, moved):
    rebuilt = backbone.decode(moved.latents)
    assert (moved.frames - rebuilt).abs().mean() > 0.05  # the tiny autoencoder is untrained and loses much
    torch.testing.assert_close(restore_details(backbone, rebuilt, moved), moved.frames)


def test_what_shows_something_else_stays_as_it_is(backbone, moved):
    frames = backbone.decode(moved.latents)
    frames[..., 20:40, 20:40] += 1.0
    given = restore_details(backbone, frames, moved)
    assert torch.equal(given[..., 21:39, 21:39], frames[..., 21:39, 21:39])
    assert not torch.equal(given[..., :18, :18], frames[..., :18, :18])


def test_some_frames_get_the_details_of_their_own(backbone, moved):
    frames = backbone.decode(moved.latents)
    whole, last = restore_details(backbone, frames, moved), slice(4, None)
    torch.testing.assert_close(restore_details(backbone, frames[last], moved.cut(last)), whole[last])
    assert not torch.allclose(restore_details(backbone, frames[last], moved.cut(slice(2))), whole[last])


def test_details_that_were_moved_along_are_restored_without_decoding(backbone, moved, monkeypatch):
    rebuilt = backbone.decode(moved.latents)
    known = MovedReference(moved.frames, moved.latents, moved.frames - rebuilt)
    monkeypatch.setattr(type(backbone), "decode", lambda *_: pytest.fail("it was decoded"))
    torch.testing.assert_close(restore_details(backbone, rebuilt, known.cut(slice(6))), moved.frames)


def test_what_is_lost_moves_with_the_reference(backbone):
    """An untrained mover paints next to nothing, so both go where the ellipsoid takes them."""
    portrait = torch.randint(256, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    reference, motion = backbone.encode_reference(portrait), 0.3 * torch.randn(1, 4, 6)
    frames, lost = move_with_details(backbone, reference, motion)
    assert torch.equal(frames, backbone.move(reference, motion))
    still = reference.frame - backbone.decode(reference.latents)
    expected = lay_on(still, reference.motion, motion)
    assert (lost - expected).norm() < 0.06 * expected.norm()
