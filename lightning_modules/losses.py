"""Training losses: pure functions of tensors."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def denoising_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of the prediction (Ho et al. 2020, eq. 14; here of velocity or noise)."""
    return F.mse_loss(prediction, target)


def temporal_consistency_loss(predicted_noise: Tensor, noise: Tensor) -> Tensor:
    """Return the L1 norm of the frame-to-frame change of the denoising error (PrivFedTalk, L_TDC).

    mean over f = 2..F of |(eps^_f - eps^_{f-1}) - (eps_f - eps_{f-1})|.

    Args:
        predicted_noise: eps^, shape (batch, frames, channels, height, width).
        noise: eps, same shape.
    """
    error = predicted_noise - noise
    return (error[:, 1:] - error[:, :-1]).abs().mean()


def identity_loss(embedding: Tensor, reference: Tensor) -> Tensor:
    """Return 1 - ID with ID = (1 + cos) / 2, in [0, 1] (PrivFedTalk, L_id), for unit vectors (batch, dim)."""
    return (1 - (embedding * reference).sum(-1)).mean() / 2


def reconstruction_loss(reconstruction: Tensor, frames: Tensor) -> Tensor:
    """Return L1 + MSE + L1 of the image gradients, for frames (..., 3, height, width) in [-1, 1].

    The gradient term keeps outlines of eyes and lips, which plain pixel errors of small pictures blur.
    """
    error = reconstruction - frames
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + error.square().mean() + edges


def angular_margin_loss(embedding: Tensor, centres: Tensor, person: Tensor, margin: float, scale: float) -> Tensor:
    """Return the additive-margin softmax loss (CosFace, arXiv 1801.09414, eq. 4).

    Args:
        embedding: Unit vectors (batch, dim).
        centres: One direction per person (people, dim).
        person: Index of each embedding's person (batch,).
        margin: Subtracted from the cosine to the right person.
        scale: Temperature of the softmax.
    """
    cosine = embedding @ F.normalize(centres, dim=-1).T
    shift = margin * F.one_hot(person, len(centres))
    return F.cross_entropy(scale * (cosine - shift), person)
