"""Stage 0: what each part of the base model learns from public people, one small LightningModule each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.backbone import Backbone
from lightning_modules.diffusion import add_noise, draw_timesteps
from lightning_modules.losses import angular_margin_loss, denoising_loss, reconstruction_loss
from lightning_modules.pretraining.task import Task
from lightning_modules.reference import Reference


@dataclass(frozen=True)
class Batch:
    """Examples of one optimizer step, which devices share."""

    size: int
    unit: str = "frames"

    def share(self, devices: int) -> int:
        """Return how many of them each device draws."""
        return self.size // devices

    def __str__(self) -> str:
        """Return number and unit."""
        return f"{self.size} {self.unit}"


BATCHES = {
    "vae": Batch(16),
    "encoder": Batch(64),
    "pose": Batch(64),
    "mover": Batch(32),
    "denoiser": Batch(4, "windows"),
    "decoder": Batch(16),
}
"""By part, in the order in which they are trained; `args.Steps` tells users of them."""

KL_WEIGHT = 1e-6
"""Keeps latents near unit size without blurring; Stable Diffusion's value."""
DROP_MOTION = 0.5
DROP_SOUND = 0.08
DROP_IDENTITY = 0.08
"""Probabilities that the denoiser is trained on a window without one of its conditions."""
MOUTH_WEIGHT = 0.1
"""Of the mouth's opening, told from the sound's tokens, beside the denoising loss."""


class AutoencoderTask(Task):
    """Frames to latents and back."""

    weight_decay = 1e-4

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone.vae, learning_rate=1e-3)
        self.unshuffle = backbone.unshuffle

    def training_step(self, frames: Tensor, batch_idx: int) -> Tensor:
        """Return the reconstruction loss of frames (batch, 3, height, width) in [-1, 1]."""
        posterior = self.model.encode(F.pixel_unshuffle(frames, self.unshuffle)).latent_dist
        reconstruction = F.pixel_shuffle(self.model.decode(posterior.sample()).sample, self.unshuffle)
        return reconstruction_loss(reconstruction, frames) + KL_WEIGHT * posterior.kl().mean()


class DecoderTask(Task):
    """Latents to frames once more: the encoder, and with it all that was learned of latents, stays as it is."""

    weight_decay = 1e-4

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone.vae, learning_rate=1e-3)
        for name, part in self.model.requires_grad_(False).named_children():
            part.requires_grad_(name in ("decoder", "post_quant_conv"))
        self.unshuffle = backbone.unshuffle

    def training_step(self, frames: Tensor, batch_idx: int) -> Tensor:
        """Return the reconstruction loss of frames (batch, 3, height, width) in [-1, 1]."""
        with torch.no_grad():
            latents = self.model.encode(F.pixel_unshuffle(frames, self.unshuffle)).latent_dist.mean
        return reconstruction_loss(F.pixel_shuffle(self.model.decode(latents).sample, self.unshuffle), frames)


class IdentityTask(Task):
    """Frames to embeddings that tell public people apart; the centres of the people are thrown away afterwards."""

    def __init__(self, backbone: Backbone, people: int) -> None:
        super().__init__(backbone.encoder, learning_rate=2e-3)
        self.centres = nn.Parameter(torch.randn(people, backbone.encoder.config.embedding_dim))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the margin loss of (frames (batch, 3, height, width) in [-1, 1], person index (batch,))."""
        frames, person = batch
        # Light and contrast say nothing of who somebody is.
        gain = 1 + 0.2 * torch.randn(len(frames), 1, 1, 1, device=frames.device)
        shift = 0.1 * torch.randn(len(frames), 1, 1, 1, device=frames.device)
        return angular_margin_loss(self.model(frames * gain + shift), self.centres, person, margin=0.2, scale=16)


class PoseTask(Task):
    """Frames to head motion, from people whose motion is known."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone.pose, learning_rate=2e-3)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the L1 loss of (frames (batch, 3, height, width) in [-1, 1], motion (batch, 6))."""
        frames, motion = batch
        gain = 1 + 0.2 * torch.randn(len(frames), 1, 1, 1, device=frames.device)
        return F.l1_loss(self.model(frames * gain + 0.05 * torch.randn_like(frames)), motion)


class MoverTask(Task):
    """A reference and a head motion to the frame that has it, from people whose motion is known."""

    weight_decay = 1e-4

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone.mover, learning_rate=2e-3)
        self.reader = [backbone.pose]  # in a list: frozen parts are not this task's parameters

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the reconstruction loss of (references, frames (batch, 3, h, w) in [-1, 1], motion (batch, 6))."""
        references, frames, motion = batch
        with torch.no_grad():
            own = self.reader[0](references)
        return reconstruction_loss(self.model(references, own, motion.unsqueeze(1)).squeeze(1), frames)


class DenoiserTask(Task):
    """Noise to latents, with every condition dropped now and then so that each can be left out or amplified."""

    def __init__(self, backbone: Backbone, learning_rate: float) -> None:
        parts = nn.ModuleDict({name: getattr(backbone, name) for name in ("unet", "audio", "identity", "motion")})
        super().__init__(parts, learning_rate)
        self.backbone = [backbone]  # in a list: frozen parts are not this task's parameters
        self.listener = nn.Linear(backbone.audio.config.num_tokens * backbone.audio.config.token_dim, 1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the denoising loss, plus how far the sound's tokens are from telling the mouth's opening."""
        backbone = self.backbone[0]
        clean = batch["latents"]
        size = len(clean)
        device = clean.device
        noisy = add_noise(backbone.scheduler, clean, torch.randn_like(clean), draw_timesteps(size, device))
        kept = self._kept(size, DROP_MOTION, device) * batch["has_motion"]
        conditions = backbone.conditions(Reference.of_batch(batch), batch["mel"], batch["motion"], kept)
        who, sound, moves = conditions.streams
        frames = clean.shape[1]
        mouth = self._mouth_loss(sound, batch)
        who = who * self._kept(size, DROP_IDENTITY, device).repeat_interleave(frames).view(-1, 1, 1, 1)
        sound = sound * self._kept(size, DROP_SOUND, device).repeat_interleave(frames).view(-1, 1, 1, 1)
        conditions = replace(conditions, streams=[who, sound, moves])
        velocity = backbone.predict(noisy.z_t, noisy.timestep, conditions)
        return denoising_loss(*noisy.regress(velocity)) + MOUTH_WEIGHT * mouth

    def _kept(self, size: int, drop: float, device: torch.device) -> Tensor:
        return (torch.rand(size, device=device) >= drop).float()

    def _mouth_loss(self, sound: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Regress the true opening where it is known: a few thousand steps of denoising alone teach it too little."""
        opening = self.listener(sound.flatten(1)).view_as(batch["mouth"])
        error = (opening - batch["mouth"]).square().mean(-1) * batch["has_mouth"]
        return error.sum() / batch["has_mouth"].sum().clamp_min(1)
