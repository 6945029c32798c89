"""Windows of frames and of sound are those of the same moment."""

from __future__ import annotations

import torch

from datamodules.audio import log_mel_windows


def test_there_is_one_vector_for_every_five_frames(untrained, people):
    judge, clip = untrained["sync"], people["p1000"][0]
    mel = log_mel_windows(clip.waveform, 40)
    seen, heard = judge.embed_frames(clip.frames), judge.embed_sound(mel)
    assert seen.shape == heard.shape == (36, 64)
    assert torch.allclose(seen.norm(dim=-1), torch.ones(36), atol=1e-5)
    frames = clip.frames[7:12].transpose(0, 1)[None].float() / 127.5 - 1
    assert torch.allclose(judge.see(frames)[0], seen[7], atol=1e-5)
    assert torch.allclose(judge.hear(mel[9:10])[0], heard[7], atol=1e-5)


def test_only_the_mouth_is_looked_at(untrained, people):
    judge, frames = untrained["sync"], people["p1000"][0].frames[:5]
    without_eyes, without_mouth = frames.clone(), frames.clone()
    without_eyes[:, :, :26] = 0
    without_mouth[:, :, 36:48] = 0
    assert torch.equal(judge.embed_frames(without_eyes), judge.embed_frames(frames))
    assert not torch.allclose(judge.embed_frames(without_mouth), judge.embed_frames(frames), atol=1e-3)


def test_the_order_of_frames_matters(untrained, people):
    judge, frames = untrained["sync"], people["p1000"][0].frames[10:15]
    assert not torch.allclose(judge.embed_frames(frames.flip(0)), judge.embed_frames(frames), atol=1e-3)
