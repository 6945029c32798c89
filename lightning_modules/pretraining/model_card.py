"""The short README beside a base model: what it was trained on, for how long, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from lightning_modules.backbone import Backbone, ClipLike
from lightning_modules.pretraining.tasks import BATCHES

NO_STEPS = {"steps": 0, "seconds": 0, "losses": []}
"""The log of a part that nobody has trained."""


@torch.no_grad()
def score_base(backbone: Backbone, people: Mapping[str, Sequence[ClipLike]]) -> dict[str, float]:
    """Score autoencoder and face encoder on people that nothing was trained on.

    Returns:
        `vae_psnr`: mean per-frame PSNR in dB of frames through the autoencoder (posterior mean, frames in [0, 1]).
        `recognised`: share of frames nearer to their own person's mean embedding, taken from another clip, than to
        anybody else's; absent unless everybody has two clips.
    """
    quality, centres, faces = [], [], []
    for clips in people.values():
        embedded = []
        for clip in clips:
            frames = clip.frames.to(backbone.device, backbone.vae.dtype) / 127.5 - 1
            back = torch.cat([backbone.decode(backbone.encode(chunk)) for chunk in frames.split(32)])
            pair = (back.clamp(-1, 1) + 1) / 2, (frames + 1) / 2
            each = peak_signal_noise_ratio(*pair, data_range=1.0, reduction="none", dim=(1, 2, 3))
            quality.append(each.mean())
            embedded.append(backbone.embed(frames))
        centres.append(embedded[0].mean(0))
        faces.append(torch.cat(embedded[1:]) if len(embedded) > 1 else None)
    scores = {"vae_psnr": torch.stack(quality).mean().item()}
    if all(face is not None for face in faces):
        scores["recognised"] = _recognised(torch.stack(centres), faces)
    return scores


def _recognised(centres: Tensor, faces: list[Tensor]) -> float:
    nearest = [(face @ centres.T).argmax(-1) == person for person, face in enumerate(faces)]
    return torch.cat(nearest).float().mean().item()


def read_history(base: Path) -> dict[str, Any]:
    """Return the log of a base model's parts that lies in its folder, empty if there is none.

    Raises:
        ValueError: If the file beside the model is no such log.
    """
    path = base / "training.json"
    if not path.is_file():
        return {}
    try:
        before = json.loads(path.read_text())
        log = {part: {name: before[part][name] for name in NO_STEPS} for part in BATCHES if part in before}
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} must be the training log of a base model. It is something else. Move it away to start without."
        ) from None
    return log


def add_history(log: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return a training's log with that of the base model it started from.

    Args:
        log: Steps, seconds and losses of each part.
        before: The same of the base model that training started from; empty if that is not known.
    """
    if not before:
        return log
    added = {}
    for part in (part for part in BATCHES if part in log or part in before):
        old, new = before.get(part, NO_STEPS), log.get(part, NO_STEPS)
        losses = old["losses"] + [[old["steps"] + step, loss] for step, loss in new["losses"]]
        totals = {name: old[name] + new[name] for name in ("steps", "seconds")}
        added[part] = totals | {"losses": losses}
    return added


def card_texts(
    origins: Mapping[str, str] | None,
    data: dict[str, Any],
    log: dict[str, Any],
    scores: dict[str, float],
    *,
    people: Sequence[str],
    remarks: Sequence[str] = (),
) -> dict[str, str]:
    """Return the texts beside a base model: `README.md` for people, and `training.json` with the losses, for plots.

    Args:
        origins: Of the parts that others trained, see `BackboneShape`.
        data: What it was trained on: `people`, `clips`, `size` in pixels and whatever else is to be kept.
        log: Steps, seconds and losses of each part.
        scores: Of `score_base`; may be empty.
        people: Lines that end the sentence on what it was trained on: where the clips are, and of whom.
        remarks: Lines before the last one.
    """
    rows = [
        f"| {name} | {part['steps']:,} steps of {BATCHES[name]} | {part['seconds'] / 60:.0f} min |"
        + (f" {part['losses'][-1][1]:.4f} |" if part["losses"] else " |")
        for name, part in log.items()
    ]
    held_out = [f"- {name}: {value:.3f}" for name, value in scores.items()] or ["- not measured"]
    others = [f"- {name}: {origin}" for name, origin in (origins or {}).items()]
    text = [
        "# Base model",
        "",
        f"Trained by `pretrain.py` on {data['people']} public people, {data['clips']} clips of {data['size']} px,",
        *people,
        "",
        "| part | trained | time | last loss |",
        "|---|---|---|---|",
        *rows,
        "",
        *(["Of it others trained:", "", *others, ""] if others else []),
        "On held-out people:",
        "",
        *held_out,
        "",
        *remarks,
        "Weights are float16 safetensors in diffusers layout, computed in float32.",
        "",
    ]
    training = json.dumps({"data": data, **log, "held_out": scores}) + "\n"
    return {"README.md": "\n".join(text), "training.json": training}
