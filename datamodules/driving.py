"""What drives a portrait: the sound, and the head motion where it is known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from datamodules.audio import equalise_loudness, is_silent, read_audio
from datamodules.clips import FPS, MOTION_NAMES, SAMPLES_PER_FRAME, UnusableFile, truth_of
from datamodules.reading.sound import decode_sound
from datamodules.reading.video_stream import probe_video

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Driving:
    """Sound and head motion on one clock."""

    waveform: Tensor
    """Mono at `SAMPLE_RATE` in [-1, 1], float32 `(frames * SAMPLES_PER_FRAME,)`."""
    motion: Tensor | None
    """Head motion `(frames, 6)` as in `Clip.motion`; None leaves it to the model."""

    @property
    def frames(self) -> int:
        """Number of frames to make, at `FPS`."""
        return len(self.waveform) // SAMPLES_PER_FRAME


def read_driving(audio: str | Path | None, video: str | Path | None) -> Driving:
    """Read the sound of `audio`, or else of `video`, and the head motion of `video`; the shorter one ends the video.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If neither is given, a file cannot be read, or the video's head motion is not known.
    """
    if audio is None and video is None:
        raise ValueError("`--driving_audio` or `--driving_video` is needed. Got neither.")
    motion = None if video is None else read_motion(video)
    waveform = read_sound_of_video(Path(video)) if audio is None else read_audio(audio)
    frames = len(waveform) // SAMPLES_PER_FRAME
    if not frames:
        raise ValueError(f"{audio or video} holds less sound than one frame of {1 / FPS:.2f} s.")
    if motion is not None and frames != len(motion):
        frames, sounding = min(frames, len(motion)), frames
        if frames < sounding:
            log.warning("The sound is cut to the %.2f s of head motion that %s gives.", frames / FPS, video)
        motion = motion[:frames]
    return Driving(waveform[: frames * SAMPLES_PER_FRAME], motion)


def read_motion(video: str | Path) -> Tensor:
    """Return the head motion `(frames, 6)` at `FPS` from `<stem>.truth.safetensors` beside a video.

    Raises:
        FileNotFoundError: If there is no such video.
        ValueError: If there is no such file beside it, or it holds no motion.
    """
    video = Path(video)
    if not video.is_file():
        raise FileNotFoundError(f"There is no video {video}.")
    sidecar = truth_of(video)
    if not sidecar.is_file():
        raise ValueError(
            f"`--driving_video` gives head motion, which as yet can only be read from {sidecar.name} beside the video. "
            f"There is no {sidecar}. For the sound of the video alone, pass it as `--driving_audio`."
        )
    try:
        motion = load_file(sidecar).get("motion")
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{sidecar} cannot be read: {error}.") from error
    if motion is None or motion.ndim != 2 or motion.shape[1] != len(MOTION_NAMES) or not len(motion):
        shape = None if motion is None else tuple(motion.shape)
        raise ValueError(f"{sidecar} must hold `motion` (frames, {len(MOTION_NAMES)}). Got {shape}.")
    if not torch.isfinite(motion).all():
        raise ValueError(f"{sidecar} must hold finite motion. Got NaN or infinity.")
    return motion.float()


def read_sound_of_video(video: Path) -> Tensor:
    """Return the sound from a video's first frame to its last, so that it is on the clock of the motion.

    Raises:
        ValueError: If the video or its sound cannot be read, or it is silent.
    """
    try:
        stream = probe_video(video)
        sound = decode_sound(video)
    except UnusableFile as error:
        raise ValueError(f"{video} cannot be read: {error}.") from error
    if sound is None:
        raise ValueError(f"{video} holds no sound. Pass `--driving_audio` with it.")
    waveform = sound.between(float(stream.times[0]), len(stream.resampled()) * SAMPLES_PER_FRAME)
    if is_silent(waveform):
        raise ValueError(f"{video} is silent. Pass `--driving_audio` with it.")
    return equalise_loudness(waveform)
