"""The parts of a base model: each a folder in diffusers layout, loaded whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from diffusers import AutoencoderKL, UNetMotionModel
from safetensors.torch import load_file
from torch import nn

from lightning_modules.conditioning import AudioTokens, IdentityTokens, MotionTokens, install_streams
from lightning_modules.identity import IdentityEncoder
from lightning_modules.pose import PoseReader

WEIGHTS = "diffusion_pytorch_model.safetensors"

PARTS: dict[str, type[nn.Module]] = {
    "vae": AutoencoderKL,
    "unet": UNetMotionModel,
    "audio": AudioTokens,
    "identity": IdentityTokens,
    "motion": MotionTokens,
    "encoder": IdentityEncoder,
    "pose": PoseReader,
}


@dataclass(frozen=True)
class BackboneShape:
    """What no single part knows."""

    size: int = 64
    """Height and width of a frame, pixels."""
    window: int = 8
    """Frames the denoiser was trained on at once."""
    knows_motion: bool = False
    """Whether head motion was known of any clip it was trained on; without that, giving one has no meaning."""
    spread: tuple[float, float] | None = None
    """How far clean latents usually are from the reference's, as it is and moved: the denoiser predicts what differs
    from that copy (`copying.expect_copy`). None: it predicts the whole velocity."""

    @classmethod
    def from_json(cls, text: str) -> BackboneShape:
        """Read what `save_pretrained` wrote; json knows lists only."""
        fields = json.loads(text)
        return cls(**fields | {"spread": tuple(fields["spread"]) if fields.get("spread") else None})


def build_part(kind: type[nn.Module], config: dict) -> nn.Module:
    """Return an untrained part; a denoiser gets the streams of its conditions."""
    module = kind.from_config(config)
    if isinstance(module, UNetMotionModel):
        install_streams(module, num_tokens=(4, 5, 4))
    return module


def load_part(kind: type[nn.Module], folder: Path) -> nn.Module:
    """Return a part in evaluation mode, in float32 whatever it is stored in.

    Raises:
        FileNotFoundError: If it has no weights.
        ValueError: If weights are missing or unexpected (diffusers would go on with a warning).
    """
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"The base model lacks {folder / WEIGHTS}. Copy it whole, or run `python pretrain.py`.")
    module = build_part(kind, kind.load_config(folder))
    weights = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    result = module.load_state_dict(weights, strict=False)
    if result.missing_keys or result.unexpected_keys:
        raise ValueError(
            f"{folder / WEIGHTS} does not fit its config: missing {result.missing_keys[:3]}, "
            f"unexpected {result.unexpected_keys[:3]}. Use weights and config of one model."
        )
    return module.eval()
