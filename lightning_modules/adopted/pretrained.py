"""Parts that others trained: where each comes from, under which licence, and what is said when one is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from diffusers.models.modeling_utils import ModelMixin
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError
from torch import nn

Part = TypeVar("Part")

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Source:
    """One kind of part."""

    what: str
    home: str
    """Where it can be had."""
    licence: str
    """Of what is found there; another publisher may have chosen another."""

    def describe(self) -> str:
        """Return what it is and its licence, the same wherever a user has it from: a base is known by its files."""
        return f"{self.what} (licence of the one at {self.home}: {self.licence})"


SOURCES = {
    "checkpoint": Source(
        "a Stable Diffusion 1.5 checkpoint in diffusers' layout",
        "https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5",
        "CreativeML Open RAIL-M",
    ),
    "motion_adapter": Source(
        "an AnimateDiff motion adapter in diffusers' layout",
        "https://huggingface.co/guoyww/animatediff-motion-adapter-v1-5-2",
        "Apache-2.0",
    ),
    "vae": Source(
        "an autoencoder of Stable Diffusion's latents in diffusers' layout",
        "https://huggingface.co/stabilityai/sd-vae-ft-mse or https://huggingface.co/madebyollin/taesd",
        "MIT",
    ),
    "speech": Source(
        "a wav2vec 2.0 model in transformers' layout",
        "https://huggingface.co/facebook/wav2vec2-base-960h",
        "Apache-2.0",
    ),
    "face": Source(
        "an insightface pack or its recognition network",
        "https://github.com/deepinsight/insightface/tree/master/model_zoo",
        "non-commercial research only",
    ),
    "face_adapter": Source(
        "an IP-Adapter-FaceID for Stable Diffusion 1.5",
        "https://huggingface.co/h94/IP-Adapter-FaceID",
        "non-commercial research only",
    ),
    "pose": Source("a base model's pose reader", "assets/base/pose of this project", "Apache-2.0"),
}


COMPLAINTS = (OSError, ValueError, RuntimeError, SafetensorError)
"""What libraries raise where a part is missing, broken, or something else."""


def obtain(name: str, given: str, load: Callable[[str], Part]) -> Part:
    """Load a part from a local folder or file, or from the hub if it is given by an id.

    Args:
        name: Which one, of `SOURCES`; also its flag.
        given: What the user named.
        load: Loads it, given the folder, file or hub id.

    Raises:
        FileNotFoundError: If it cannot be had, in one line with where it can.
    """
    source = SOURCES[name]
    path = Path(given).expanduser()
    try:
        if is_on_hub(given):
            return load(given)
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}")
        return load(str(path))
    except COMPLAINTS as error:
        reason = explain(error)
        raise FileNotFoundError(
            f"`--parts.{name}` must name {source.what}. Got {given}: {reason}. Get one from {source.home} (licence: "
            f"{source.licence}) and pass its hub id or folder to `--parts.{name}`."
        ) from error


def is_on_hub(given: str) -> bool:
    """Whether a part is asked of the hub: nothing local is called so, and an id may be."""
    return not Path(given).expanduser().exists() and HUB_ID.fullmatch(given) is not None


def explain(error: BaseException) -> str:
    """Return in a line why a part could not be loaded."""
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, LocalEntryNotFoundError) for cause in causes):  # libraries say that it does not exist
        return "the hub cannot be reached, and there is no downloaded copy"
    said = str(error).strip().splitlines() or [type(error).__name__]
    return said[0][:200].rstrip(".")


def load_whole(kind: type[ModelMixin], given: str, **options: object) -> nn.Module:
    """Load a part in a library's layout, from safetensors, with all of its weights.

    Raises:
        OSError: If it is not there.
        ValueError: If weights are missing (the library would draw them anew, with a warning).
    """
    part, found = kind.from_pretrained(given, use_safetensors=True, output_loading_info=True, **options)
    if missing := sorted(found["missing_keys"]):
        raise ValueError(f"it lacks weights, e.g. {missing[0]}")
    part.register_to_config(_name_or_path="")  # it would be saved, and the same part would differ from place to place
    return part.eval()


def load_autoencoder(given: str, **options: object) -> AutoencoderKL | AutoencoderTiny:
    """Load Stable Diffusion's autoencoder or the tiny one that imitates it, as its config says.

    Raises:
        OSError: If it is not there.
        ValueError: If it is another one, or not whole.
    """
    kinds = {kind.__name__: kind for kind in (AutoencoderKL, AutoencoderTiny)}
    got = AutoencoderKL.load_config(given, **options).get("_class_name")
    if got not in kinds:
        raise ValueError(f"it must be of class {' or '.join(kinds)}, and is {got}")
    return load_whole(kinds[got], given, torch_dtype=torch.float32, **options)
