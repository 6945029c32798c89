"""Writes the built-in demo people as real mp4 files with sound, beside the true motion and mouth of every frame."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from datamodules.clips import FPS, SAMPLE_RATE
from datamodules.demo_face import Portrait
from datamodules.demo_person import PRIVATE_SEEDS, Person, draw_person, name_of, number_of_clips
from datamodules.demo_scene import MARGIN
from datamodules.demo_sketch import Pose
from datamodules.demo_speech import speak
from datamodules.video import write_video

FRAMES = 75
CRF = 8
# Part of every truth file: files of another generator are rendered again.
GENERATOR = "1"


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


def demo_clients() -> list[str]:
    """The folder names of the private demo people."""
    return [name_of(seed) for seed in PRIVATE_SEEDS]


def record(person: Person, clip: int, size: int = 64, frames: int = FRAMES) -> Recording:
    """Draws and speaks one clip of a person; seed, clip number and length decide everything."""
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
    """What decides a person's clip; it is asked for the speech first."""
    return np.random.default_rng((seed, 2, clip))


def make_demo_people(
    root: str | Path,
    seeds: Iterable[int] = PRIVATE_SEEDS,
    clips_per_person: int | None = None,
    size: int = 64,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Writes `root/<name>/clip_<n>.mp4` and `clip_<n>.truth.safetensors`; clips that stand already are kept.

    Args:
        root: Folder of the people.
        seeds: Who: `PUBLIC_SEEDS`, `HELD_OUT_SEEDS` or `PRIVATE_SEEDS`, or a part of them.
        clips_per_person: Clips of 3 s each; None is 2 for public people and 3 to 8, unequal, for clients.
        size: Width and height in pixels, even, at least 64.
        processes: How many processes draw at once.
        progress: Called with (clips done, clips in all).

    Returns:
        The paths of all clips, in the order of the seeds.
    """
    if size < 64 or size % 2:
        raise ValueError(f"Demo people need an even `size` of at least 64 pixels. Got {size}.")
    jobs = [
        (seed, clip, Path(root) / name_of(seed) / f"clip_{clip:02d}.mp4")
        for seed in seeds
        for clip in range(number_of_clips(seed) if clips_per_person is None else clips_per_person)
    ]
    work = partial(_make_clip, size=size)
    if processes == 1:
        _count(map(work, jobs), len(jobs), progress)
    else:  # Ctrl-C reaches the pool, too, which this process ends
        with get_context("spawn").Pool(processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            _count(pool.imap_unordered(work, jobs, chunksize=4), len(jobs), progress)
    return [path for _, _, path in jobs]


def _count(results: Iterable[None], total: int, progress: Callable[[int, int], None] | None) -> None:
    for done, _ in enumerate(results, start=1):
        if progress is not None:
            progress(done, total)


def _make_clip(job: tuple[int, int, Path], size: int) -> None:
    seed, clip, path = job
    marker = {"generator": GENERATOR, "size": str(size), "seed": str(seed)}
    truth = path.with_suffix(".truth.safetensors")
    if path.exists() and _marker_of(truth) == marker:
        return
    # The truth is written last: it marks the clip as whole.
    truth.unlink(missing_ok=True)
    recording = record(draw_person(seed), clip, size)
    write_video(path, recording.frames, FPS, recording.waveform, SAMPLE_RATE, crf=CRF)
    unfinished = truth.with_name(f".{truth.name}.{os.getpid()}.partial")
    save_file({"motion": recording.motion, "mouth": recording.mouth}, unfinished, metadata=marker)
    os.replace(unfinished, truth)


def _marker_of(truth: Path) -> dict[str, str] | None:
    try:
        with safe_open(truth, "pt") as file:
            return file.metadata()
    except (FileNotFoundError, SafetensorError):
        return None


def _move(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth head motion and blinks `(frames, 6)`; most of a clip stays within 12 degrees and 2 pixels of 64."""
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
    """A trembling hand-held camera `(frames, 2)`, in fractions of half the frame."""
    shake = gaussian_filter1d(rng.standard_normal((frames, 2)), 0.8, axis=0) * 0.07
    return shake.clip(-MARGIN, MARGIN)
