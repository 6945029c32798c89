"""Models with random weights and clients with random clips: speed and memory depend on neither."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unittest.mock import patch

import torch
from diffusers import AutoencoderTiny
from lightning.fabric import Fabric
from torch import Tensor
from torch.nn import functional as F

from federation.args import AggregationArgs, FederationArgs
from federation.assignment import form_groups
from federation.client_states import ClientState
from federation.client_training import ClientTrainer
from federation.group_training import GroupTrainer
from federation.update import RoundState
from federation.vectors import read_vector
from lightning_modules.backbone import Backbone
from lightning_modules.base_folder import new_base
from lightning_modules.copying import CopySpread
from lightning_modules.parts import BackboneShape
from lightning_modules.pretraining.small import SMALL
from lightning_modules.talking_head import TalkingHead

SD15_TOKENS = {"token_dim": 768}
SD15: dict[str, dict] = {
    **SMALL,
    "vae": {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": [128, 256, 512, 512],
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": 512,
    },
    "unet": {
        "sample_size": 64,
        "in_channels": 15,  # noisy latents, the reference's, the same moved, and the face's surface
        "block_out_channels": [320, 640, 1280, 1280],
        "cross_attention_dim": 768,
        "num_attention_heads": 8,
        "motion_num_attention_heads": 8,
        "use_motion_mid_block": True,
    },
    **dict.fromkeys(("audio", "identity", "motion"), SD15_TOKENS),
}
"""Stable Diffusion 1.5 with AnimateDiff's motion modules; the encoders of conditions are those of the small base."""


@dataclass(frozen=True)
class Size:
    """How large a model and its clips are."""

    configs: dict[str, dict]
    pixels: int
    frames: int

    def build_backbone(self, device: str | torch.device, tiny_autoencoder: bool = False) -> Backbone:
        """Return a backbone with random weights, made where it shall be; its autoencoder may be of TAESD's kind."""
        shape = BackboneShape(self.pixels, self.frames, knows_motion=True)
        with torch.device(device):
            backbone = new_base(shape, self.configs)
            autoencoder = backbone.vae.config
            folded = backbone.unshuffle * 2 ** (len(autoencoder.block_out_channels) - 1)
            backbone.spread = CopySpread(autoencoder.latent_channels, self.pixels // folded)
            if tiny_autoencoder:
                backbone.vae = AutoencoderTiny(latent_channels=backbone.vae.config.latent_channels)
        return backbone.requires_grad_(False).eval()

    def build_head(self, device: str | torch.device, **settings: object) -> TalkingHead:
        """Return a talking head on such a backbone; `settings` are those of `TalkingHead`."""
        backbone = self.build_backbone(device)
        with patch.object(TalkingHead, "_open", staticmethod(lambda base: ("random", backbone))), torch.device(device):
            return TalkingHead(**settings)


def draw_batch(
    backbone: Backbone, clips: int, frames: int, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Return a batch of random clips on the CPU; what they hold is as large as what `datamodules.clients` gives."""
    vae, pixels = backbone.vae.config, backbone.shape.size
    side = pixels // backbone.unshuffle // 2 ** (len(vae.block_out_channels) - 1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(clips, *shape, generator=generator)

    frame = (draw(frames, 3, pixels, pixels) * 40 + 128).clamp(0, 255).to(torch.uint8)
    return {
        "frames": frame,
        "latents": draw(frames, vae.latent_channels, side, side),
        "reference_frame": frame[:, 0],
        "reference": draw(vae.latent_channels, side, side),
        "reference_motion": 0.3 * draw(6),
        "identity": F.normalize(draw(backbone.encoder.config.embedding_dim), dim=-1),
        "mel": draw(frames, 20, 80),
        "pose": 0.3 * draw(frames, 6),
        "motion": 0.3 * draw(frames, 6),
        "has_motion": torch.ones(clips),
    }


@dataclass(frozen=True)
class RandomClients:
    """Clients who show the same few clips of their own in every step."""

    backbone: Backbone
    clips: int
    frames: int
    clients: Sequence[str]
    dtype: torch.dtype

    def num_examples(self, client: str) -> int:
        """Return a number of frames; nobody is weighed by it."""
        return self.frames

    def client_dataloader(
        self, client: str, *, steps: int, seed: int, split: str = "train"
    ) -> Iterator[dict[str, Tensor]]:
        """Yield one random batch again and again."""
        drawn = draw_batch(self.backbone, self.clips, self.frames, torch.Generator().manual_seed(seed))
        batch = {name: part.to(self.dtype) for name, part in drawn.items()}
        for _ in range(steps):
            yield batch


@dataclass
class SyntheticClients:
    """Clients that train in one module, so many at once as is asked for."""

    fabric: Fabric
    head: TalkingHead
    clips: int
    frames: int
    clients: int
    steps: int

    def __post_init__(self) -> None:
        self.names = [f"client{number}" for number in range(self.clients)]
        dtype = self.head.shared_parameters()[0].dtype
        data = RandomClients(self.head.backbone, self.clips, self.frames, self.names, dtype)
        federation = FederationArgs(local_steps=self.steps, aggregation="fedavg")
        self.trainer = ClientTrainer(self.fabric, self.head, data, federation, AggregationArgs(), 0)
        self.newcomer = ClientState.capture(self.head.personal_parameters())
        start = read_vector(self.head.shared_parameters())
        self.state = RoundState(0, tuple(self.names), start, clip_norm=1.0, exchange=dict)

    def train(self, at_once: int) -> list[tuple[Tensor, ClientState]]:
        """Train everybody for a round, in groups, and return each one's update and personal state."""
        trained = []
        for group in form_groups(self.names, at_once, devices=1):
            states = dict.fromkeys(group, self.newcomer)
            if len(group) == 1:
                trained.append(self.trainer.train(self.state, group[0], self.newcomer))
            else:
                trained += GroupTrainer(self.trainer).train(self.state, states)
        return [(one.update.delta, one.personal) for one in trained]

    def time(self, at_once: int) -> float:
        """Return the seconds of a round in groups of `at_once`."""
        synchronise(self.fabric.device)
        start = time.perf_counter()
        self.train(at_once)
        synchronise(self.fabric.device)
        return time.perf_counter() - start


def synchronise(device: torch.device) -> None:
    """Wait until a device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
