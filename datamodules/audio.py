"""Sound as the model hears it: loudness made equal, log-mel windows around each video frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from datamodules.clips import SAMPLES_PER_FRAME, UnusableFile
from datamodules.reading.sound import decode_sound

MEL_BANDS = 80
"""Mel bands from 0 to 8,000 Hz."""

HOP = 160
"""Samples from one mel step to the next: 10 ms, four steps to a video frame."""

STEPS_PER_FRAME = SAMPLES_PER_FRAME // HOP

WINDOW_FRAMES = 5
"""Video frames whose sound one frame hears: itself and two on either side."""

MEL_STEPS = STEPS_PER_FRAME * WINDOW_FRAMES
"""Mel steps in the window of one video frame."""

LOUDNESS = 0.05
"""Root mean square of the sounding parts of a recording after `equalise_loudness`."""

SILENCE = 1e-3
"""A recording whose loudest sample is below this (-60 dB) is called silent."""

Hear = Callable[[Tensor, int], Tensor]
"""Of a waveform and a number of frames, what a model hears in each: `log_mel_windows`, or its own speech model."""

_FFT = 400
_FLOOR = 1e-5


def read_audio(path: str | Path) -> Tensor:
    """Read the sound of a sound or video file: mono, 16 kHz, `(samples,)` in [-1, 1], of the usual loudness.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no sound that can be decoded, or only silence.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no sound file {path}.")
    try:
        sound = decode_sound(path) if path.stat().st_size else None
    except UnusableFile as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    if sound is None:
        raise ValueError(f"{path} holds no sound.")
    if is_silent(waveform := torch.from_numpy(sound.waveform)):
        raise ValueError(f"{path} is silent: no sample of it is above -60 dB.")
    return equalise_loudness(waveform)


def is_silent(waveform: Tensor) -> bool:
    """Whether nothing can be heard."""
    return waveform.numel() == 0 or waveform.abs().max().item() < SILENCE


def equalise_loudness(waveform: Tensor) -> Tensor:
    """Scale a whole recording to the usual loudness: people record at different levels.

    The one place where sound is normalised. One gain for the recording; pauses do not count: the root mean square is
    taken over the 10 ms blocks louder than a tenth of the 95th percentile. The gain is held so that nothing clips.
    """
    if is_silent(waveform):
        return waveform
    blocks = functional.pad(waveform, (0, -len(waveform) % HOP)).view(-1, HOP).square().mean(1).sqrt()
    sounding = blocks[blocks >= 0.1 * blocks.quantile(0.95)] if len(blocks) < 2**23 else blocks
    gain = LOUDNESS / sounding.square().mean().sqrt().item()
    return waveform * min(gain, 1 / waveform.abs().max().item())


def log_mel_windows(waveform: Tensor, frames: int) -> Tensor:
    """Return for each video frame the log-mel spectrogram of the five video frames around it.

    Frame `f` gets the 20 steps that lie under video frames `f-2 .. f+2`; beyond the ends there is silence (-1). Each
    step analyses 25 ms centred on its own 10 ms. Nothing is normalised by the clip: what a frame hears does not depend
    on sound outside its window.

    Args:
        waveform: `(samples,)` mono at 16 kHz; cut or filled with silence to the length of the video.
        frames: Number of video frames.

    Returns:
        `(frames, MEL_STEPS, MEL_BANDS)` float32, about [-1, 1]; windows share their memory, as four fifths of each are
        in the next one, too.
    """
    samples = frames * SAMPLES_PER_FRAME
    margin = (_FFT - HOP) // 2
    sound = functional.pad(waveform.float()[:samples], (margin, margin + max(0, samples - len(waveform))))
    spectrum = torch.stft(sound, _FFT, HOP, window=torch.hann_window(_FFT), center=False, return_complex=True)
    mel = _mel_filters() @ spectrum.abs().square()
    scaled = (torch.log10(mel + _FLOOR) + 2) / 3
    side = (MEL_STEPS - STEPS_PER_FRAME) // 2
    padded = functional.pad(scaled, (side, side), value=-1.0)
    return padded.unfold(1, MEL_STEPS, STEPS_PER_FRAME).permute(1, 2, 0)


def sound_encoder(speech: Hear | None) -> Hear:
    """Return how a model hears: with its own speech model or, where it has none, as log-mel windows."""
    return log_mel_windows if speech is None else speech


@cache
def _mel_filters() -> Tensor:
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(_FFT // 2 + 1, MEL_BANDS, 0.0, 8_000.0, 16_000, norm="slaney", mel_scale="slaney")
    return torch.from_numpy(np.asarray(filters, np.float32)).T.contiguous()
