"""What a denoiser that knows words is told: one prompt, always the same, encoded when a base model is assembled."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class TextTokens(ModelMixin, ConfigMixin):
    """The tokens of a prompt; the text encoder that made them is not needed any more."""

    @register_to_config
    def __init__(self, num_tokens: int = 77, token_dim: int = 768, prompt: str = "") -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(num_tokens, token_dim))

    def forward(self, rows: int) -> Tensor:
        """Return the tokens for so many frames (rows, tokens, dim)."""
        return self.tokens.expand(rows, -1, -1)


@torch.no_grad()
def encode_prompt(checkpoint: str, prompt: str) -> TextTokens:
    """Return the tokens that a checkpoint's own text encoder (CLIP) makes of a prompt.

    Args:
        checkpoint: Folder or hub id, with `tokenizer` and `text_encoder`.
        prompt: Cut to what the encoder takes, 77 tokens.

    Raises:
        OSError: If the checkpoint has no text encoder.
        ValueError: If encoder or tokenizer are not whole (transformers would go on with random weights, or a tokenizer
            that knows no words).
    """
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(checkpoint, subfolder="tokenizer")
    encoder, found = CLIPTextModel.from_pretrained(
        checkpoint, subfolder="text_encoder", use_safetensors=True, dtype=torch.float32, output_loading_info=True
    )
    if missing := sorted(found["missing_keys"]):
        raise ValueError(f"its text encoder lacks weights, e.g. {missing[0]}")
    if len(tokenizer) != (known := encoder.config.vocab_size):
        raise ValueError(f"its tokenizer must know the {known} words of its text encoder, and knows {len(tokenizer)}")
    length = encoder.config.max_position_embeddings
    words = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    tokens = encoder.eval()(words.input_ids).last_hidden_state[0]
    part = TextTokens(*tokens.shape, prompt)
    part.tokens.copy_(tokens)
    return part
