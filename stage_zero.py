"""The parts of a base model, trained one after the other on public people, and written with what they learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from diffusers import AutoencoderKL

from datamodules.clips import FPS, Clip
from datamodules.demo.seeds import HELD_OUT_SEEDS, PRIVATE_SEEDS, PUBLIC_SEEDS
from datamodules.encoding_cache import EncodingCache, hash_clips
from datamodules.public import PublicPeople
from datamodules.public_windows import PublicWindows
from lightning_modules.args import Steps
from lightning_modules.backbone import Backbone
from lightning_modules.base_folder import save_base
from lightning_modules.identity import IdentityEncoder
from lightning_modules.model_folder import fingerprint, hash_weights
from lightning_modules.mover import HeadMover
from lightning_modules.pretraining.calibration import expect_copies, set_latent_scale
from lightning_modules.pretraining.fitting import TaskFitter
from lightning_modules.pretraining.model_card import card_texts, score_base
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


def demand_fitting(backbone: Backbone, steps: Steps, size: int, window: int) -> None:
    """Raise ValueError if size or window do not fit a base, or a part is to be trained that only others can train."""
    longest = min(FPS - 1, backbone.unet.config.motion_max_seq_length)  # a clip may last one second
    if not 1 <= window <= longest:
        raise ValueError(f"`--window` must lie in 1 to {longest} frames. Got {window}.")
    if size != backbone.shape.size:
        raise ValueError(f"`--size` must be the base model's, {backbone.shape.size}. Got {size}.")
    kinds = {"vae": (backbone.vae, AutoencoderKL), "decoder": (backbone.vae, AutoencoderKL)}
    for name, (part, kind) in (kinds | {"encoder": (backbone.encoder, IdentityEncoder)}).items():
        if (got := getattr(steps, name)) and not isinstance(part, kind):
            raise ValueError(f"`--steps.{name}` must be 0: the base's {type(part).__name__} stays as it is. Got {got}.")


def describe_training(public: PublicPeople, init: str | None, steps: Steps, **options: object) -> dict[str, object]:
    """Return what a training follows from beside its seed, as JSON values, for `TaskFitter`.

    Args:
        public: The people, in memory.
        init: Folder of the base model that it starts from; None starts from scratch.
        steps: How long each part is trained.
        options: Whatever else decides what comes out.
    """
    data = hash_clips(clip for _, clip in public.clips)
    return {"data": data, "init": fingerprint(init) if init else None, **options, "steps": vars(steps)}


def fit_parts(
    fitter: TaskFitter,
    backbone: Backbone,
    public: PublicPeople,
    steps: Steps,
    devices: int,
    *,
    window: int,
    from_scratch: bool,
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
        from_scratch: Whether the latents of a new autoencoder are to be scaled; else their scale stays, and what the
            denoiser predicts.
        learning_rate: Of the denoiser.
    """
    learned = window if steps.denoiser else backbone.shape.window
    backbone.shape = replace(backbone.shape, knows_motion=bool(public.posed), window=learned)
    fitter.fabric.to_device(backbone)  # parts that are not trained, too
    shares = {name: batch.share(devices) for name, batch in BATCHES.items()}
    fitter.fit("vae", AutoencoderTask(backbone), lambda s: public.draw_frames(shares["vae"], s)[0], steps.vae)
    if from_scratch:
        set_latent_scale(backbone, public.draw_frames(256, fitter.seed)[0])
    task = IdentityTask(backbone, len(public.people))
    fitter.fit("encoder", task, lambda s: public.draw_frames(shares["encoder"], s), steps.encoder)
    if public.posed:
        fitter.fit("pose", PoseTask(backbone), lambda s: public.draw_posed(shares["pose"], s), steps.pose)
    if moves := bool(public.posed and steps.mover):
        backbone.mover = fitter.fabric.to_device(backbone.mover or HeadMover(**SMALL["mover"]))
        fitter.fit("mover", MoverTask(backbone), lambda s: public.draw_pairs(shares["mover"], s), steps.mover)
    backbone.requires_grad_(False)
    heard = [] if backbone.speech is None else [backbone.speech]
    frozen = hash_weights(backbone.vae, backbone.encoder, backbone.pose, *heard)
    encode = EncodingCache(fitter.folder / "encoded", backbone.encode_clip, frozen)
    windows = PublicWindows(public.people, window, encode)
    is_copying_anew = moves and steps.denoiser and backbone.spread is not None
    if from_scratch or is_copying_anew:
        expect_copies(backbone, (windows.draw(BATCHES["denoiser"].size, s) for s in range(64)))
    task = DenoiserTask(backbone, learning_rate).requires_grad_(True)
    fitter.fit("denoiser", task, lambda s: windows.draw(shares["denoiser"], s), steps.denoiser)
    task = DecoderTask(backbone)
    fitter.fit("decoder", task, lambda s: public.draw_frames(shares["decoder"], s)[0], steps.decoder)


def publish_base(
    backbone: Backbone,
    folder: str,
    data: dict[str, Any],
    log: dict[str, Any],
    held_out: Mapping[str, Sequence[Clip]],
    *,
    is_demo: bool,
) -> None:
    """Write a base model, how it was trained and how good it is; the folder appears whole, by one rename.

    Args:
        backbone: The model, trained.
        folder: Where it goes, in place of an older one.
        data: What it was trained on, for the card: folder, people, clips and size.
        log: How long, and the losses on the way, by part.
        held_out: People that nothing was trained on, to score it with; nothing is scored if there are none.
        is_demo: Whether it was trained on the demo people, of whom the card tells more.
    """
    scores = score_base(backbone, held_out) if held_out else {}
    speaks = ["How well it speaks: `python benchmarks/base.py`, last result in `benchmarks/results/base.json`."]
    people = tell_origin(data["folder"], is_demo=is_demo)
    texts = card_texts(backbone.shape.origins, data, log, scores, people=people, remarks=speaks if is_demo else ())
    save_base(backbone, folder, texts=texts)


def tell_origin(folder: str, *, is_demo: bool) -> list[str]:
    """Return lines that say where the public people's clips are, and which of the demo people they show."""
    if not is_demo:
        return [f"in `{folder}`."]
    public, held_out, private = (f"{who[0]}-{who[-1]}" for who in (PUBLIC_SEEDS, HELD_OUT_SEEDS, PRIVATE_SEEDS))
    return [
        f"in `{folder}`. The demo people are drawn and spoken by `datamodules/demo/`; seeds {public} are",
        f"public, {held_out} held out, {private} the private clients. No real person is among them.",
    ]
