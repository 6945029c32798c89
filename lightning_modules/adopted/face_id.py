"""Tokens of a face as IP-Adapter-FaceID makes them, and that adapter's weights brought into a denoiser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import IPAdapterFaceIDImageProjection
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

FILE = "ip-adapter-faceid_sd15.bin"
"""Name of the weights in their publisher's folder."""


class FaceIDTokens(ModelMixin, ConfigMixin):
    """Tokens of a face embedding, by the projection of an IP-Adapter-FaceID; the same for every frame."""

    @register_to_config
    def __init__(self, embedding_dim: int = 512, num_tokens: int = 4, token_dim: int = 768, widen: int = 2) -> None:
        super().__init__()
        self.projection = IPAdapterFaceIDImageProjection(embedding_dim, token_dim, widen, num_tokens)

    def forward(self, embedding: Tensor) -> Tensor:
        """Turn unit embeddings (batch, embedding_dim) into tokens (batch, tokens, dim)."""
        return self.projection(embedding)


def adopt_face_adapter(unet: UNet2DConditionModel, given: str) -> tuple[FaceIDTokens, dict[str, Tensor]]:
    """Load an IP-Adapter-FaceID by diffusers' own loader and merge its LoRA into the denoiser.

    Args:
        unet: Stable Diffusion's denoiser; changed in place, without the adapter's streams.
        given: The file of weights, or a folder or hub id that holds `FILE`.

    Returns:
        The projection, and the adapter's `to_k_ip` and `to_v_ip` weights by the name of their attention's processor.

    Raises:
        ValueError: If it is broken, or of another kind.
    """
    from diffusers import StableDiffusionPipeline  # it warns of packages that are absent, and only assembly needs it

    path = Path(given).expanduser()
    folder, name = (str(path.parent), path.name) if path.is_file() else (given, FILE)
    absent = dict.fromkeys(("vae", "text_encoder", "tokenizer", "scheduler", "safety_checker", "feature_extractor"))
    pipeline = StableDiffusionPipeline(**absent, unet=unet, requires_safety_checker=False)
    try:
        pipeline.load_ip_adapter(folder, subfolder=None, weight_name=name, image_encoder_folder=None)
    except (AttributeError, KeyError) as error:  # diffusers tells kinds by few names, and takes the rest for granted
        raise ValueError(f"it is broken, or an IP-Adapter of another kind ({type(error).__name__}: {error})") from error
    (projection,) = unet.encoder_hid_proj.image_projection_layers
    if not isinstance(projection, IPAdapterFaceIDImageProjection):
        raise ValueError(f"it is an IP-Adapter of another kind, with {type(projection).__name__}")
    streams = {
        f"{processor}.{part}": weight.clone()
        for processor, module in unet.attn_processors.items()
        if hasattr(module, "to_k_ip")
        for part, weight in module.state_dict().items()
    }
    unet.fuse_lora()
    unet.unload_lora()
    pipeline.unload_ip_adapter()
    first = projection.ff.net[0].proj
    widths = first.in_features, projection.num_tokens, projection.cross_attention_dim
    tokens = FaceIDTokens(*widths, widen=first.out_features // first.in_features)
    tokens.projection = projection
    return tokens, streams
