"""Base models on disk: every part in a folder of its own, in diffusers layout."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import nn

from lightning_modules.backbone import Backbone
from lightning_modules.diffusion import make_scheduler
from lightning_modules.model_folder import BASE_FILE, demand_replaceable
from lightning_modules.parts import OPTIONAL, PARTS, BackboneShape, build_part, design_part, load_part
from whole_files import whole_folder


def load_base(folder: str | Path) -> Backbone:
    """Load every part of a base model; computed in float32 whatever it is stored in.

    Raises:
        FileNotFoundError: If the folder or one of its parts is missing.
        ValueError: If a part has missing or unexpected weights (diffusers would go on with a warning).
    """
    folder = Path(folder)
    shape, scheduler, names = _open(folder)
    return Backbone({name: load_part(name, folder / name) for name in names}, scheduler, shape)


def design_base(folder: str | Path) -> Backbone:
    """Build what `load_base` loads, without its weights.

    Raises:
        FileNotFoundError: If the folder is no base model.
    """
    folder = Path(folder)
    shape, scheduler, names = _open(folder)
    return Backbone({name: design_part(name, folder / name) for name in names}, scheduler, shape).eval()


def new_base(shape: BackboneShape, configs: Mapping[str, Mapping[str, Any]]) -> Backbone:
    """Build an untrained base model from the config of each part."""
    parts = {name: build_part(kinds[0], configs[name]) for name, kinds in PARTS.items() if name in configs}
    return Backbone(parts, make_scheduler(), shape)


def save_base(
    backbone: Backbone, folder: str | Path, dtype: torch.dtype = torch.float16, texts: Mapping[str, str] | None = None
) -> None:
    """Write every part; the folder appears whole, by one rename, and replaces an older one.

    Args:
        backbone: The model.
        folder: Where it goes.
        dtype: What weights are stored in.
        texts: Further files by name, such as its card.

    Raises:
        ValueError: If the folder holds something else.
    """
    folder = Path(folder)
    demand_replaceable(folder, BASE_FILE)
    with whole_folder(folder) as partial:
        for name, module in backbone.parts():
            stored = copy.deepcopy(module)
            nn.Module.to(stored, dtype)  # diffusers' own `to` warns about parts it has none of
            stored.save_pretrained(partial / name)
        backbone.scheduler.save_pretrained(partial / "scheduler")
        for name, text in {BASE_FILE: json.dumps(vars(backbone.shape), indent=2) + "\n", **(texts or {})}.items():
            (partial / name).write_text(text)


def _open(folder: Path) -> tuple[BackboneShape, DDIMScheduler, list[str]]:
    if not (folder / BASE_FILE).is_file():
        raise FileNotFoundError(f"No base model in {folder} (no {BASE_FILE}). Run `python pretrain.py`.")
    shape = BackboneShape.from_json((folder / BASE_FILE).read_text())
    names = [name for name in PARTS if name not in OPTIONAL or (folder / name).is_dir()]
    with torch.device("cpu"):  # a plan, whose tensors have no contents, needs its numbers, too
        return shape, DDIMScheduler.from_pretrained(folder / "scheduler"), names
