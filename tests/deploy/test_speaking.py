"""A device makes a video of its own, with the base model that its settings name."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch

from datamodules.video import write_video
from deploy.speaking import make_video
from lightning_modules.talking_head import TalkingHead

FRAMES = 8
SETTINGS = """\
module: {{class_path: lightning_modules.talking_head.TalkingHead, init_args: {{base: {base}, identity_rank: 2}}}}
data: {{class_path: tests.tiny_command.DeviceData}}
accelerator: cpu
"""


@pytest.fixture
def place(tmp_path, tiny_base) -> Path:
    """A folder with settings, clips of alice, and what a server has released."""
    (tmp_path / "settings.yaml").write_text(SETTINGS.format(base=tiny_base))
    frames, sound = torch.full((FRAMES, 3, 64, 64), 80, dtype=torch.uint8), torch.rand(16_000 * FRAMES // 25) - 0.5
    write_video(tmp_path / "clips" / "alice" / "clip_0.mp4", frames, waveform=sound)
    head = TalkingHead(str(tiny_base), identity_rank=2)
    head.export_adapter("shared", tmp_path / "global", global_adapter="abc", round=2)
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path


@pytest.mark.slow
def test_a_device_speaks_with_the_base_of_its_settings(place):
    video = make_video(place / "global", place / "home", "alice", place / "clips", str(place / "settings.yaml"))
    with av.open(str(video)) as made:
        assert sum(1 for _ in made.decode(video=0)) == FRAMES
