"""Writes the built-in demo people as real mp4 files with sound, beside the true motion and mouth of every frame."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from datamodules.clips import FPS, SAMPLE_RATE, truth_of
from datamodules.demo.person import draw_person, name_of, number_of_clips
from datamodules.demo.recording import record
from datamodules.demo.seeds import PRIVATE_SEEDS
from datamodules.process_pool import map_in_processes
from datamodules.progress_bar import progress_bar
from datamodules.video import write_video
from whole_files import whole_file

CRF = 8
# Part of every truth file: files of another generator are rendered again.
GENERATOR = "1"
Job = tuple[int, int, Path]
"""Seed, clip and file."""


def make_demo_people(
    root: str | Path,
    seeds: Iterable[int] = PRIVATE_SEEDS,
    clips_per_person: int | None = None,
    size: int = 64,
    processes: int = 1,
) -> list[Path]:
    """Write `root/<name>/clip_<n>.mp4` and `clip_<n>.truth.safetensors`; clips that are there already are kept.

    Args:
        root: Folder of the people.
        seeds: Who: `PUBLIC_SEEDS`, `HELD_OUT_SEEDS` or `PRIVATE_SEEDS`, or a part of them.
        clips_per_person: Clips of 3 s each; None is 2 for public people and 3 to 8, unequal, for clients.
        size: Width and height in pixels, even, at least 64.
        processes: How many processes draw at once.

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
    missing = [job for job in jobs if not _is_whole(*job, size)]
    work = partial(_make_clip, size=size)
    drawn = map_in_processes(work, missing, processes, "drew demo people")
    for _ in progress_bar(drawn, "drawing demo people", len(missing)):
        pass
    return [path for _, _, path in jobs]


def _is_whole(seed: int, clip: int, path: Path, size: int) -> bool:
    return path.exists() and read_marker(truth_of(path)) == _make_marker(seed, size)


def _make_clip(job: Job, size: int) -> None:
    seed, clip, path = job
    truth = truth_of(path)
    # The truth is written last: it marks the clip as whole.
    truth.unlink(missing_ok=True)
    recording = record(draw_person(seed), clip, size)
    write_video(path, recording.frames, FPS, recording.waveform, SAMPLE_RATE, crf=CRF)
    with whole_file(truth) as partial:
        save_file({"motion": recording.motion, "mouth": recording.mouth}, partial, metadata=_make_marker(seed, size))


def _make_marker(seed: int, size: int) -> dict[str, str]:
    """Return what a clip's truth says of how it was made."""
    return {"generator": GENERATOR, "size": str(size), "seed": str(seed)}


def read_marker(truth: Path) -> dict[str, str] | None:
    """Return what a clip's truth says of how it was drawn; None where it says nothing, or is not there."""
    try:
        with safe_open(truth, "pt") as file:
            return file.metadata()
    except (FileNotFoundError, SafetensorError):
        return None
