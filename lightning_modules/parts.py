"""The parts of a base model: each a folder in diffusers layout, loaded whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from diffusers import AutoencoderKL, AutoencoderTiny, UNetMotionModel
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from lightning_modules.adopted.arcface import ArcFace
from lightning_modules.adopted.face_id import FaceIDTokens
from lightning_modules.adopted.speech import SpeechEncoder
from lightning_modules.adopted.text import TextTokens
from lightning_modules.conditioning import STREAM_TOKENS, AudioTokens, IdentityTokens, MotionTokens, install_streams
from lightning_modules.copying import CopySpread
from lightning_modules.identity import IdentityEncoder
from lightning_modules.mover import HeadMover
from lightning_modules.pose import PoseReader
from lightning_modules.weights import WEIGHTS, fill

PARTS: dict[str, tuple[type[nn.Module], ...]] = {
    "vae": (AutoencoderKL, AutoencoderTiny),
    "unet": (UNetMotionModel,),
    "audio": (AudioTokens,),
    "identity": (IdentityTokens, FaceIDTokens),
    "motion": (MotionTokens,),
    "encoder": (IdentityEncoder, ArcFace),
    "pose": (PoseReader,),
    "mover": (HeadMover,),
    "spread": (CopySpread,),
    "text": (TextTokens,),
    "speech": (SpeechEncoder,),
}
"""What each part may be; the first is what a base trained from scratch has."""

OPTIONAL = ("mover", "spread", "text", "speech")
"""Parts that not every base has. Without a mover every head moves like one ellipsoid; without a spread the denoiser
predicts all of a frame, not what differs from the reference. The other two come with models that others trained:
without `text` the denoiser is told nothing in words, without `speech` it hears log-mel windows."""


@dataclass(frozen=True)
class BackboneShape:
    """What no single part knows."""

    size: int = 64
    """Height and width of a frame, pixels."""
    window: int = 8
    """Frames the denoiser was trained on at once."""
    knows_motion: bool = False
    """Whether head motion was known of any clip it was trained on; if not, giving it one means nothing."""
    origins: dict[str, str] | None = None
    """Parts that others trained (`pretrained.SOURCES`): what they are, and under which licence."""

    @property
    def widened(self) -> bool:
        """Whether the denoiser's first layer takes more channels than the checkpoint's that it comes from."""
        return "checkpoint" in (self.origins or {})

    @classmethod
    def from_json(cls, text: str) -> BackboneShape:
        """Read what `save_base` wrote.

        Raises:
            ValueError: If it is broken, or holds what this version does not know.
        """
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"backbone.json of the base model is broken: {error}. Make or fetch it again.") from error
        if unknown := sorted(given.keys() - {field.name for field in fields(cls)}):
            raise ValueError(
                f"backbone.json of the base model must be of this version. Got unknown {', '.join(unknown)}. "
                "Use the version that wrote it, or run `python pretrain.py`."
            )
        return cls(**given)


def build_part(kind: type[nn.Module], config: dict) -> nn.Module:
    """Return an untrained part; a denoiser gets the streams of its conditions."""
    module = kind.from_config(config)
    if isinstance(module, UNetMotionModel):
        install_streams(module, STREAM_TOKENS)
    return module


def load_part(name: str, folder: Path) -> nn.Module:
    """Return a part in evaluation mode, in float32 whatever it is stored in.

    Args:
        name: Which one, of `PARTS`; its own `config.json` says of which kind it is.
        folder: Its own.

    Raises:
        FileNotFoundError: If it is not whole.
        ValueError: If it is of no kind that is known, or weights are broken, missing or unexpected (diffusers would go
            on with a warning).
    """
    kind = find_kind(name, folder)
    if not issubclass(kind, ModelMixin):  # in another library's layout, by its own loader
        return kind.from_pretrained(folder).eval()
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"The base model lacks {folder / WEIGHTS}. Copy it whole, or run `python pretrain.py`.")
    module = build_part(kind, kind.load_config(folder))
    fill(module, folder)
    return module.eval()


def design_part(name: str, folder: Path) -> nn.Module:
    """Return what `load_part` would load, without its weights; the arguments and errors are the same."""
    kind = find_kind(name, folder)
    if not issubclass(kind, ModelMixin):
        return kind.from_configs(folder)
    return build_part(kind, kind.load_config(folder))


def find_kind(name: str, folder: Path) -> type[nn.Module]:
    """Return the class that a part's own `config.json` names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the part cannot be of that class.
    """
    path = folder / "config.json"
    kinds = {kind.__name__: kind for kind in PARTS[name]}
    if not path.is_file():
        raise FileNotFoundError(f"The base model lacks {path}. Copy it whole, or run `python pretrain.py`.")
    got = json.loads(path.read_text()).get("_class_name", PARTS[name][0].__name__)
    if got not in kinds:
        raise ValueError(f"{path} must be of class {' or '.join(kinds)}. Got {got}.")
    return kinds[got]
