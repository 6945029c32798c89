"""The parts of a base model, trained one after the other on public people."""

from __future__ import annotations

from diffusers import AutoencoderKL

from datamodules.encoding_cache import EncodingCache
from datamodules.public import PublicPeople
from datamodules.public_windows import PublicWindows
from lightning_modules.args import Steps
from lightning_modules.backbone import Backbone
from lightning_modules.identity import IdentityEncoder
from lightning_modules.model_folder import hash_weights
from lightning_modules.mover import HeadMover
from lightning_modules.pretraining.calibration import expect_copies, set_latent_scale
from lightning_modules.pretraining.fitting import TaskFitter
from lightning_modules.pretraining.small import SMALL
from lightning_modules.pretraining.tasks import (
    BATCHES,
    AutoencoderTask,
    DecoderTask,
    DenoiserTask,
    IdentityTask,
    MoverTask,
    PoseTask,
)


def demand_steps(backbone: Backbone, steps: Steps, size: int) -> None:
    """Raise ValueError if frames are not of the base's size, or a part is to be trained that only others can train."""
    if size != backbone.shape.size:
        raise ValueError(f"`--size` must be the base model's, {backbone.shape.size}. Got {size}.")
    kinds = {"vae": (backbone.vae, AutoencoderKL), "decoder": (backbone.vae, AutoencoderKL)}
    for name, (part, kind) in (kinds | {"encoder": (backbone.encoder, IdentityEncoder)}).items():
        if (got := getattr(steps, name)) and not isinstance(part, kind):
            raise ValueError(f"`--steps.{name}` must be 0: the base's {type(part).__name__} stays as it is. Got {got}.")


def fit_parts(
    fitter: TaskFitter,
    backbone: Backbone,
    public: PublicPeople,
    steps: Steps,
    devices: int,
    *,
    window: int,
    seed: int | None,
    learning_rate: float,
) -> None:
    """Train every part on public people, each on what those before it have become.

    Args:
        fitter: Trains, and keeps checkpoints.
        backbone: Whose parts are trained.
        public: The people, in memory.
        steps: How long.
        devices: Processes that share each batch.
        window: Frames that the denoiser sees at once.
        seed: Of the frames by which the latents of a new autoencoder are scaled; None keeps the scale there is, and
            what the denoiser predicts.
        learning_rate: Of the denoiser.
    """
    fitter.fabric.to_device(backbone)  # parts that are not trained, too
    shares = {name: batch.share(devices) for name, batch in BATCHES.items()}
    fitter.fit("vae", AutoencoderTask(backbone), lambda s: public.draw_frames(shares["vae"], s)[0], steps.vae)
    if seed is not None:
        set_latent_scale(backbone, public.draw_frames(256, seed)[0])
    task = IdentityTask(backbone, len(public.people))
    fitter.fit("encoder", task, lambda s: public.draw_frames(shares["encoder"], s), steps.encoder)
    if public.posed:
        fitter.fit("pose", PoseTask(backbone), lambda s: public.draw_posed(shares["pose"], s), steps.pose)
    if moves := bool(public.posed and steps.mover):
        backbone.mover = fitter.fabric.to_device(backbone.mover or HeadMover(**SMALL["mover"]))
        fitter.fit("mover", MoverTask(backbone), lambda s: public.draw_pairs(shares["mover"], s), steps.mover)
    backbone.requires_grad_(False)
    heard = [] if backbone.speech is None else [backbone.speech]
    fingerprint = hash_weights(backbone.vae, backbone.encoder, backbone.pose, *heard)
    encode = EncodingCache(fitter.folder / "encoded", backbone.encode_clip, fingerprint)
    windows = PublicWindows(public.people, window, encode)
    if seed is not None or (moves and steps.denoiser and backbone.spread is not None):
        expect_copies(backbone, (windows.draw(BATCHES["denoiser"].size, s) for s in range(64)))
    task = DenoiserTask(backbone, learning_rate).requires_grad_(True)
    fitter.fit("denoiser", task, lambda s: windows.draw(shares["denoiser"], s), steps.denoiser)
    task = DecoderTask(backbone)
    fitter.fit("decoder", task, lambda s: public.draw_frames(shares["decoder"], s)[0], steps.decoder)
