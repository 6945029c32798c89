"""Builds every part of a base model from what others trained; what they lack is drawn at random."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from diffusers import DDIMScheduler, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from torch import Tensor, nn

from lightning_modules.adopted.arcface import find_recognition, read_arcface
from lightning_modules.adopted.face_id import adopt_face_adapter
from lightning_modules.adopted.pretrained import load_autoencoder, load_whole, obtain
from lightning_modules.adopted.schedules import adopt_schedule
from lightning_modules.adopted.speech import SpeechEncoder
from lightning_modules.adopted.text import encode_prompt
from lightning_modules.adopted.widening import make_denoiser
from lightning_modules.conditioning import AudioTokens, IdentityTokens, MotionTokens
from lightning_modules.identity import IdentityEncoder
from lightning_modules.parts import load_part
from lightning_modules.pose import PoseReader

log = logging.getLogger(__name__)

Given = Mapping[str, str | None]
"""Hub id, folder or file of each part by its name in `pretrained.SOURCES`; None to do without it."""

FACE_ADAPTERS_NETWORK = "w600k_r50.onnx"
"""The recognition network that IP-Adapter-FaceID learned from."""

HALF = torch.float16
"""What a base model is stored in."""

SOUND_CHANNELS = 512
"""Width of the untrained layers between a speech model and its tokens."""


def load_parts(given: Given, prompt: str | None) -> dict[str, nn.Module]:
    """Return the parts of a base model, those that others trained as they are.

    Args:
        given: Where they are.
        prompt: What the denoiser is always told; None is nothing.

    Raises:
        FileNotFoundError: If one cannot be had, in one line.
        ValueError: If they do not fit each other.
    """
    parts = load_faces(given) | load_sound(given)
    unet = obtain("checkpoint", given["checkpoint"], load_denoiser)
    dim = unet.config.cross_attention_dim
    streams = {}
    if given["face_adapter"] is None:
        parts["identity"] = IdentityTokens(parts["encoder"].config.embedding_dim, token_dim=dim)
    else:
        warn_of_other_faces(Path(given["face"]))
        adopt = partial(adopt_face_adapter, unet)
        parts["identity"], streams = obtain("face_adapter", given["face_adapter"], adopt)
    parts["unet"] = obtain("motion_adapter", given["motion_adapter"], partial(add_motion, unet, streams))
    parts["audio"] = make_audio_tokens(parts.get("speech"), dim)
    parts["motion"] = MotionTokens(token_dim=dim)
    if prompt is not None:
        parts["text"] = obtain("checkpoint", given["checkpoint"], partial(encode_prompt, prompt=prompt))
        if (got := parts["text"].config.token_dim) != dim:
            raise ValueError(f"`--parts.checkpoint` must hear words of {dim} numbers. Its text encoder gives {got}.")
    return parts | {"vae": load_latents(given, unet.config.in_channels)}


def load_denoiser(checkpoint: str) -> UNet2DConditionModel:
    """Return a checkpoint's denoiser in float16, as it will be stored.

    Raises:
        ValueError: If it takes something beside noisy latents and words.
    """
    unet = load_whole(UNet2DConditionModel, checkpoint, subfolder="unet", torch_dtype=HALF)
    taken, made = unet.config.in_channels, unet.config.out_channels
    if taken != made:
        raise ValueError(f"its denoiser takes {taken} channels and makes {made}, as for inpainting or editing")
    if kind := unet.config.addition_embed_type:
        raise ValueError(f"its denoiser also takes {kind}, as that of Stable Diffusion XL does")
    return unet


def add_motion(unet: UNet2DConditionModel, streams: Mapping[str, Tensor], motion_adapter: str) -> UNetMotionModel:
    """Return the denoiser with AnimateDiff's motion modules; see `make_denoiser`."""
    return make_denoiser(unet, load_whole(MotionAdapter, motion_adapter, torch_dtype=HALF), streams)


def load_schedule(given: Given, *, beta_schedule: str | None, zero_terminal_snr: bool) -> DDIMScheduler:
    """Return the checkpoint's own schedule; see `schedules.adopt_schedule`."""

    def load(checkpoint: str) -> DDIMScheduler:
        config = DDIMScheduler.load_config(checkpoint, subfolder="scheduler")
        return adopt_schedule(config, beta_schedule=beta_schedule, zero_terminal_snr=zero_terminal_snr)

    return obtain("checkpoint", given["checkpoint"], load)


def load_latents(given: Given, channels: int) -> nn.Module:
    """Return the autoencoder, the checkpoint's own if no other is given."""
    name = "checkpoint" if given["vae"] is None else "vae"
    load = partial(load_autoencoder, subfolder="vae") if given["vae"] is None else load_autoencoder
    vae = obtain(name, given[name], load)
    if (got := vae.config.latent_channels) != channels:
        raise ValueError(f"`--parts.{name}` must bring an autoencoder of {channels} latent channels. Got one of {got}.")
    return vae


def load_faces(given: Given) -> dict[str, nn.Module]:
    """Return what reads a face: who it is, and where the head is turned."""
    parts: dict[str, nn.Module] = {"encoder": IdentityEncoder(), "pose": PoseReader()}
    if given["face"] is not None:
        parts["encoder"] = obtain("face", given["face"], lambda path: read_arcface(Path(path)))
    if given["pose"] is not None:
        parts["pose"] = obtain("pose", given["pose"], lambda path: load_part("pose", Path(path)))
    else:
        for parameter in parts["pose"].project.parameters():
            nn.init.zeros_(parameter)  # looking straight ahead
    return parts


def warn_of_other_faces(face: Path) -> None:
    """Say so if a network other than the one that face adapters learned from is to speak to one."""
    if (got := find_recognition(face.expanduser()).name) != FACE_ADAPTERS_NETWORK:
        log.warning(
            "IP-Adapter-FaceID understands embeddings of %s (buffalo_l). Got %s: to it they may mean nothing.",
            FACE_ADAPTERS_NETWORK,
            got,
        )


def load_sound(given: Given) -> dict[str, nn.Module]:
    """Return the speech model by its name; nothing if log-mel windows are to be heard instead."""
    if given["speech"] is None:
        return {}
    return {"speech": obtain("speech", given["speech"], SpeechEncoder.from_pretrained)}


def make_audio_tokens(speech: SpeechEncoder | None, dim: int) -> AudioTokens:
    """Return the untrained layers that make tokens of sound, two steps to a video frame if a speech model hears it."""
    if speech is None:
        return AudioTokens(channels=SOUND_CHANNELS, token_dim=dim)
    return AudioTokens(speech.model.config.hidden_size, SOUND_CHANNELS, token_dim=dim, strides=(2, 1))
