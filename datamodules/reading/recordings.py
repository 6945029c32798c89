"""From one recording to its clips: frames and sound on one clock, cut, cropped, and their truth where it is known."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from datamodules.audio import equalise_loudness, is_silent
from datamodules.clips import FPS, MOTION_NAMES, SAMPLES_PER_FRAME, Clip, UnusableFile, truth_of
from datamodules.reading.cropping import Box, Crop, centre_box, crop_and_resize, crop_box
from datamodules.reading.decoding import decode_frames
from datamodules.reading.sound import decode_sound
from datamodules.reading.splitting import cut_recording
from datamodules.reading.video_stream import VideoStream, probe_video

SHORTEST = FPS
"""Frames that a recording must have."""

LONGEST_STILL = FPS
"""Frames over which one stored picture may be shown: beyond, an app has paused, or somebody talks over a photograph."""

LOOKS = 3
"""Frames of a clip in which its face is searched."""

log = logging.getLogger(__name__)


def read_recording(person: str, path: Path, size: int, crop: Crop) -> Iterator[Clip]:
    """Yield a recording's clips at `(size, size)` pixels, each as soon as its last frame is decoded.

    Raises:
        UnusableFile: If it is broken, cut short, below a second, without sound, or without a face where one is needed.
    """
    stream = probe_video(path)
    if stream.is_hdr:
        log.warning("%s is HDR: its colours come out pale. Film, or convert it, in SDR.", path)
    indices = stream.resampled()
    if len(indices) < SHORTEST:
        raise UnusableFile(f"it is too short: {stream.seconds:.2f} s, and at least {SHORTEST / FPS:.0f} s are needed")
    waveform = _read_waveform(path, stream, len(indices))
    truth = _read_truth(path, len(indices))
    names = _name_pieces(path.stem, cut_recording(len(indices)))
    sounds = {piece: waveform[piece.start * SAMPLES_PER_FRAME : piece.stop * SAMPLES_PER_FRAME] for piece in names}
    shown = {piece: indices[piece.start : piece.stop] for piece in names}
    # A recording may sound in the gaps between pieces alone.
    sounding = {piece: name for piece, name in names.items() if not is_silent(sounds[piece])}
    _demand_some(path, names, sounding, "its sound is silent")
    moving = {piece: name for piece, name in sounding.items() if longest_run(shown[piece]) <= LONGEST_STILL}
    _demand_some(path, sounding, moving, "its picture stands still")
    boxes = _find_boxes(stream, [shown[piece] for piece in moving], crop)
    kept = {piece: box for piece, box in zip(moving, boxes, strict=True) if box}
    _demand_some(path, moving, kept, "no face was found")
    frames = _read_frames(stream, [shown[piece] for piece in kept], list(kept.values()), size)
    for piece, pictures in zip(kept, frames, strict=True):
        yield Clip(
            person=person,
            name=names[piece],
            frames=pictures,
            waveform=sounds[piece].clone(),
            motion=truth["motion"][piece.start : piece.stop].clone() if truth else None,
            mouth=truth["mouth"][piece.start : piece.stop].clone() if truth else None,
            path=path,
            start=piece.start / FPS,
        )


def longest_run(indices: np.ndarray) -> int:
    """Return how often one stored frame is shown without a pause, at most."""
    changes = np.flatnonzero(np.diff(indices)) + 1
    return int(np.diff(np.concatenate([[0], changes, [len(indices)]])).max())


def _name_pieces(stem: str, pieces: Sequence[range]) -> dict[range, str]:
    """Return the name of each piece: the recording's, numbered where there are several."""
    return {piece: stem if len(pieces) == 1 else f"{stem}-{at:02d}" for at, piece in enumerate(pieces, start=1)}


def _demand_some(path: Path, names: Mapping[range, str], kept: Collection[range], reason: str) -> None:
    """Raise UnusableFile if no piece is kept, and name those that are not."""
    if not kept:
        raise UnusableFile(reason)
    if left_out := [name for piece, name in names.items() if piece not in kept]:
        log.warning("%s is used without %s: %s there.", path, ", ".join(left_out), reason)


def _read_waveform(path: Path, stream: VideoStream, frames: int) -> Tensor:
    sound = decode_sound(path)
    if sound is None:
        raise UnusableFile("it has no sound")
    waveform = sound.between(float(stream.times[0]), frames * SAMPLES_PER_FRAME)
    if is_silent(waveform):
        raise UnusableFile("its sound is silent")
    return equalise_loudness(waveform)


def _find_boxes(stream: VideoStream, pieces: list[np.ndarray], crop: Crop) -> list[Box | None]:
    """Return the square of each piece, None for a piece that must have a face and has none."""
    if crop == "none":
        return [centre_box(stream.height, stream.width)] * len(pieces)
    seen = [piece[len(piece) * (2 * look + 1) // (2 * LOOKS)] for piece in pieces for look in range(LOOKS)]
    frames = (frame for chunk in decode_frames(stream, np.array(seen)) for frame in chunk)
    boxes: list[Box | None] = []
    for _ in pieces:
        last = next((box for box in reversed(boxes) if box), None)
        looks = list(islice(frames, LOOKS))  # a frame that cannot be decoded is another matter than one without a face
        try:
            boxes.append(crop_box(looks, crop, str(stream.path), fallback=last))
        except UnusableFile:
            boxes.append(None)
    return boxes


def _read_frames(stream: VideoStream, pieces: list[np.ndarray], boxes: list[Box], size: int) -> Iterator[Tensor]:
    """Decode once, and crop and shrink at once: neither full-size frames nor other pieces stay in memory."""
    ends = np.cumsum([len(piece) for piece in pieces])
    done = 0
    piece = 0
    parts = []
    for chunk in decode_frames(stream, np.concatenate(pieces)):
        while len(chunk):
            here = chunk[: ends[piece] - done]
            parts.append(crop_and_resize(here, boxes[piece], size))
            chunk, done = chunk[len(here) :], done + len(here)
            if done == ends[piece]:
                yield torch.cat(parts)
                piece, parts = piece + 1, []


def _read_truth(path: Path, frames: int) -> dict[str, Tensor] | None:
    """Return motion `(frames, 6)` and mouth `(frames,)` of a recording, if they are known."""
    sidecar = truth_of(path)
    if not os.path.isfile(sidecar):  # False, too, where its name would be too long
        return None
    try:
        truth = load_file(sidecar)
    except (SafetensorError, OSError) as error:
        log.warning("%s is left out: it cannot be read (%s).", sidecar, error)
        return None
    shapes = {name: tuple(tensor.shape) for name, tensor in truth.items()}
    if shapes != {"motion": (frames, len(MOTION_NAMES)), "mouth": (frames,)}:
        log.warning("%s is left out: it must hold %d frames of motion and mouth. Got %s.", sidecar, frames, shapes)
        return None
    return {name: tensor.float() for name, tensor in truth.items()}
