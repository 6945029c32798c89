"""What others' models look like on disk, tiny and random: each written by its own library in its own layout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

NARROW = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 16}


@dataclass(frozen=True)
class Models:
    """Where they are."""

    checkpoint: Path
    motion_adapter: Path
    speech: Path
    face: Path
    face_adapter: Path
    taesd: Path

    @classmethod
    def write(cls, folder: Path) -> Models:
        """Write all of them."""
        checkpoint = make_checkpoint(folder / "sd15")
        return cls(
            checkpoint,
            make_motion_adapter(folder / "animatediff"),
            make_speech_model(folder / "wav2vec2"),
            make_face_pack(folder / "buffalo"),
            make_face_adapter(folder / "ip-adapter-faceid_sd15.bin", checkpoint),
            make_tiny_autoencoder(folder / "taesd"),
        )


def make_checkpoint(folder: Path) -> Path:
    """Write a Stable Diffusion checkpoint: denoiser, autoencoder of factor 8, schedule, text encoder and tokenizer."""
    from diffusers import PNDMScheduler, UNet2DConditionModel

    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
        **NARROW,
    ).save_pretrained(folder / "unet")
    PNDMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, skip_prk_steps=True, steps_offset=1
    ).save_pretrained(folder / "scheduler")
    make_autoencoder(folder / "vae")
    make_text_encoder(folder)
    return folder


def make_autoencoder(folder: Path, latent_channels: int = 4) -> Path:
    """Write an AutoencoderKL of Stable Diffusion's factor."""
    from diffusers import AutoencoderKL

    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 8),
        norm_num_groups=4,
        latent_channels=latent_channels,
        mid_block_add_attention=False,
    ).save_pretrained(folder)
    return folder


def make_tiny_autoencoder(folder: Path) -> Path:
    """Write a TAESD."""
    from diffusers import AutoencoderTiny

    AutoencoderTiny(
        encoder_block_out_channels=(4, 4, 4, 4),
        decoder_block_out_channels=(4, 4, 4, 4),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).save_pretrained(folder)
    return folder


def make_text_encoder(folder: Path) -> None:
    """Write CLIP's text encoder and a tokenizer of single letters."""
    from transformers import CLIPTextConfig, CLIPTextModel

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    start, end = len(words) - 2, len(words) - 1
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    place = folder / "tokenizer"
    place.mkdir(parents=True)
    (place / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (place / "merges.txt").write_text("#version: 0.2\n")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": words[end]}
    (place / "tokenizer_config.json").write_text(json.dumps(settings))


def make_motion_adapter(folder: Path) -> Path:
    """Write AnimateDiff's motion modules for `make_checkpoint`, none of whose weights is zero as in its first step."""
    from diffusers import MotionAdapter

    adapter = MotionAdapter(
        block_out_channels=(8, 16), motion_layers_per_block=1, motion_norm_num_groups=4, motion_num_attention_heads=2
    )
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    adapter.save_pretrained(folder)
    return folder


def make_speech_model(folder: Path, **options: object) -> Path:
    """Write a wav2vec 2.0 with the head that it was trained with, which is not asked for."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    convolutions = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    torch.manual_seed(0)
    Wav2Vec2ForCTC(Wav2Vec2Config(**{"vocab_size": 8, **sizes, **convolutions, **options})).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def make_face_pack(folder: Path) -> Path:
    """Write an insightface pack: a detector, and a recognition network of ArcFace's operations."""
    folder.mkdir(parents=True)
    write_network(folder / "det_10g.onnx", size=64, dim=4)
    write_network(folder / "w600k_r50.onnx")
    return folder


def write_network(
    path: Path,
    size: int = 112,
    dim: int = 512,
    last: str = "Gemm",
    scales_itself: bool = False,
    for_one_picture: bool = False,
    auto_pad: str = "NOTSET",
) -> Path:
    """Write an ONNX network from (batch, 3, size, size) to (batch, dim), as PyTorch exports ArcFace's.

    Args:
        path: The file.
        size: Of its pictures.
        dim: Of what it gives.
        last: Name of its last operation but one.
        scales_itself: Take pictures in 0..255, like networks that came from MXNet.
        for_one_picture: End like an exported MobileFaceNet: `view` of a batch of one, and a product without a bias.
        auto_pad: Of the first convolution.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    side = size // 8
    draw = np.random.default_rng(0).standard_normal
    weights = {
        **{"c1": draw((4, 3, 3, 3)), "b1": draw(4), "slope": 0.2 * draw((4, 1, 1)), "c2": draw((4, 1, 3, 3)) / 3},
        **{"one": 1 + 0.1 * draw(4), "shift": draw(4), "centre": draw(4), "spread": 1 + draw(4) ** 2},
        **{"fc": draw((dim, 4 * side**2)) / 30, "fb": draw(dim), "ones": np.ones(dim), "zeros": np.zeros(dim)},
    }
    pads = {"pads": [1, 1, 1, 1]} if auto_pad == "NOTSET" else {}
    shape = {"strides": [4, 4], "kernel_shape": [3, 3], "auto_pad": auto_pad} | pads
    steps = [("Conv", ["x", "c1", "b1"], shape)]
    if scales_itself:
        weights |= {"mean": np.full(1, 127.5), "scale": np.full(1, 1 / 128)}
        steps = [("Sub", ["x", "mean"], {}), ("Mul", ["", "scale"], {}), (steps[0][0], ["", "c1", "b1"], steps[0][2])]
    steps += [
        ("PRelu", ["", "slope"], {}),
        ("BatchNormalization", ["", "one", "shift", "centre", "spread"], {"epsilon": 2e-5, "momentum": 0.9}),
        ("Conv", ["", "c2"], {"strides": [2, 2], "pads": [1, 1, 1, 1], "kernel_shape": [3, 3], "group": 4}),
        ("Add", ["", ""], {}),
        ("Flatten", [""], {"axis": 1}),
        (last, ["", "fc", "fb"], {"transB": 1}),
        ("BatchNormalization", ["", "ones", "fb", "zeros", "ones"], {}),
    ]
    if for_one_picture:
        at = [step[0] for step in steps].index("Flatten")
        sizes = numpy_helper.from_array(np.array([1, -1], np.int64), "sizes")
        steps[at : at + 2] = [("Reshape", ["", "sizes"], {}), ("MatMul", ["", "turned"], {})]
        weights["turned"] = weights.pop("fc").T
    nodes = [
        helper.make_node(op, [name or f"/{number - 1}" for name in inputs], [f"/{number}"], **attributes)
        for number, (op, inputs, attributes) in enumerate(steps)
    ]
    if for_one_picture:
        nodes.insert(0, helper.make_node("Constant", [], ["sizes"], value=sizes))
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, size, size])
    taken = helper.make_tensor_value_info(f"/{len(steps) - 1}", TensorProto.FLOAT, ["batch", dim])
    graph = helper.make_graph(nodes, "tiny", [given], [taken], stored)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), path)
    return path


def make_face_adapter(path: Path, checkpoint: Path, rank: int = 2) -> Path:
    """Write an IP-Adapter-FaceID for a checkpoint, a file of nested names as its publisher's."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(checkpoint, subfolder="unet")
    dim, draw = unet.config.cross_attention_dim, torch.Generator().manual_seed(1)

    def weight(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(*shape, generator=draw)

    layers = {}
    for number, name in enumerate(unet.attn_processors):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        for part, linear in {
            "q": attention.to_q,
            "k": attention.to_k,
            "v": attention.to_v,
            "out": attention.to_out[0],
        }.items():
            layers[f"{number}.to_{part}_lora.down.weight"] = weight(rank, linear.in_features)
            layers[f"{number}.to_{part}_lora.up.weight"] = weight(linear.out_features, rank)
        if name.endswith("attn2.processor"):
            layers[f"{number}.to_k_ip.weight"] = weight(attention.inner_dim, dim)
            layers[f"{number}.to_v_ip.weight"] = weight(attention.inner_dim, dim)
    projection = {
        **{"proj.0.weight": weight(1024, 512), "proj.0.bias": weight(1024)},
        **{"proj.2.weight": weight(4 * dim, 1024), "proj.2.bias": weight(4 * dim)},
        **{"norm.weight": torch.ones(dim), "norm.bias": torch.zeros(dim)},
    }
    torch.save({"image_proj": projection, "ip_adapter": layers}, path)
    return path
