"""What a speech model hears is on the clock of the frames, two steps to each, and the same after saving."""

import pytest
import torch

from datamodules.audio import log_mel_windows
from lightning_modules.adopted import speech as speech_module
from lightning_modules.adopted.speech import HOP, SAMPLES_PER_FRAME, SpeechEncoder
from tests.tiny_checkpoint import make_speech_model


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    return SpeechEncoder.from_pretrained(make_speech_model(tmp_path_factory.mktemp("speech") / "wav2vec2"))


@pytest.fixture
def local_speech(tmp_path):
    """A model without attention and without normalisation over time, which carry everything everywhere."""
    local = {"num_hidden_layers": 0, "feat_extract_norm": "layer", "conv_bias": True}
    return SpeechEncoder.from_pretrained(make_speech_model(tmp_path / "local", **local))


def _noise(frames):
    return 0.1 * torch.randn(frames * SAMPLES_PER_FRAME)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [0, -1_000, 1_000])
def test_every_frame_hears_ten_steps_whatever_the_length_of_the_sound(speech, samples):
    waveform = torch.nn.functional.pad(_noise(12), (0, samples))
    windows = speech(waveform, 12)
    assert windows.shape == (12, 10, 16)
    assert windows.dtype == torch.float32
    assert len(log_mel_windows(waveform, 12)) == 12  # who calls one can call the other


@pytest.mark.slow
def test_windows_overlap_and_end_in_zeros(speech):
    windows = speech(_noise(12), 12)
    assert torch.equal(windows[3, 2:], windows[4, :-2])
    assert windows[0, :4].abs().max() == windows[-1, -4:].abs().max() == 0
    assert windows[0, 4:].abs().min() > 0


@pytest.mark.slow
def test_sound_under_a_frame_is_heard_in_its_two_steps(local_speech):
    speech = local_speech
    speech.extractor.do_normalize = False
    with torch.no_grad():
        speech.model.encoder.pos_conv_embed.conv.parametrizations.weight.original0.zero_()
        speech.model.encoder.pos_conv_embed.conv.bias.zero_()
    quiet = _noise(12)
    loud = quiet.clone()
    loud[7 * SAMPLES_PER_FRAME + 60 : 7 * SAMPLES_PER_FRAME + 260] += 0.5
    changed = (speech(loud, 12) - speech(quiet, 12)).abs().amax(dim=(1, 2)) > 1e-3
    assert changed.nonzero().flatten().tolist() == [5, 6, 7, 8, 9]
    steps = (speech(loud, 12)[7] - speech(quiet, 12)[7]).abs().amax(dim=1)
    assert steps.argmax() == 4


@pytest.mark.slow
@pytest.mark.parametrize("frames", [11, 20, 21, 37])
def test_a_long_sound_is_heard_in_pieces_that_join(local_speech, monkeypatch, frames):
    waveform = _noise(frames) * torch.linspace(0.1, 1, frames * SAMPLES_PER_FRAME)  # a piece is louder than the whole
    whole = local_speech(waveform, frames)
    monkeypatch.setattr(speech_module, "PIECE", 20)
    monkeypatch.setattr(speech_module, "CONTEXT", 10)
    pieces, lengths = local_speech.model, []
    pieces.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[-1] // HOP))
    torch.testing.assert_close(local_speech(waveform, frames), whole, atol=1e-4, rtol=1e-4)
    assert max(lengths) <= 40 < 2 * 37
    assert len(lengths) == -(-2 * frames // 20)


@pytest.mark.slow
def test_attention_within_pieces_hears_nearly_the_same(speech, monkeypatch):
    waveform = _noise(100)
    whole = speech(waveform, 100)
    monkeypatch.setattr(speech_module, "PIECE", 60)
    monkeypatch.setattr(speech_module, "CONTEXT", 20)
    in_pieces = speech(waveform, 100)
    assert in_pieces.shape == whole.shape
    assert (in_pieces - whole).norm() < 0.1 * whole.norm()


@pytest.mark.slow
def test_training_around_it_changes_nothing_that_is_heard(tmp_path):
    """Wav2vec drops features and whole layers, and masks what is left, where it is trained itself."""
    speech = SpeechEncoder.from_pretrained(make_speech_model(tmp_path, layerdrop=0.5))
    waveform = _noise(12)
    expected = speech(waveform, 12)
    torch.nn.Sequential(speech).train()
    assert not any(module.training for module in speech.modules())
    assert torch.equal(speech(waveform, 12), expected)


@pytest.mark.slow
def test_it_comes_back_as_it_was_saved(speech, tmp_path):
    waveform = _noise(8)
    speech.save_pretrained(tmp_path)
    torch.testing.assert_close(SpeechEncoder.from_pretrained(tmp_path)(waveform, 8), speech(waveform, 8))


@pytest.mark.slow
def test_a_model_that_breaks_off_is_named(tmp_path):
    path = make_speech_model(tmp_path / "wav2vec2") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"The speech model in .*wav2vec2 is broken"):
        SpeechEncoder.from_pretrained(tmp_path / "wav2vec2")


@pytest.mark.slow
def test_a_model_on_another_clock_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one feature for 320 of 400 samples"):
        SpeechEncoder.from_pretrained(make_speech_model(tmp_path, conv_stride=(5, 2, 2, 2, 2, 2, 1)))
