"""A clip is encoded once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from datamodules.audio import log_mel_windows
from datamodules.encoding_cache import EncodingCache, with_inputs


class Encoder:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, clip):
        self.asked += 1
        return {"latents": clip.frames.float()[:, :1], "has_mouth": torch.tensor(1.0)}


def test_the_second_run_reads_what_the_first_computed(tmp_path, make_clip):
    encoder, clip = Encoder(), make_clip()
    first = EncodingCache(tmp_path, encoder, "a")(clip)
    second = EncodingCache(tmp_path, encoder, "a")(make_clip())
    assert encoder.asked == 1
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_sound_is_heard_as_log_mel_windows_unless_the_model_hears_it(make_clip):
    clip, heard = make_clip(), torch.ones(30, 10, 4)
    usual = with_inputs(lambda clip: {})(clip)
    assert torch.equal(usual["mel"], log_mel_windows(clip.waveform, 30))
    assert torch.equal(usual["frames"], clip.frames)
    assert with_inputs(lambda clip: {"mel": heard})(clip)["mel"] is heard


def test_other_weights_pixels_sound_or_truth_are_encoded_anew(tmp_path, make_clip):
    encoder, clip = Encoder(), make_clip()
    EncodingCache(tmp_path, encoder, "a")(clip)
    changed = [
        replace(clip, frames=clip.frames.flip(0)),
        replace(clip, frames=clip.frames[:, :, :8]),
        replace(clip, waveform=-clip.waveform),
        replace(clip, mouth=None),
        replace(clip, motion=torch.zeros(30, 6)),
    ]
    for other in changed:
        EncodingCache(tmp_path, encoder, "a")(other)
    EncodingCache(tmp_path, encoder, "b")(clip)
    assert encoder.asked == 2 + len(changed)


def test_only_whole_safetensors_files_are_left_behind(tmp_path, make_clip):
    EncodingCache(tmp_path, Encoder(), "a")(make_clip("bob"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.suffix for path in files] == [".safetensors"]
    assert files[0].parent.name == "bob"


def test_a_broken_file_is_named_with_what_to_do(tmp_path, make_clip):
    EncodingCache(tmp_path, Encoder(), "a")(make_clip("bob"))
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(b"broken")
    with pytest.raises(OSError, match=f"{file.name}: .* delete it"):
        EncodingCache(tmp_path, Encoder(), "a")(make_clip("bob"))


def test_too_many_mapped_files_are_one_line(tmp_path, make_clip, monkeypatch):
    def refuse(*_):
        raise RuntimeError("unable to mmap 920 bytes: Cannot allocate memory (12)")

    monkeypatch.setattr("datamodules.encoding_cache.load_file", refuse)
    with pytest.raises(OSError, match=r"sysctl -w vm\.max_map_count"):
        EncodingCache(tmp_path, lambda clip: {"latents": clip.frames.float()}, "f")(make_clip())
