"""The widened denoiser is AnimateDiff's until something new is trained, and a face adapter's where one is given."""

import pytest
import torch
from diffusers import MotionAdapter, StableDiffusionPipeline, UNet2DConditionModel, UNetMotionModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

from lightning_modules.adopted.face_id import adopt_face_adapter
from lightning_modules.adopted.widening import make_denoiser, widen_input

FRAMES = 3


def _unet(models):
    return UNet2DConditionModel.from_pretrained(models.checkpoint, subfolder="unet")


def _adapter(models):
    return MotionAdapter.from_pretrained(models.motion_adapter)


@torch.no_grad()
def _outputs(ours, theirs, identity, **theirs_only):
    """Return what both denoisers make of the same latents and text, ours with noise in all of its own inputs."""
    latents, extra = torch.randn(1, 4, FRAMES, 8, 8), torch.randn(1, 11, FRAMES, 8, 8)
    text = torch.randn(FRAMES, 7, 16)
    streams = [identity.expand(FRAMES, 1, -1, -1), torch.randn(FRAMES, 1, 5, 16), torch.randn(FRAMES, 1, 4, 16)]
    time = torch.tensor([500])
    made = ours(torch.cat([latents, extra], dim=1), time, encoder_hidden_states=(text, streams)).sample
    return made, theirs(latents, time, encoder_hidden_states=text, **theirs_only).sample


@pytest.mark.slow
def test_whatever_the_new_inputs_hold_the_output_is_animatediffs(tiny_models):
    theirs = UNetMotionModel.from_unet2d(_unet(tiny_models), _adapter(tiny_models))
    ours = make_denoiser(_unet(tiny_models), _adapter(tiny_models))
    assert ours.config.in_channels == 15
    made, expected = _outputs(ours, theirs, torch.randn(1, 1, 4, 16))
    torch.testing.assert_close(made, expected)
    still = UNetMotionModel.from_unet2d(_unet(tiny_models))
    assert not torch.allclose(_outputs(ours, still, torch.randn(1, 1, 4, 16))[1], expected, atol=1e-2)


@pytest.mark.slow
def test_new_channels_that_weigh_something_are_seen(tiny_models):
    """The injected fault."""
    theirs = UNetMotionModel.from_unet2d(_unet(tiny_models), _adapter(tiny_models))
    ours = make_denoiser(_unet(tiny_models), _adapter(tiny_models))
    torch.nn.init.constant_(ours.conv_in.weight[:, 4:], 0.1)
    made, expected = _outputs(ours, theirs, torch.randn(1, 1, 4, 16))
    assert not torch.allclose(made, expected, atol=1e-2)


@pytest.mark.slow
def test_new_inputs_learn(tiny_models):
    ours = make_denoiser(_unet(tiny_models), _adapter(tiny_models))
    streams = [torch.randn(FRAMES, 1, tokens, 16) for tokens in (4, 5, 4)]
    states = (torch.randn(FRAMES, 7, 16), streams)
    ours(
        torch.randn(1, 15, FRAMES, 8, 8), torch.tensor([5]), encoder_hidden_states=states
    ).sample.square().sum().backward()
    assert ours.conv_in.weight.grad[:, 4:].abs().min() > 0
    values = [parameter.grad for name, parameter in ours.named_parameters() if "to_v_ip" in name]
    assert len(values) == 12
    assert all(gradient.abs().max() > 0 for gradient in values)


@pytest.mark.slow
def test_the_first_layer_keeps_its_kind(tiny_models):
    unet = UNetMotionModel.from_unet2d(_unet(tiny_models)).half()
    widen_input(unet, 15)
    assert unet.conv_in.weight.dtype == torch.float16
    assert unet.conv_in.weight.shape == (8, 15, 3, 3)


@pytest.mark.slow
@torch.no_grad()
def test_a_face_adapter_acts_as_in_stable_diffusions_own_pipeline(tiny_models):
    """Its LoRA and its stream, frame by frame: AnimateDiff's pipeline takes the LoRA for its motion modules'."""
    silent, theirs, path = _adapter(tiny_models), _unet(tiny_models), tiny_models.face_adapter
    for name, parameter in silent.named_parameters():
        if "proj_out" in name:
            parameter.zero_()
    tokens, streams = adopt_face_adapter(unet := _unet(tiny_models), str(path))
    ours = make_denoiser(unet, silent, streams)
    absent = dict.fromkeys(("vae", "text_encoder", "tokenizer", "scheduler", "safety_checker", "feature_extractor"))
    pipeline = StableDiffusionPipeline(**absent, unet=theirs, requires_safety_checker=False)
    pipeline.load_ip_adapter(str(path.parent), subfolder=None, weight_name=path.name, image_encoder_folder=None)

    def frame_by_frame(latents, time, **conditions):
        sample = theirs(latents[0].transpose(0, 1), time, **conditions).sample
        return UNet2DConditionOutput(sample.transpose(0, 1)[None])

    embedding = torch.nn.functional.normalize(torch.randn(1, 512), dim=-1)
    conditions = {"added_cond_kwargs": {"image_embeds": [embedding.expand(FRAMES, 1, -1)]}}
    made, expected = _outputs(ours, frame_by_frame, tokens(embedding)[None], **conditions)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-3)
    nobody, expected = _outputs(ours, frame_by_frame, torch.zeros(1, 1, 4, 16), **conditions)
    assert not torch.allclose(nobody, expected, atol=1e-2)


@pytest.mark.slow
def test_a_face_adapter_leaves_the_denoiser_loadable(tiny_models):
    """Neither its processors nor peft's layers stay behind."""
    unet = _unet(tiny_models)
    names = unet.state_dict().keys()
    adopt_face_adapter(unet, str(tiny_models.face_adapter))
    assert unet.state_dict().keys() == names
    assert unet.encoder_hid_proj is None


@pytest.mark.slow
def test_streams_of_another_checkpoint_are_refused(tiny_models):
    with pytest.raises(ValueError, match="do not fit"):
        make_denoiser(_unet(tiny_models), _adapter(tiny_models), {"no.such.weight": torch.zeros(1)})
