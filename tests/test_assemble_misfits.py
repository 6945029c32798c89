"""Parts that are not whole, or not made for each other, are refused in a line when a base is assembled."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import assemble
from commandline import run_command
from lightning_modules.adopted.text import encode_prompt
from tests.tiny_checkpoint import make_autoencoder, make_speech_model


@pytest.fixture
def given(tiny_models, tmp_path):
    """Return the folders of a checkpoint and of motion modules, for a test to break."""
    places = {name: tmp_path / name for name in ("checkpoint", "motion_adapter")}
    for name, place in places.items():
        shutil.copytree(getattr(tiny_models, name), place)
    return places


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(path, change):
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def without_tokenizer(checkpoint):
    shutil.rmtree(checkpoint / "tokenizer")


def with_half_a_text_encoder(checkpoint):
    edit_weights(checkpoint / "text_encoder" / "model.safetensors", lambda weights: weights.popitem())


def for_inpainting(checkpoint):
    def widen(weights):
        weights["conv_in.weight"] = torch.cat([weights["conv_in.weight"]] * 3, dim=1)[:, :9].contiguous()

    edit_config(checkpoint / "unet", in_channels=9)
    edit_weights(checkpoint / "unet" / "diffusion_pytorch_model.safetensors", widen)


def of_stable_diffusion_xl(checkpoint):
    from diffusers import UNet2DConditionModel

    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    config = (
        UNet2DConditionModel.load_config(checkpoint / "unet") | added | {"projection_class_embeddings_input_dim": 64}
    )
    UNet2DConditionModel.from_config(config).save_pretrained(checkpoint / "unet")


def with_words_of_another_width(checkpoint):
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig.from_pretrained(checkpoint / "text_encoder")
    config.hidden_size = 32
    CLIPTextModel(config).save_pretrained(checkpoint / "text_encoder")


def with_latents_of_its_own(checkpoint):
    shutil.rmtree(checkpoint / "vae")
    make_autoencoder(checkpoint / "vae", latent_channels=16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (without_tokenizer, "tokenizer"),
        (with_half_a_text_encoder, "its text encoder lacks weights"),
        (for_inpainting, "its denoiser takes 9 channels and makes 4"),
        (of_stable_diffusion_xl, "Stable Diffusion XL"),
        (with_words_of_another_width, "must hear words of 16 numbers. Its text encoder gives 32"),
        (with_latents_of_its_own, "must bring an autoencoder of 4 latent channels. Got one of 16"),
    ],
)
def test_a_checkpoint_that_could_not_be_used_is_refused(given, tmp_path, capsys, damage, complaint):
    """Each would have been assembled, and failed, or drawn nonsense, when it first was to generate."""
    damage(given["checkpoint"])
    assert complaint in refuse(given, tmp_path, capsys, "checkpoint")


@pytest.mark.slow
def test_motion_modules_of_another_width_are_refused(given, tmp_path, capsys):
    from diffusers import MotionAdapter

    MotionAdapter(block_out_channels=(16, 32), motion_norm_num_groups=4, motion_layers_per_block=1).save_pretrained(
        given["motion_adapter"]
    )
    refuse(given, tmp_path, capsys, "motion_adapter")


def drop_a_stream(weights):
    weights["ip_adapter"].pop("1.to_k_ip.weight")


def be_a_plain_adapter(weights):
    """As `ip-adapter_sd15.bin`, which reads pictures by CLIP."""
    weights["image_proj"] = {
        "proj.weight": torch.zeros(4 * 16, 24),
        "proj.bias": torch.zeros(4 * 16),
        "norm.weight": torch.ones(16),
        "norm.bias": torch.zeros(16),
    }
    weights["ip_adapter"] = {name: value for name, value in weights["ip_adapter"].items() if "lora" not in name}


@pytest.mark.slow
@pytest.mark.parametrize("change", [drop_a_stream, be_a_plain_adapter])
def test_another_face_adapter_is_refused(tiny_models, given, tmp_path, capsys, change):
    weights = torch.load(tiny_models.face_adapter, weights_only=True)
    change(weights)
    path = tmp_path / "adapter.bin"
    torch.save(weights, path)
    refuse(given | {"face": tiny_models.face, "face_adapter": path}, tmp_path, capsys, "face_adapter")


@pytest.mark.slow
def test_a_face_network_that_face_adapters_do_not_know_is_told_of(tiny_models, given, tmp_path, caplog):
    shutil.copytree(tiny_models.face, tmp_path / "antelope")
    (tmp_path / "antelope" / "w600k_r50.onnx").rename(tmp_path / "antelope" / "glintr100.onnx")
    places = given | {"face": tmp_path / "antelope", "face_adapter": tiny_models.face_adapter}
    assert assemble_with(places, tmp_path) == 0
    assert "understands embeddings of w600k_r50.onnx (buffalo_l). Got glintr100.onnx" in caplog.text


@pytest.mark.slow
def test_another_speech_model_is_refused(given, tmp_path, capsys):
    """WavLM's folder has the same files; its attention would be left out without a word."""
    edit_config(make_speech_model(tmp_path / "wavlm"), model_type="wavlm")
    said = refuse(given | {"speech": tmp_path / "wavlm"}, tmp_path, capsys, "speech")
    assert "must be a wav2vec2. Got wavlm" in said


@pytest.mark.slow
def test_a_checkpoint_under_the_names_that_weights_had_when_it_was_published_is_the_same(tiny_models, given):
    """Today's transformers writes others than Stable Diffusion 1.5's files have."""
    path = given["checkpoint"] / "text_encoder" / "model.safetensors"
    weights = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(path).items()}
    weights["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(weights, path, metadata={"format": "pt"})
    old, new = (encode_prompt(str(folder), "a face").tokens for folder in (given["checkpoint"], tiny_models.checkpoint))
    assert torch.equal(old, new)


def assemble_with(places, folder):
    flags = [f"--parts.{name}={place}" for name, place in places.items()]
    return run_command(assemble.assemble, argv=[*flags, f"--out={folder / 'base'}", "--size=64", "--window=4"])


def refuse(places, folder, capsys, name):
    """Return the line in which a part is refused."""
    assert assemble_with(places, folder) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"`--parts.{name}`" in said
    assert not (folder / "base").exists()
    return said
