"""Frames are the same however many are decoded at once, and none of them is lost."""

from types import SimpleNamespace

import pytest
import torch

from lightning_modules.base_folder import load_base
from lightning_modules.denoised import Denoised, decode_stream
from lightning_modules.details import MovedReference


@pytest.fixture(scope="module")
def backbone(tiny_base):
    return load_base(tiny_base).requires_grad_(False).eval()


@pytest.mark.parametrize(
    ("frames", "most", "lengths"), [(1, 3, [1]), (6, 3, [3, 3]), (7, 3, [3, 3, 1]), (4, 3, [2, 2])]
)
@pytest.mark.parametrize("is_moved", [False, True])
def test_pieces_are_of_about_the_same_length(frames, most, lengths, is_moved):
    latents = torch.arange(frames)
    moved = MovedReference(latents + 100, latents + 200) if is_moved else None
    pieces = list(Denoised(latents, moved).split(most))
    assert [len(piece.latents) for piece in pieces] == lengths
    assert torch.equal(torch.cat([piece.latents for piece in pieces]), latents)
    if is_moved:
        assert torch.equal(torch.cat([piece.moved.frames for piece in pieces]), latents + 100)
        assert torch.equal(torch.cat([piece.moved.latents for piece in pieces]), latents + 200)


def test_a_stream_is_the_same_however_it_is_cut(backbone, monkeypatch):
    frames = torch.rand(11, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = backbone.encode(frames)
    denoised = Denoised(latents + 0.01, MovedReference(frames, latents))
    whole = torch.cat(list(decode_stream(backbone, [denoised])))
    assert whole.shape == (11, 3, 64, 64)
    assert whole.dtype == torch.uint8
    monkeypatch.setattr("lightning_modules.denoised.DECODED", 3)
    cut = torch.cat(list(decode_stream(backbone, denoised.split(5))))
    assert (whole.int() - cut.int()).abs().max() <= 1
    plain = torch.cat(list(decode_stream(backbone, [Denoised(latents + 0.01, None)])))
    assert (whole.int() - plain.int()).abs().max() > 1


def test_frames_take_the_nearest_of_256_levels():
    levels = torch.arange(256.0)
    backbone = SimpleNamespace(frames_at_once=4, decode=lambda latents: latents / 127.5 - 1 - 1e-3)
    [frames] = decode_stream(backbone, [Denoised(levels.view(1, 1, 1, 256), None)])
    assert torch.equal(frames.flatten(), levels.to(torch.uint8))
