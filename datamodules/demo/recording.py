"""Draws and speaks one clip of a demo person, with the true motion and mouth of every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from datamodules.clips import FPS
from datamodules.demo.face import Portrait
from datamodules.demo.person import Person
from datamodules.demo.scene import MARGIN
from datamodules.demo.sketch import Pose
from datamodules.demo.speech import speak

FRAMES = 75


@dataclass(frozen=True)
class Recording:
    """One drawn and spoken clip.

    `frames` uint8 `(frames, 3, size, size)`, `waveform` float32 `(samples,)`, `motion` float32 `(frames, 6)`: yaw,
    pitch, roll in units of 30 degrees, shift_x, shift_y in fractions of half the frame, blink in [0, 1]; `mouth`
    float32 `(frames,)`: the true opening in [0, 1].
    """

    frames: Tensor
    waveform: Tensor
    motion: Tensor
    mouth: Tensor


def record(person: Person, clip: int, size: int = 64, frames: int = FRAMES) -> Recording:
    """Draw and speak one clip of a person; seed, clip number and length decide everything."""
    rng = clip_randomness(person.seed, clip)
    speech = speak(person.voice, frames, FPS, rng)
    motion = _move(frames, rng)
    sway = _shake(frames, rng) if person.shaky else np.zeros((frames, 2))
    motion[:, 3:5] += sway
    portrait = Portrait(person, size)
    pictures = [
        portrait.render(Pose(*move[:3], (move[3], move[4]), move[5], opening, width, tuple(jitter)))
        for move, opening, width, jitter in zip(motion, speech.opening, speech.width, sway, strict=True)
    ]
    return Recording(
        frames=torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(),
        waveform=torch.from_numpy(speech.waveform),
        motion=torch.from_numpy(motion.astype(np.float32)),
        mouth=torch.from_numpy(speech.opening),
    )


def clip_randomness(seed: int, clip: int) -> np.random.Generator:
    """Return what decides a person's clip; it is asked for the speech first."""
    return np.random.default_rng((seed, 2, clip))


def _move(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Draw smooth head motion and blinks `(frames, 6)`; most of a clip stays within 12 degrees and 2 pixels of 64."""
    drift = gaussian_filter1d(rng.standard_normal((frames + 80, 5)), 9, axis=0)[40 : 40 + frames]
    drift = drift / 0.177 * (0.26, 0.15, 0.13, 0.03, 0.025)  # 0.177: deviation of white noise after this filter
    motion = np.concatenate([drift, np.zeros((frames, 1))], axis=1)
    motion[:, :5] = motion[:, :5].clip((-0.7, -0.4, -0.4, -0.09, -0.07), (0.7, 0.4, 0.4, 0.09, 0.07))
    start = rng.integers(5, 50)
    while start < frames:
        lids = np.array([0.35, 0.85, 1.0, 0.8, 0.35])[: frames - start]
        motion[start : start + len(lids), 5] = lids
        start += rng.integers(30, 95)
    return motion


def _shake(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a trembling hand-held camera `(frames, 2)`, in fractions of half the frame."""
    shake = gaussian_filter1d(rng.standard_normal((frames, 2)), 0.8, axis=0) * 0.07
    return shake.clip(-MARGIN, MARGIN)
