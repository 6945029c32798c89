"""From others' models to a base that trains and speaks; its adapters fit the checkpoint it was made of."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AnimateDiffPipeline, MotionAdapter, UNet2DConditionModel
from peft import PeftModel
from safetensors.torch import load_file, save_file

import assemble
from commandline import report_errors, run_command
from datamodules.clips import Clip
from datamodules.encoding_cache import with_inputs
from datamodules.windows import Window, WindowedClips
from lightning_modules.adapters import PREFIX
from lightning_modules.adopted.pretrained import SOURCES
from lightning_modules.base_folder import load_base
from lightning_modules.draws import with_draws
from lightning_modules.model_folder import fingerprint
from lightning_modules.parts import load_part
from lightning_modules.talking_head import TalkingHead

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def backbone(tiny_assembled):
    """Tests change nothing in it."""
    return load_base(tiny_assembled)


def _parts(models, **others):
    return assemble.PartsArgs(str(models.checkpoint), str(models.motion_adapter), **others)


def _clip(frames=12, size=64):
    pictures = torch.randint(256, (frames, 3, size, size), dtype=torch.uint8)
    motion, mouth = torch.zeros(frames, 6), torch.zeros(frames)
    return Clip("ann", "one", pictures, 0.1 * torch.randn(frames * 640), motion, mouth, Path("one.mp4"), 0.0)


def _batch(backbone):
    encoding = with_inputs(backbone.encode_clip)(_clip())
    window = WindowedClips([encoding], [encoding], [Window(0, 0, 0, 8)], 4)[0]
    return with_draws({name: part[None] for name, part in window.items()})


def _run(*flags):
    return run_command(assemble.assemble, argv=flags)


@pytest.mark.slow
def test_every_part_is_of_the_kind_that_was_given(backbone):
    kinds = {name: type(part).__name__ for name, part in backbone.parts()}
    assert kinds["encoder"] == "ArcFace"
    assert kinds["speech"] == "SpeechEncoder"
    assert kinds["text"] == "TextTokens"
    assert backbone.text.config.prompt == "a face"
    assert backbone.scheduler.config.prediction_type == "epsilon"
    assert backbone.unet.config.in_channels == 15
    assert (backbone.shape.size, backbone.shape.window, backbone.shape.knows_motion) == (64, 4, False)


@pytest.mark.slow
def test_it_trains_and_speaks(tiny_assembled):
    """The whole way: encode a clip, take a step of both adapters, generate."""
    head = TalkingHead(str(tiny_assembled), identity_rank=2).train()
    assert head.encoder_hash != f"{head.base_hash} 32 whole", "Caches of before hold sound heard with dropout."
    batch = _batch(head.backbone)
    assert batch["mel"].shape == (1, 4, 10, 16)
    assert batch["identity"].shape == (1, 512)
    before = [parameter.clone() for parameter in head.shared_parameters()]
    for optimizer in head.configure_optimizers().values():
        head.training_step(batch, 0).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(torch.isfinite(loss) for loss in head.losses.values())
    assert any(not torch.equal(old, new) for old, new in zip(before, head.shared_parameters(), strict=True))
    sound = head.backbone.speech(_clip().waveform, 6)
    frames = head.generate(_clip().frames[0], sound, steps=2)
    assert frames.shape == (6, 3, 64, 64)
    assert frames.float().std() > 0


@pytest.mark.slow
def test_the_identity_loss_reaches_the_adapters_through_the_recognition_network(tiny_assembled, monkeypatch):
    head = TalkingHead(str(tiny_assembled), identity_rank=2, identity_weight=1.0, tdc_weight=0.0)
    monkeypatch.setattr("lightning_modules.draws.draw_timesteps", lambda *_: torch.tensor([100]))
    batch = _batch(head.backbone)
    monkeypatch.setattr("lightning_modules.objective.denoising_loss", lambda *_: torch.zeros(()))
    head.training_step(batch, 0).backward()
    assert head.losses["identity"] > 0
    assert any(parameter.grad.abs().max() > 0 for parameter in head.shared_parameters())


@pytest.mark.slow
def test_taesd_and_log_mel_windows_and_no_words_are_enough(tiny_models, tmp_path):
    parts = _parts(tiny_models, vae=str(tiny_models.taesd))
    assemble.assemble(parts, str(tmp_path / "base"), size=64, window=4, prompt=None)
    head = TalkingHead(str(tmp_path / "base"), identity_rank=0)
    batch = _batch(head.backbone)
    assert head.backbone.speech is head.backbone.text is None
    assert batch["mel"].shape == (1, 4, 20, 80)
    assert batch["latents"].shape == (1, 4, 4, 8, 8)
    assert torch.isfinite(head.training_step(batch, 0))
    frames = _clip().frames[:2] / 127.5 - 1
    expected = head.backbone.vae.encode(frames).latents
    torch.testing.assert_close(head.backbone.encode(frames), expected)


@pytest.mark.slow
def test_a_face_adapter_makes_the_tokens(tiny_models, tmp_path):
    parts = _parts(tiny_models, face=str(tiny_models.face), face_adapter=str(tiny_models.face_adapter))
    assemble.assemble(parts, str(tmp_path / "base"), size=64, window=4)
    backbone = load_base(tmp_path / "base")
    weights = torch.load(tiny_models.face_adapter, weights_only=True)["ip_adapter"]
    ours = backbone.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2.processor
    torch.testing.assert_close(ours.to_v_ip[0].weight, weights["1.to_v_ip.weight"].half().float())
    assert ours.to_v_ip[1].weight.abs().max() == ours.to_v_ip[2].weight.abs().max() == 0
    assert type(backbone.identity).__name__ == "FaceIDTokens"


@pytest.mark.slow
def test_the_same_parts_make_the_same_base_wherever_they_lie(tiny_models, tiny_assembled, tmp_path):
    """Adapters name their base by its fingerprint, which people have to share."""
    for name in ("checkpoint", "motion_adapter", "speech", "face"):
        shutil.copytree(getattr(tiny_models, name), tmp_path / name)
    parts = assemble.PartsArgs(*(str(tmp_path / name) for name in ("checkpoint", "motion_adapter")))
    parts.speech, parts.face = str(tmp_path / "speech"), str(tmp_path / "face")
    assemble.assemble(parts, str(tmp_path / "base"), size=64, window=4, prompt="a face")
    assert fingerprint(tmp_path / "base") == fingerprint(tiny_assembled)


@pytest.mark.slow
def test_the_card_names_licences_and_what_is_untrained(tiny_assembled):
    card = (tiny_assembled / "README.md").read_text()
    for name in ("checkpoint", "motion_adapter", "speech", "face"):
        assert f"- {name}: a local copy. It should be {SOURCES[name].describe()}" in card
    assert SOURCES["face_adapter"].what not in card
    assert "attention to sound and head motion" in card
    assert "the face encoder: random" not in card


def test_what_is_untrained_follows_from_what_is_given():
    least = assemble.PartsArgs("a/b", "c/d", face="e", face_adapter="f", pose="g")
    always = assemble.list_untrained(least, zero_terminal_snr=False)
    assert len(always) == 2
    rest = set(assemble.list_untrained(assemble.PartsArgs("a/b", "c/d"), zero_terminal_snr=True)) - set(always)
    assert {line.split(":")[1].strip() for line in rest} == {
        "adds nothing",
        "random",
        "every portrait looks straight ahead",
        "frames are of no use",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shared", "identity"])
def test_adapters_fit_the_checkpoint_of_four_channels(tiny_models, tiny_assembled, tmp_path, name):
    """By plain peft, and in AnimateDiff's pipeline without missing or unexpected names; both then do what ours does."""
    head = TalkingHead(str(tiny_assembled), identity_rank=2)
    for parameter in [*head.shared_parameters(), *head.personal_parameters()]:
        torch.nn.init.normal_(parameter, std=0.1)
    head.export_adapter(name, tmp_path)
    head.backbone.unet.set_adapters([name])
    latents, text, time = torch.randn(1, 4, 3, 8, 8), torch.randn(3, 7, 16), torch.tensor([300])
    streams = [torch.randn(3, 1, tokens, 16) for tokens in (4, 5, 4)]
    with torch.no_grad():
        inputs = torch.cat([latents, torch.randn(1, 11, 3, 8, 8)], dim=1)
        expected = head.backbone.unet(inputs, time, encoder_hidden_states=(text, streams)).sample
    for load in (_by_peft, _by_diffusers):
        unet = _pipeline(tiny_models).unet
        with torch.no_grad():
            unmodified = unet(latents, time, encoder_hidden_states=text).sample
            made = load(unet, tmp_path)(latents, time, encoder_hidden_states=text).sample
        torch.testing.assert_close(made, expected, atol=2e-3, rtol=2e-3)  # the base is stored in float16
        assert not torch.allclose(made, unmodified, atol=1e-2)


def _pipeline(models):
    unet = UNet2DConditionModel.from_pretrained(models.checkpoint, subfolder="unet")
    adapter = MotionAdapter.from_pretrained(models.motion_adapter)
    absent = dict.fromkeys(("vae", "text_encoder", "tokenizer", "scheduler"))
    return AnimateDiffPipeline(**absent, unet=unet, motion_adapter=adapter)


def _by_peft(unet, folder):
    model = PeftModel.from_pretrained(unet, folder)
    found = model.load_adapter(folder, "again")
    assert not found.unexpected_keys
    assert not [key for key in found.missing_keys if "lora" in key]
    return model


def _by_diffusers(unet, folder):
    weights = load_file(folder / "adapter_model.safetensors")
    unet.load_lora_adapter(weights, prefix=PREFIX.rstrip("."), adapter_name="ours")
    loaded = {name for name, _ in unet.named_parameters() if "lora" in name}
    assert loaded == {f"{key.removeprefix(PREFIX).removesuffix('.weight')}.ours.weight" for key in weights}
    return unet


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SOURCES])
def test_a_missing_part_is_one_line_that_says_where_to_get_it(tiny_models, tmp_path, capsys, name):
    given = {part: str(getattr(tiny_models, part)) for part in ("checkpoint", "motion_adapter")}
    given |= {"face": str(tiny_models.face)} if name == "face_adapter" else {}
    flags = [f"--parts.{part}={place}" for part, place in (given | {name: str(tmp_path / "gone")}).items()]
    assert _run(*flags, f"--out={tmp_path / 'base'}", "--size=64", "--window=4") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    for words in (f"--parts.{name}", SOURCES[name].what, SOURCES[name].home, SOURCES[name].licence, "gone"):
        assert words in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_checkpoint_that_lacks_weights_is_refused(tiny_models, tmp_path):
    """The libraries would draw them anew and go on."""
    shutil.copytree(tiny_models.motion_adapter, tmp_path / "motion")
    path = tmp_path / "motion" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights.pop(next(iter(weights)))
    save_file(weights, path, metadata={"format": "pt"})
    parts = _parts(tiny_models)
    parts.motion_adapter = str(tmp_path / "motion")
    with pytest.raises(FileNotFoundError, match=r"--parts\.motion_adapter.*Apache"):
        assemble.assemble(parts, str(tmp_path / "base"), size=64, window=4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size=500"], "multiple of 64"),
        (["--window=0"], "`--window` must be at least 1 frame. Got 0."),
        (["--window=-4"], "Got -4."),
        (["--parts.face_adapter=x"], "--parts.face"),
        (["--beta_schedule=cosine"], "beta_schedule"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(tmp_path, capsys, flags, message):
    parts = ["--parts.checkpoint=a/b", "--parts.motion_adapter=c/d", f"--out={tmp_path / 'base'}"]
    assert _run(*parts, *flags) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_window_longer_than_the_motion_adapters_is_refused(tiny_models, tmp_path):
    with pytest.raises(ValueError, match="at most 32"):
        assemble.assemble(_parts(tiny_models), str(tmp_path / "base"), size=64, window=33)


def test_the_config_names_every_part(monkeypatch):
    seen = {}
    monkeypatch.setattr(assemble, "demand_options", lambda parts, *others: seen.update(vars(parts)) or _stop())
    with pytest.raises(Stopped):
        run_command(assemble.assemble, argv=["--config", str(ROOT / "configs" / "sd15.yaml")])
    assert {name for name, given in seen.items() if given} == {"checkpoint", "motion_adapter", "vae", "speech", "face"}


class Stopped(Exception):
    pass


def _stop():
    raise Stopped


@pytest.mark.slow
def test_help_does_not_import_torch():
    code = "import assemble, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.slow
def test_a_part_of_another_kind_is_refused(tiny_assembled, tmp_path):
    shutil.copytree(tiny_assembled / "vae", tmp_path / "vae")
    config = tmp_path / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"_class_name": "VQModel"}))
    with pytest.raises(ValueError, match="AutoencoderKL or AutoencoderTiny"):
        load_part("vae", tmp_path / "vae")
    assert report_errors("x", lambda: load_part("vae", tmp_path)) == 2
