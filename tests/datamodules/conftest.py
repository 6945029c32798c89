"""Small recordings of a clap and a flash, written with PyAV in any container."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from datamodules import clients
from datamodules.clients import ClientDataModule
from datamodules.clips import SAMPLES_PER_FRAME, Clip
from datamodules.demo import recording
from datamodules.demo.person import draw_person

CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mpg": ("mpeg1video", "mp2"),
    ".avi": ("mpeg4", "libmp3lame"),
    ".flv": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".mkv": ("libx264", "aac"),
    ".m4v": ("libx264", "aac"),
    ".3gp": ("libx264", "aac"),
    ".mpeg": ("mpeg2video", "mp2"),
    ".mts": ("libx264", "aac"),
    ".m2ts": ("libx264", "ac3"),
    ".wmv": ("wmv2", "libmp3lame"),
}


def write_recording(
    path: Path,
    *,
    seconds: float = 2.0,
    fps: int = 25,
    height: int = 48,
    width: int = 64,
    rate: int = 16_000,
    layout: str = "mono",
    sound: str | None = "clap",
    sound_from: float = 0.0,
    sound_to: float | None = None,
    picture_from: float = 0.0,
    event: float = 1.2,
    audio_pts: bool = True,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Write a grey film with a white flash and a clap at `event` seconds on the container's clock.

    The suffix of `path` chooses the container and the codecs. `sound` is a `clap` in a faint hum, `silence`, or None
    for no sound stream; `sound_from` and `picture_from` are when the streams start, `sound_to` when the sound ends;
    `audio_pts` False is the mistake of a writer that sets no time stamps; `pixel_aspect` is the width of a pixel over
    its height.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    picture_codec, sound_codec = CODECS[path.suffix]
    options = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(picture_codec, rate=fps)
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        if pixel_aspect:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        audio = container.add_stream(sound_codec, rate=rate, layout=layout) if sound else None
        for index in range(round((seconds - picture_from) * fps)):
            first = round(picture_from * fps)
            lit = 0 <= (index + first) / fps - event < 0.15
            picture = np.full((height, width, 3), 255 if lit else 60 + index % 50, np.uint8)
            picture[: height // 2, : width // 2, 0] //= 2  # the upper left corner is known from the others
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index + first, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio:
            _write_sound(
                container,
                audio,
                _sound(sound, (sound_to or seconds) - sound_from, rate, event - sound_from),
                rate,
                layout,
                round(sound_from * rate) if audio_pts else None,
            )
    return path


def _sound(kind: str, seconds: float, rate: int, event: float) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    if kind == "silence":
        return np.zeros_like(time, np.float32)
    clap = np.where((time >= event) & (time < event + 0.15), 0.6 * np.sin(2 * np.pi * 900 * time), 0)
    return (clap + 0.01 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)


def _write_sound(container, stream, samples: np.ndarray, rate: int, layout: str, first: int | None) -> None:
    channels = 2 if layout == "stereo" else 1
    for start in range(0, len(samples), 1024):
        part = np.ascontiguousarray(np.tile(samples[start : start + 1024], (channels, 1)))
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate = rate
        if first is not None:
            frame.pts, frame.time_base = first + start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return `write_recording` by suffix and settings; each kind of file is written once."""
    folder = tmp_path_factory.mktemp("recordings")
    numbers = count()

    @cache
    def write(suffix: str, **settings: Any) -> Path:
        return write_recording(folder / f"{next(numbers)}{suffix}", **settings)

    return write


@pytest.fixture
def record(written: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Return `write_recording` for names below the test's folder; the file is the test's own."""

    def copy(name: str, **settings: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(written(path.suffix, **settings), path))

    return copy


@pytest.fixture(scope="session")
def recorded() -> Callable[[int], recording.Recording]:
    """Return the first clip of the demo person of a seed; each is drawn once, and no test changes it."""
    return lru_cache(maxsize=None)(lambda seed: recording.record(draw_person(seed), 0))


@pytest.fixture
def make_clip() -> Callable[..., Clip]:
    """Return a maker of clips of random pixels and sound."""

    def make(person: str = "ada", name: str = "a", frames: int = 30, size: int = 16, seed: int = 0) -> Clip:
        chance = torch.Generator().manual_seed(seed)
        return Clip(
            person=person,
            name=name,
            frames=torch.randint(256, (frames, 3, size, size), dtype=torch.uint8, generator=chance),
            waveform=torch.rand(frames * SAMPLES_PER_FRAME, generator=chance) - 0.5,
            motion=None,
            mouth=torch.rand(frames, generator=chance),
            path=Path(person) / f"{name}.mp4",
            start=0.0,
        )

    return make


MARKED = {"ada": 1, "bob": 2, "eve": 5}
"""People of `read_marked`, and how many clips there are of each."""


def mark_clip(clip: Clip) -> dict[str, torch.Tensor]:
    """Mark every frame with its person (thousands), its clip (hundreds) and its place."""
    frames = len(clip.frames)
    mark = 1000 * sorted(MARKED).index(clip.person) + 100 * int(clip.name) + torch.arange(frames).float()
    return {
        "latents": mark.view(-1, 1, 1, 1).repeat(1, 4, 2, 2),
        "identity": mark.view(-1, 1).repeat(1, 3),
        "frames": mark.view(-1, 1, 1, 1).repeat(1, 3, 4, 4),
        "pose": mark.view(-1, 1).repeat(1, 6),
        "mel": mark.view(-1, 1, 1).repeat(1, 20, 80),
        "motion": mark.view(-1, 1).repeat(1, 6),
        "has_motion": torch.tensor(0.0),
        "mouth": mark,
        "has_mouth": torch.tensor(1.0),
    }


@pytest.fixture(name="mark_clip")
def _mark_clip() -> Callable[[Clip], dict[str, torch.Tensor]]:
    """Return the encoder of `read_marked`."""
    return mark_clip


@pytest.fixture
def read_marked(make_clip, monkeypatch) -> Callable[..., ClientDataModule]:
    """Return a reader of people whose encodings tell whose frame it is, of which clip, and where in it."""
    people = {
        person: [make_clip(person, str(index), frames=30 + index, seed=index) for index in range(count)]
        for person, count in MARKED.items()
    }
    monkeypatch.setattr(clients, "load_people", lambda *_, **__: people)
    monkeypatch.setattr(clients, "with_inputs", lambda encode: encode)  # the marks hold frames and sound, too

    def read(kind: type[ClientDataModule] = ClientDataModule, **settings: Any) -> ClientDataModule:
        data = kind(**settings)
        data.setup()
        data.set_encoder(mark_clip, "marks")
        return data

    return read
