"""What a pretrained speech model hears: wav2vec 2.0 features around each video frame, in place of log-mel windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = 640
HOP = 320
"""Samples from one feature to the next: 20 ms, two to a video frame."""
FIELD = 400
"""Samples that each feature is computed from."""
WINDOW_FRAMES = 5
"""Video frames whose sound one frame hears, as in `datamodules.audio`."""
PIECE = 1500
"""Features that are computed at once at most, 30 s: a minute takes 400 MB in the first convolution alone."""
CONTEXT = 100
"""Features on either side that are computed with a piece and left out, 2 s: wav2vec's convolution over positions
reaches 1.3 s."""


class SpeechEncoder(nn.Module):
    """A frozen wav2vec 2.0 (Baevski et al., arXiv 2006.11477), in transformers' own layout.

    It hears a recording at once, so a clip's features are computed once and kept beside its latents. What is longer
    than 30 s is heard in pieces that overlap: attention, and normalisation over time, reach no further than a piece.

    Raises:
        ValueError: If the model does not give one feature for every 20 ms.
    """

    def __init__(self, model: Wav2Vec2Model, extractor: Wav2Vec2FeatureExtractor) -> None:
        super().__init__()
        hop, field = 1, 1
        for kernel, stride in zip(model.config.conv_kernel, model.config.conv_stride, strict=True):
            field, hop = field + (kernel - 1) * hop, hop * stride
        if (hop, field) != (HOP, FIELD):
            raise ValueError(f"A speech model must give one feature for {HOP} of {FIELD} samples. Got {hop}, {field}.")
        self.model = model
        self.extractor = extractor

    def train(self, mode: bool = True) -> SpeechEncoder:
        """Stay in evaluation mode: what a clip's cache keeps must not depend on dropped layers and masked features."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, waveform: Tensor, frames: int) -> Tensor:
        """Return for each video frame the features of the five video frames around it; beyond the ends there are zeros.

        Args:
            waveform: (samples,) mono at 16 kHz; cut or filled with silence to the length of the video.
            frames: Number of video frames.

        Returns:
            (frames, 10, hidden size) float32 on the CPU, like what `datamodules.audio.log_mel_windows` returns.
        """
        samples = frames * SAMPLES_PER_FRAME
        sound = F.pad(waveform.float().cpu()[:samples], (0, max(0, samples - len(waveform))))
        normal = self.extractor(sound.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
        margin = (FIELD - HOP) // 2  # centres each feature on its own 20 ms
        heard = torch.cat([*self._hear_pieces(F.pad(normal, (margin, margin)), samples // HOP)])
        steps = SAMPLES_PER_FRAME // HOP
        side = steps * (WINDOW_FRAMES // 2)
        padded = F.pad(heard.T, (side, side))
        return padded.unfold(1, steps * WINDOW_FRAMES, steps).permute(1, 2, 0).contiguous()

    def _hear_pieces(self, sound: Tensor, count: int) -> Iterator[Tensor]:
        """Yield features (n, hidden size) of a sound (1, HOP * count + FIELD - HOP), in pieces of about one length."""
        pieces = max(1, math.ceil(count / PIECE))
        for first, end in pairwise(round(count * piece / pieces) for piece in range(pieces + 1)):
            begin, finish = max(0, first - CONTEXT), min(count, end + CONTEXT)
            piece = sound[:, begin * HOP : finish * HOP + FIELD - HOP].to(self.model.device, self.model.dtype)
            yield self.model(piece).last_hidden_state[0, first - begin : end - begin].float().cpu()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> SpeechEncoder:
        """Load a folder or hub id in transformers' layout, in float32.

        Raises:
            OSError: If it lacks the model or its `preprocessor_config.json`.
            ValueError: If weights are broken or missing (transformers would draw them anew, with a warning).
        """
        kind = PretrainedConfig.get_config_dict(folder)[0].get("model_type")
        if kind != Wav2Vec2Config.model_type:
            raise ValueError(f"A speech model must be a {Wav2Vec2Config.model_type}. Got {kind} in {folder}.")
        try:
            model, found = Wav2Vec2Model.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        except SafetensorError as error:
            raise ValueError(f"The speech model in {folder} is broken: {error}. Copy it anew.") from error
        if missing := sorted(set(found["missing_keys"]) - {"masked_spec_embed"}):  # of use in its own training only
            raise ValueError(f"{folder} lacks weights of wav2vec 2.0: {missing[:3]}.")
        return cls(model.eval(), Wav2Vec2FeatureExtractor.from_pretrained(folder))

    @classmethod
    def from_configs(cls, folder: str | Path) -> SpeechEncoder:
        """Build what `from_pretrained` loads, without its weights."""
        model = Wav2Vec2Model(Wav2Vec2Config.from_pretrained(folder))
        return cls(model.eval(), Wav2Vec2FeatureExtractor.from_pretrained(folder))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder in transformers' layout."""
        self.model.save_pretrained(folder)
        self.extractor.save_pretrained(folder)
