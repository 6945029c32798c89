"""Writes judges beside what they get right, measured with the very weights that are written."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from evaluation.judges.accuracy import People
from evaluation.judges.available import LOCAL, load_judge
from evaluation.judges.card import write_card
from evaluation.judges.scoring import score_judges
from evaluation.protocols import Judges
from lightning_modules.backbone import Backbone
from lightning_modules.model_folder import demand_replaceable
from whole_files import whole_folder

MARK = "training.json"
"""The file by which a folder is known as one of judges."""


def publish_judges(
    networks: dict[str, ModelMixin],
    folder: Path,
    data: dict[str, Any],
    log: dict[str, Any],
    held_out: People,
    backbone: Backbone | None,
) -> None:
    """Write a folder of judges, their accuracy and how they were trained; it appears whole, by one rename.

    Args:
        networks: The judges by the names of `available.LOCAL`.
        folder: Where they go, in place of older ones; networks of others that lie there are kept.
        data: What they were trained on, for the card.
        log: How long, and the losses on the way, by the same names.
        held_out: Demo people to score them on.
        backbone: See `score_judges`.
    """
    demand_replaceable(folder, MARK)
    with whole_folder(folder) as partial:
        for name, network in networks.items():
            stored = nn.Module.to(copy.deepcopy(network), torch.float16)  # diffusers' own `to` warns
            stored.save_pretrained(partial / name)
        judges = Judges(**{name: load_judge(kind, partial / name) for name, kind in LOCAL.items()})
        sizes = {name: sum(part.numel() for part in network.parameters()) for name, network in networks.items()}
        trained = {name: {"weights": size} | log[name] for name, size in sizes.items()}
        write_card(partial, data, trained, score_judges(judges, held_out, backbone))
        for other in folder.glob("*.safetensors"):
            shutil.copy2(other, partial)
