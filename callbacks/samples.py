"""Sample videos: a public person after some rounds, every client at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor
from typing_extensions import override

from callbacks.monitor import Monitor
from federation.exchange import gather
from federation.hooks import FederationCallback
from federation.update import RoundState

FRAMES_IN_STRIP = 8
SAMPLES_PER_FRAME = 640
"""16 kHz sound at 25 frames per second."""


class SpeakingData(Protocol):
    """People with clips that were not trained on."""

    def splits(self, client: str) -> Mapping[str, Sequence[Any]]:
        """Return the clips (`frames`, `waveform`) of each split."""

    def encoded(self, client: str, split: str) -> Sequence[Mapping[str, Tensor]]:
        """Return what the model is given of each clip (`mel`, `motion`, `has_motion`)."""


@dataclass(frozen=True)
class Speaker:
    """Whom a sample shows, driven by the sound and, if known, the head motion of a clip that was not trained on."""

    name: str
    data: SpeakingData
    is_client: bool
    """Whether the person is private: the video is then `local/*`, and made with the person's identity adapter."""

    @property
    def kind(self) -> Literal["released", "local"]:
        """Return where a sample belongs."""
        return "local" if self.is_client else "released"


class GeneratingModule(Protocol):
    """A module that makes a portrait speak."""

    def generate(self, portrait: Tensor, sound: Tensor, *, motion: Tensor | None, steps: int, seed: int) -> Tensor:
        """Return RGB frames, uint8 (frames, 3, height, width)."""


class Samples(FederationCallback):
    """Writes `OUT/{released,local}/samples/<name>.mp4` and shows a strip of recorded and generated frames.

    Args:
        fabric: Launched; the videos are divided over its devices.
        module: Generates.
        speakers: Whom to show.
        write_video: `datamodules.video.write_video`, or what is called like it.
        monitor: Shows the strips in TensorBoard.
        out_dir: Folder of the run.
        every: Rounds between videos of public people; 0 is at the end of the run only.
        frames: Of a video, at most.
        steps: Denoising steps.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: GeneratingModule,
        speakers: Sequence[Speaker],
        write_video: Callable[..., None],
        monitor: Monitor,
        out_dir: Path,
        every: int = 0,
        frames: int = 50,
        steps: int = 10,
    ) -> None:
        self.fabric = fabric
        self.module = module
        self.speakers = list(speakers)
        self.write_video = write_video
        self.monitor = monitor
        self.out_dir = out_dir
        self.every = every
        self.frames = frames
        self.steps = steps

    @override
    def on_round_end(self, state: RoundState) -> None:
        if self.every and (state.index + 1) % self.every == 0:
            self._show(state, [speaker for speaker in self.speakers if not speaker.is_client])

    @override
    def on_run_end(self, state: RoundState) -> None:
        self._show(state, self.speakers)

    @torch.no_grad()
    def _show(self, state: RoundState, speakers: Sequence[Speaker]) -> None:
        self.module.eval()
        own = speakers[self.fabric.global_rank :: self.fabric.world_size]
        strips = gather([(speaker.kind, speaker.name, self._make(state, speaker)) for speaker in own])
        for kind, name, strip in (entry for part in strips for entry in part):
            if state.is_main:
                self.monitor.show(kind, f"{kind}/sample/{name}", strip)

    def _make(self, state: RoundState, speaker: Speaker) -> Tensor:
        """Write one video and return its strip."""
        clip = speaker.data.splits(speaker.name)["test"][0]
        encoding = speaker.data.encoded(speaker.name, "test")[0]
        portrait = speaker.data.splits(speaker.name)["train"][0].frames[0]
        mel, motion = encoding["mel"][: self.frames], encoding["motion"][: self.frames]
        state.load_adapters(speaker.name if speaker.is_client else None)
        with self.fabric.autocast():
            frames = self.module.generate(
                portrait, mel, motion=motion if encoding["has_motion"] else None, steps=self.steps, seed=0
            )
        path = self.out_dir / speaker.kind / "samples" / f"{speaker.name}.mp4"
        self.write_video(path, frames, waveform=clip.waveform[: len(frames) * SAMPLES_PER_FRAME])
        return strip_of(clip.frames, frames)


def strip_of(recorded: Tensor, generated: Tensor) -> Tensor:
    """Return one picture, uint8 (3, 2 height, frames x width): recorded frames above generated ones."""
    chosen = torch.linspace(0, len(generated) - 1, FRAMES_IN_STRIP).long()
    return torch.cat([torch.cat(list(clip[chosen]), dim=2) for clip in (recorded, generated)], dim=1)
