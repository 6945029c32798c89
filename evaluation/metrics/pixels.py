"""PSNR and SSIM, per frame against the frames decoded from the clip, never after encoding."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

IDENTICAL = 100.0
"""PSNR of equal frames, dB; it would be infinite."""


def psnr(frames: Tensor, target: Tensor) -> float:
    """Return the PSNR in dB, averaged over frames, of uint8 `(frames, 3, height, width)`.

    It rewards blur and standing still: a static copy of a real talking face reaches about 27 dB.
    """
    values = peak_signal_noise_ratio(frames / 255, target / 255, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return values.clamp(max=IDENTICAL).mean().item()


def ssim(frames: Tensor, target: Tensor) -> float:
    """Return the SSIM (Wang et al. 2004, 11-pixel Gaussian of 1.5), averaged over frames, of uint8 frames."""
    return (
        structural_similarity_index_measure(frames / 255, target / 255, data_range=1.0, reduction="none").mean().item()
    )
