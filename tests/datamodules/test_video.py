"""What is written must come back: as many pictures, the same colours, and sound in step with them."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.video import write_video

RATE = 16_000


def pictures_of(path) -> torch.Tensor:
    with av.open(str(path)) as container:
        return torch.from_numpy(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]))


def sound_of(path) -> tuple[float, np.ndarray]:
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return float(frames[0].time), np.concatenate([frame.to_ndarray() for frame in frames], axis=1)[0]


def clip_with_clap(seconds: float = 2.0, at: float = 0.8) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives a grey film with one white frame and a silent sound with one burst, both at `at` seconds."""
    frames = torch.full((round(seconds * 25), 3, 64, 64), 60, dtype=torch.uint8)
    frames[round(at * 25)] = 255
    waveform = torch.zeros(round(seconds * RATE))
    burst = slice(round(at * RATE), round(at * RATE) + RATE // 25)
    waveform[burst] = 0.8 * torch.sin(torch.arange(RATE // 25) * 2 * torch.pi * 1000 / RATE)
    return frames, waveform


def test_flash_and_clap_come_back_together(tmp_path):
    frames, waveform = clip_with_clap()
    write_video(tmp_path / "a.mp4", frames, waveform=waveform)
    flash = int(pictures_of(tmp_path / "a.mp4").float().mean((1, 2, 3)).argmax()) / 25
    start, sound = sound_of(tmp_path / "a.mp4")
    clap = start + int(np.argmax(np.abs(sound) > 0.3)) / RATE
    assert flash == pytest.approx(0.8)
    assert abs(clap - flash) < 0.01


@settings(max_examples=8, deadline=None)
@given(count=st.integers(1, 12), height=st.integers(16, 41), width=st.integers(16, 41))
def test_every_frame_comes_back_at_even_size(tmp_path_factory, count, height, width):
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    shade = torch.linspace(40, 220, count).to(torch.uint8)
    write_video(path, shade[:, None, None, None].expand(count, 3, height, width), crf=4)
    back = pictures_of(path)
    assert back.shape == (count, height + height % 2, width + width % 2, 3)
    assert (back.float().mean((1, 2, 3)) - shade.float()).abs().max() < 4


def test_the_encoder_runs_without_its_macroblock_tree(tmp_path):
    # The tree reads memory that was never written: about one file in thirty differs. x264 notes its settings in a file.
    write_video(tmp_path / "a.mp4", torch.zeros(3, 3, 32, 32, dtype=torch.uint8))
    assert b" mbtree=0 " in (tmp_path / "a.mp4").read_bytes()


def test_frames_may_be_any_iterable_and_size_may_not_change(tmp_path):
    frames = torch.randint(0, 255, (5, 3, 32, 32), dtype=torch.uint8)
    write_video(tmp_path / "list.mp4", (frame for frame in frames))
    assert len(pictures_of(tmp_path / "list.mp4")) == 5
    with pytest.raises(ValueError, match="one size"):
        write_video(tmp_path / "mixed.mp4", [frames[0], frames[1, :, :16]])


def test_colours_survive_a_low_crf(tmp_path):
    blocks = torch.randint(0, 255, (1, 3, 4, 4), dtype=torch.uint8).repeat_interleave(16, 2).repeat_interleave(16, 3)
    write_video(tmp_path / "a.mp4", blocks, crf=4)
    back = pictures_of(tmp_path / "a.mp4").permute(0, 3, 1, 2)
    middles = slice(8, None, 16)
    assert (back[..., middles, middles].float() - blocks[..., middles, middles].float()).abs().max() < 10


def test_sound_and_pictures_alternate_in_the_file(tmp_path):
    frames, waveform = clip_with_clap(seconds=6.0)
    write_video(tmp_path / "a.mp4", frames, waveform=waveform)
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [(packet.pos, packet.stream.type) for packet in container.demux() if packet.size]
    kinds = [kind for _, kind in sorted(packets)]
    assert "audio" in kinds[: len(kinds) // 4]
    assert "video" in kinds[-len(kinds) // 4 :]


@pytest.mark.parametrize(
    "frames",
    [torch.zeros(0, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, 3, 32, 32), torch.zeros(2, 1, 32, 32).byte()],
)
def test_a_failed_write_leaves_nothing_behind(tmp_path, frames):
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(ValueError, match="frame"):
        write_video(tmp_path / "a.mp4", frames)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
