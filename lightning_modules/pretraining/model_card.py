"""The short README beside a base model: what it was trained on, for how long, and how good it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_modules.backbone import Backbone, ClipLike
from lightning_modules.losses import peak_signal_to_noise
from lightning_modules.model_folder import BASE_FILE
from lightning_modules.pretraining.tasks import BATCHES


@torch.no_grad()
def score_base(backbone: Backbone, people: dict[str, list[ClipLike]]) -> dict[str, float]:
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
            quality.append(peak_signal_to_noise((back.clamp(-1, 1) + 1) / 2, (frames + 1) / 2).mean())
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


def add_history(log: dict[str, Any], earlier: Path) -> dict[str, Any]:
    """Return a training's log with that of the base model it started from, as far as that one is known.

    Args:
        log: Steps, seconds and losses of each part.
        earlier: Folder of the base model that training started from.
    """
    if not (earlier / "training.json").is_file():
        return log
    before = json.loads((earlier / "training.json").read_text())
    added = {}
    for part in (part for part in BATCHES if part in log or part in before):
        nothing = {"steps": 0, "seconds": 0, "losses": []}
        old, new = before.get(part, nothing), log.get(part, nothing)
        losses = old["losses"] + [[old["steps"] + step, loss] for step, loss in new["losses"]]
        totals = {name: old[name] + new[name] for name in ("steps", "seconds")}
        added[part] = totals | {"losses": losses}
    return added


def write_card(
    folder: Path, data: dict[str, Any], log: dict[str, Any], scores: dict[str, float], *, drawn: bool
) -> None:
    """Write `README.md` for people and `training.json`, with the losses over steps, for plots.

    `drawn` says that the public people are the demo's, so that their card can tell where they came from.
    """
    rows = [
        f"| {name} | {part['steps']:,} steps of {BATCHES[name]} | {part['seconds'] / 60:.0f} min |"
        + (f" {part['losses'][-1][1]:.4f} |" if part["losses"] else " |")
        for name, part in log.items()
    ]
    held_out = [f"- {name}: {value:.3f}" for name, value in scores.items()] or ["- not measured"]
    origins = json.loads((folder / BASE_FILE).read_text()).get("origins") or {}
    others = ["Of it others trained:", "", *(f"- {name}: {origin}" for name, origin in origins.items()), ""]
    of_drawn = [
        f"in `{data['folder']}`. The demo people are drawn and spoken by `datamodules/demo/`; seeds 1000-1999 are",
        "public, 2000-2009 held out, 3000-3007 the private clients. No real person is among them.",
    ]
    text = [
        "# Base model",
        "",
        f"Trained by `pretrain.py` on {data['people']} public people, {data['clips']} clips of {data['size']} px,",
        *(of_drawn if drawn else [f"in `{data['folder']}`."]),
        "",
        "| part | trained | time | last loss |",
        "|---|---|---|---|",
        *rows,
        "",
        *(others if origins else []),
        "On held-out people:",
        "",
        *held_out,
        "",
        *(["How well it speaks: `python benchmarks/base.py`, last result in `benchmarks/results/base.json`."] * drawn),
        "Weights are float16 safetensors in diffusers layout, computed in float32.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(text))
    (folder / "training.json").write_text(json.dumps({"data": data, **log, "held_out": scores}) + "\n")
