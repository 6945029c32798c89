"""The frozen whole: autoencoder, denoiser, schedule and the encoders of its conditions, in diffusers layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, UNetMotionModel
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.adopted.speech import SpeechEncoder
from lightning_modules.adopted.text import TextTokens
from lightning_modules.conditioning import AudioTokens, IdentityTokens, MotionTokens
from lightning_modules.copying import CopySpread, expect_copy
from lightning_modules.diffusion import demand_schedule, noise_levels, velocity_of
from lightning_modules.head_motion import SURFACE_CHANNELS, face_surface, lay_on
from lightning_modules.identity import IdentityEncoder
from lightning_modules.mover import HeadMover
from lightning_modules.parts import BackboneShape
from lightning_modules.pose import PoseReader
from lightning_modules.precision import at_least_float32
from lightning_modules.reference import Conditions, Reference

PIXELS_AT_ONCE = 32 * 256**2
"""Most that the autoencoder is given at once: 32 frames of 256 x 256, or 8 of 512 x 512, which take 4 GB to encode."""


class ClipLike(Protocol):
    """What the backbone reads of a clip (`datamodules.clips.Clip` is one)."""

    frames: Tensor
    """RGB uint8 (frames, 3, height, width)."""
    waveform: Tensor
    """Mono at 16 kHz (samples,)."""
    motion: Tensor | None
    """(frames, 6)."""
    mouth: Tensor | None
    """(frames,)."""


class Backbone(nn.Module):
    """Latent video diffusion conditioned on a reference frame, a face embedding, sound and head motion.

    The parts are diffusers models. `UNetMotionModel` takes noisy latents and, beside them as channels, the reference's
    latents, twice: as they are, and laid onto the head's pose where that is known. Tokens of identity, sound and head
    motion come as decoupled cross-attention streams.
    """

    def __init__(self, parts: dict[str, nn.Module], scheduler: DDIMScheduler, shape: BackboneShape) -> None:
        super().__init__()
        self.vae: AutoencoderKL | AutoencoderTiny = parts["vae"]
        self.unet: UNetMotionModel = parts["unet"]
        self.audio: AudioTokens = parts["audio"]
        self.identity: IdentityTokens = parts["identity"]
        self.motion: MotionTokens = parts["motion"]
        self.encoder: IdentityEncoder = parts["encoder"]
        self.pose: PoseReader = parts["pose"]
        self.mover: HeadMover | None = parts.get("mover")
        self.spread: CopySpread | None = parts.get("spread")
        self.text: TextTokens | None = parts.get("text")
        self.speech: SpeechEncoder | None = parts.get("speech")
        demand_schedule(scheduler)
        self.scheduler = scheduler
        self.shape = shape

    @property
    def device(self) -> torch.device:
        """Return where the parts compute; weights may wait elsewhere (`stored_weights`)."""
        return next(self.identity.parameters()).device

    @property
    def unshuffle(self) -> int:
        """Pixels per side folded into channels before the autoencoder (1 for Stable Diffusion's)."""
        return int((self.vae.config.in_channels / 3) ** 0.5)

    @property
    def frames_at_once(self) -> int:
        """Return how many frames the autoencoder is given at once at most."""
        return max(1, PIXELS_AT_ONCE // self.shape.size**2)

    def encode(self, frames: Tensor) -> Tensor:
        """Return scaled posterior means (..., C, h, w) of frames (..., 3, H, W) in [-1, 1]."""
        folded = F.pixel_unshuffle(frames.flatten(0, -4), self.unshuffle)
        latents = torch.cat([self._encode(some) for some in folded.split(self.frames_at_once)])
        return (latents * self.vae.config.scaling_factor).unflatten(0, frames.shape[:-3])

    def decode(self, latents: Tensor) -> Tensor:
        """Return frames (..., 3, H, W), about [-1, 1], of scaled latents (..., C, h, w)."""
        flat = latents.flatten(0, -4) / self.vae.config.scaling_factor
        folded = torch.cat([self.vae.decode(some).sample for some in flat.split(self.frames_at_once)])
        return F.pixel_shuffle(folded, self.unshuffle).unflatten(0, latents.shape[:-3])

    def embed(self, frames: Tensor) -> Tensor:
        """Return unit face embeddings (..., E) of frames (..., 3, H, W) in [-1, 1]."""
        return self.encoder(frames.flatten(0, -4)).unflatten(0, frames.shape[:-3])

    @torch.no_grad()
    def encode_clip(self, clip: ClipLike) -> dict[str, Tensor]:
        """Return what training needs of a clip beside its log-mel windows; the parts that make it are frozen by then.

        Keys: latents (frames, C, h, w), identity (frames, E), pose (frames, 6) as read off the frames, motion (frames,
        6), has_motion (), mouth (frames,) and has_mouth (); motion and mouth are zeros where nobody knows them. With a
        speech model also mel (frames, 10, features), in place of log-mel windows.
        """
        frames = clip.frames.to(self.device, self.vae.dtype) / 127.5 - 1
        chunks = frames.split(32)
        length = len(frames)
        heard = {} if self.speech is None else {"mel": self.speech(clip.waveform, length)}
        return heard | {
            "latents": torch.cat([self.encode(chunk) for chunk in chunks]).float().cpu(),
            "identity": torch.cat([self.embed(chunk) for chunk in chunks]).float().cpu(),
            "pose": torch.cat([self.pose(chunk) for chunk in chunks]).float().cpu(),
            "motion": torch.zeros(length, 6) if clip.motion is None else clip.motion.float(),
            "has_motion": torch.tensor(float(clip.motion is not None)),
            "mouth": torch.zeros(length) if clip.mouth is None else clip.mouth.float(),
            "has_mouth": torch.tensor(float(clip.mouth is not None)),
        }

    @torch.no_grad()
    def encode_reference(self, portrait: Tensor) -> Reference:
        """Return what is known of a portrait, RGB uint8 (3, H, W), as a batch of one."""
        frame = portrait.to(self.device, self.vae.dtype) / 127.5 - 1
        motion = at_least_float32(self.pose(frame[None]))
        return Reference(frame[None], self.encode(frame[None]), self.embed(frame[None]), motion)

    def conditions(
        self,
        reference: Reference,
        sound: Tensor,
        motion: Tensor,
        has_motion: Tensor,
        extra_channels: Tensor | None = None,
    ) -> Conditions:
        """Return what drives a batch of windows.

        Args:
            reference: Whom to draw.
            sound: (batch, frames, steps, features): log-mel windows (batch, frames, 20, 80), or what the base's speech
                model returns.
            motion: Head motion, (batch, frames, 6); ignored where `has_motion` is 0.
            has_motion: 1 where the motion is known, (batch,).
            extra_channels: What `make_extra_channels` gave for the same reference and motion, if it was called before.
        """
        frames = sound.shape[1]
        who = self.identity(reference.identity).unsqueeze(1).expand(-1, frames, -1, -1)
        moves = self.motion(motion) * has_motion.view(-1, 1, 1, 1).to(motion)
        streams = [tokens.flatten(0, 1).unsqueeze(1) for tokens in (who, self.audio(sound), moves)]
        if extra_channels is None:
            extra_channels = self.make_extra_channels(reference, motion, has_motion.nonzero().flatten())
        return Conditions(streams, extra_channels, has_motion)

    def move(self, reference: Reference, motion: Tensor) -> Tensor:
        """Return references laid onto head motion (batch, frames, 6): (batch, frames, 3, H, W), about [-1, 1]."""
        return (self.mover or lay_on)(reference.frame, reference.motion, motion)

    @torch.no_grad()
    def make_extra_channels(
        self, reference: Reference, motion: Tensor, posed_rows: Tensor, moved: Tensor | None = None
    ) -> Tensor:
        """Return `Conditions.extra_channels` for arguments of `conditions`; denoising teaches them nothing.

        `posed_rows` holds the positions (n,) of the clips whose motion is known: a mask would make the host wait.
        `moved` is what `move` gave for the same reference and motion, if it was called before.
        """
        still = reference.latents.unsqueeze(1).expand(-1, motion.shape[1], -1, -1, -1)
        copy, surface = still.clone(), torch.zeros_like(still[:, :, :SURFACE_CHANNELS])
        if len(posed_rows):
            moved = self.move(reference, motion) if moved is None else moved
            copy[posed_rows] = self.encode(moved[posed_rows].to(self.vae.dtype)).to(copy)
            surface[posed_rows] = face_surface(motion[posed_rows], *still.shape[-2:]).to(surface)
        return torch.cat([still, copy, surface], dim=2)

    def predict(self, z_t: Tensor, timestep: Tensor, conditions: Conditions) -> Tensor:
        """Return the predicted velocity (batch, frames, C, h, w).

        Args:
            z_t: Noisy latents (batch, frames, C, h, w).
            timestep: Times in [0, 1000), (batch,).
            conditions: From `conditions`.
        """
        sample = torch.cat([z_t, conditions.extra_channels], dim=2).transpose(1, 2)
        rows = z_t.shape[0] * z_t.shape[1]
        dim = self.unet.config.cross_attention_dim
        text = z_t.new_zeros(rows, 1, dim) if self.text is None else self.text(rows).to(z_t)
        states = (text, conditions.streams)
        predicted = self.unet(sample, timestep, encoder_hidden_states=states).sample.transpose(1, 2)
        a_t, s_t = noise_levels(self.scheduler, timestep, z_t)
        if self.spread is None:
            return velocity_of(self.scheduler, predicted, z_t, a_t, s_t)
        spread = self.spread(conditions.has_motion).to(z_t)
        expected, deviation = expect_copy(z_t, conditions.copy, a_t, s_t, spread)
        return expected + deviation * predicted

    def _encode(self, folded: Tensor) -> Tensor:
        encoded = self.vae.encode(folded)
        return encoded.latents if isinstance(self.vae, AutoencoderTiny) else encoded.latent_dist.mean

    def parts(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the folder name and module of each part."""
        return self.named_children()
