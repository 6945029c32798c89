"""A device makes a video of its own, with the base model that its settings name."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch
from safetensors.torch import load_file

from datamodules.video import write_video
from deploy.speaking import make_video
from federation.client_states import ClientState
from federation.deployment.personal_states import PersonalStates
from federation.deployment.session_file import read_session, write_session
from federation.secure_aggregation.session import Session
from lightning_modules.talking_head import TalkingHead
from settings import read_settings
from tests.federation.secure_aggregation.parties import make_session, plan

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
    write_session(tmp_path / "home" / "session.json", make_session(plan()))
    return tmp_path


def train(place: Path, session: Session, rounds: int, value: float) -> None:
    """Leave what training leaves on a device: a personal adapter of this value after so many rounds."""
    module = read_settings(str(place / "settings.yaml")).module
    states = PersonalStates.of(place / "home" / "states", module, session)
    states.keep(rounds - 1, ClientState([torch.full_like(one, value) for one in states.newcomer.personal]))


def speak(place: Path) -> Path:
    return make_video(place / "global", place / "home", "alice", place / "clips", str(place / "settings.yaml"))


@pytest.mark.slow
def test_a_device_speaks_with_its_settings_base_and_its_sessions_adapter(place):
    train(place, make_session(plan(), nonce=bytes([1]) * 32), rounds=5, value=0.5)
    with pytest.raises(FileNotFoundError, match="must hold a personal adapter"):
        speak(place)
    train(place, read_session(place / "home" / "session.json"), rounds=2, value=0.25)
    with av.open(str(speak(place))) as made:
        assert sum(1 for _ in made.decode(video=0)) == FRAMES
    identity = place / "home" / "voice" / "clients" / "alice" / "identity"
    written = load_file(identity / "adapter_model.safetensors")
    assert {value for one in written.values() for value in one.unique().tolist()} == {0.25}
