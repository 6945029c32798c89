"""What clients minimise: the denoising loss, unsteady noise, a stranger's face, and a head that is moved wrongly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.diffusion import NoisyLatents, add_noise
from lightning_modules.draws import join_batches
from lightning_modules.losses import denoising_loss, identity_loss, reconstruction_loss, temporal_consistency_loss
from lightning_modules.reference import Reference


@dataclass(frozen=True)
class Objective:
    """The losses of batches, with the adapters that the backbone carries at the time.

    The paper's perceptual and sync losses are left out: both would decode every frame of every step, and a judge of
    lips that was trained against could not judge any more.
    """

    backbone: Backbone
    weights: Mapping[str, float]
    """Of `tdc`, `identity` and `mover` in the total; the denoising loss has weight 1."""

    def losses(self, batches: Sequence[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Return the terms and the `total` loss of each client's batch; the model sees all batches as one."""
        batch = join_batches(batches) if len(batches) > 1 else batches[0]
        noisy = add_noise(self.backbone.scheduler, batch["latents"], batch["eps"], batch["timestep"])
        reference = Reference.of_batch(batch)
        extra_channels = self.backbone.make_extra_channels(reference, batch["motion"], batch["posed_rows"])
        velocity = self.predict(noisy, batch, batch["shown"], extra_channels)
        clips, visible = ([len(one[name]) for one in batches] for name in ("latents", "visible_rows"))
        terms = {
            "denoising": _each(denoising_loss, clips, *noisy.regress(velocity)),
            "tdc": _each(temporal_consistency_loss, clips, noisy.noise_from(velocity), noisy.eps),
            "identity": self._identity_terms(noisy, velocity, batch, visible),
            "mover": self._mover_terms(batch, clips),
        }
        return [self._with_total(dict(zip(terms, own, strict=True))) for own in zip(*terms.values(), strict=True)]

    @torch.no_grad()
    def error(self, batch: dict[str, Tensor], timestep: Tensor, eps: Tensor) -> Tensor:
        """Return the denoising loss at given times (batch,) and noise, motion shown: comparable between adapters."""
        noisy = add_noise(self.backbone.scheduler, batch["latents"], eps, timestep)
        velocity = self.predict(noisy, batch, batch["has_motion"])
        return denoising_loss(*noisy.regress(velocity))

    def predict(
        self, noisy: NoisyLatents, batch: dict[str, Tensor], has_motion: Tensor, extra_channels: Tensor | None = None
    ) -> Tensor:
        """Return the velocity (batch, frames, C, h, w) of a batch's noisy latents; see `Backbone.conditions`."""
        conditions = self.backbone.conditions(
            Reference.of_batch(batch), batch["mel"], batch["motion"], has_motion, extra_channels
        )
        return self.backbone.predict(noisy.z_t, noisy.timestep, conditions)

    def _identity_terms(
        self, noisy: NoisyLatents, velocity: Tensor, batch: dict[str, Tensor], visible: list[int]
    ) -> list[Tensor]:
        """Compare middle frames' estimates with the references, where noise is low enough to show a face.

        `visible` counts these clips for each client; one without any has nothing to compare.
        """
        nothing = velocity.new_zeros(())
        if not self.weights["identity"] or not sum(visible):
            return [nothing] * len(visible)
        middle = velocity.shape[1] // 2
        rows = batch["visible_rows"]
        faces = self.backbone.embed(self.backbone.decode(noisy.clean_from(velocity)[rows, middle]))
        terms = _each(identity_loss, visible, faces, batch["identity"][rows])
        return [term if count else nothing for term, count in zip(terms, visible, strict=True)]

    def _mover_terms(self, batch: dict[str, Tensor], clips: list[int]) -> list[Tensor]:
        """Compare each frame with what the mover makes of another one: of the same client, half its batch away.

        So each step shows the mover as many references as frames. Their pixels tell it what it did; the denoising loss
        would have to reach it through the autoencoder.
        """
        if not self.weights["mover"]:
            return [batch["latents"].new_zeros(())] * len(clips)
        length = batch["frames"].shape[1]
        rows = [count * length for count in clips]
        frames = batch["frames"].flatten(0, 1).to(batch["latents"].dtype) / 127.5 - 1
        known = batch["has_motion"].repeat_interleave(length).view(-1, 1, 1, 1)
        given = (frames, batch["pose"].flatten(0, 1))
        references, own = (_half_away(one, rows).unflatten(0, (-1, length)) for one in given)
        moved = self.backbone.mover(references, own, batch["motion"]).flatten(0, 1)
        return _each(reconstruction_loss, rows, known * moved, known * frames)

    def _with_total(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        return terms | {
            "total": terms["denoising"] + sum(weight * terms[name] for name, weight in self.weights.items())
        }


def _each(loss: Callable[..., Tensor], counts: list[int], *tensors: Tensor) -> list[Tensor]:
    """Return the loss of each client, whose clips come one client after the other."""
    return [loss(*parts) for parts in zip(*(tensor.split(counts) for tensor in tensors), strict=True)]


def _half_away(rows: Tensor, counts: list[int]) -> Tensor:
    """Return for each client's row the one half of its rows further on, in a circle."""
    return torch.cat([own.roll(len(own) // 2, 0) for own in rows.split(counts)])
