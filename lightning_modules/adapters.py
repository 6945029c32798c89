"""The two LoRA adapters, in peft's own format: `shared` is federated, `identity` stays on its device."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from diffusers import UNetMotionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from lightning_modules.efficiency.merged_layers import MERGED
from lightning_modules.mover import HeadMover
from lightning_modules.weights import read_weights
from whole_files import whole_file

SHARED, IDENTITY = "shared", "identity"
MOVER = "mover"
"""Subfolder of an adapter's own that holds its weights on the mover."""
Carrier = UNetMotionModel | HeadMover
"""What an adapter can sit on."""
PREFIX = "base_model.model."
"""What peft puts before a module's name in a saved adapter."""


def add_adapter(model: Carrier, name: str, rank: int, targets: list[str], seed: int, scale: int = 1) -> None:
    """Add a LoRA adapter (Hu et al., arXiv 2106.09685) that changes nothing yet: B is zero.

    A is drawn from `seed`, so every device starts from the same A without sending it. `scale` is alpha over the rank.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _add(model, name, LoraConfig(r=rank, lora_alpha=scale * rank, target_modules=targets))


def select_trained_factors(model: Carrier, name: str, *, freeze_a: bool) -> list[nn.Parameter]:
    """Let an adapter's factors be trained, or B alone and A frozen, and return those that are, in module order.

    Args:
        model: Holds the adapter.
        name: `shared` or `identity`.
        freeze_a: Train B only (FFA-LoRA, Sun et al., arXiv 2403.12313): the mean of updates is then exact, an update is
            half as long, and noise on B is not multiplied by noise on A.
    """
    chosen = []
    for key, parameter in model.named_parameters():
        if f".lora_A.{name}." in key or f".lora_B.{name}." in key:
            trained = ".lora_B." in key or not freeze_a
            parameter.requires_grad_(trained)
            if trained:
                chosen.append(parameter)
    return chosen


def save_adapter(model: Carrier, name: str, folder: Path, notes: dict[str, object]) -> None:
    """Write `adapter_config.json`, `adapter_model.safetensors` and `adapter.json` (the notes) into a folder.

    The weights include the frozen A, so the folder works without knowing the seed it was drawn from.
    """
    weights = get_peft_model_state_dict(model, adapter_name=name)
    tensors = {PREFIX + key: value.detach().float().cpu().contiguous() for key, value in weights.items()}
    with whole_file(folder / "adapter_model.safetensors") as partial:  # named last, when all else is there
        save_file(tensors, partial, metadata={"format": "pt"})
        model.peft_config[name].save_pretrained(folder)
        (folder / "adapter.json").write_text(json.dumps(notes, indent=2) + "\n")


def load_adapter(model: Carrier, name: str, folder: Path) -> None:
    """Load weights written by `save_adapter` (or by peft) into an adapter that exists.

    Raises:
        FileNotFoundError: If the folder holds no adapter.
        ValueError: If the file is broken, or the adapter's modules or ranks are not the model's.
    """
    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"No adapter in {folder} (no adapter_model.safetensors).")
    weights = {key.removeprefix(PREFIX): value for key, value in read_weights(path).items()}
    expected = get_peft_model_state_dict(model, adapter_name=name)
    fits = weights.keys() == expected.keys() and all(weights[key].shape == expected[key].shape for key in expected)
    if not fits:
        raise ValueError(
            f"The adapter in {folder} does not fit: other target modules or another rank than this model's."
        )
    set_peft_model_state_dict(model, weights, adapter_name=name)


def attach_adapter(model: Carrier, name: str, folder: Path) -> dict[str, object]:
    """Add a saved adapter, whatever its rank and targets, to a model without one of that name; return its notes.

    Raises:
        FileNotFoundError: If the folder holds no adapter.
        ValueError: If its modules are not the model's.
    """
    config, notes = folder / "adapter_config.json", folder / "adapter.json"
    if not config.is_file() or not notes.is_file():
        raise FileNotFoundError(f"No adapter in {folder} (no adapter_config.json with an adapter.json beside it).")
    try:
        _add(model, name, LoraConfig.from_pretrained(folder))
    except (TypeError, ValueError) as error:
        raise ValueError(f"The adapter in {folder} does not fit the base model: {error}") from error
    load_adapter(model, name, folder)
    return json.loads(notes.read_text())


def _add(model: Carrier, name: str, config: LoraConfig) -> None:
    """Add an adapter beside others; two adapters are intended, so peft's warning is silenced."""
    config._register_custom_module(MERGED)  # public by peft's guide to custom models
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        model.add_adapter(config, adapter_name=name)
