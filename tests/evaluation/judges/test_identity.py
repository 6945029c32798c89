"""The judge of faces looks at faces alone."""

from __future__ import annotations

import pytest
import torch

from evaluation.judges.identity import CENTRE, OVAL, SIDE


def outside_the_oval(size: int, grow: float) -> torch.Tensor:
    """Return which pixels of a frame lie outside the oval, (size, size)."""
    places = (torch.arange(size) + 0.5) / size
    x, y = ((places - middle) * 2 / SIDE for middle in CENTRE)
    return (x / OVAL[0])[None].square() + (y / OVAL[1])[:, None].square() > grow**2


def test_embeddings_are_unit_vectors(untrained, people):
    frames = people["p1000"][0].frames[:3]
    embedded = untrained["identity"].embed(frames)
    assert embedded.shape == (3, 64)
    assert torch.allclose(embedded.norm(dim=-1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("size", [96, 128])
def test_size_hardly_matters(untrained, people, size):
    frames = people["p1000"][0].frames[:3]
    larger = torch.nn.functional.interpolate(frames.float(), (size, size), mode="bilinear").to(torch.uint8)
    assert (untrained["identity"].embed(frames) * untrained["identity"].embed(larger)).sum(-1).min() > 0.95


def test_what_is_far_from_the_face_does_not_matter(untrained, people):
    frames = people["p1000"][0].frames[:2]
    painted = frames.clone()
    painted[..., outside_the_oval(64, 1.25)] = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None]
    repainted = frames.clone()
    repainted[..., ~outside_the_oval(64, 0.8)] = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None]
    judge = untrained["identity"]
    assert (painted != frames).float().mean() > 0.2
    before, beside, inside = (judge.embed(shown) for shown in (frames, painted, repainted))
    assert (before - beside).norm(dim=-1).max() < 0.2 * (before - inside).norm(dim=-1).min()
