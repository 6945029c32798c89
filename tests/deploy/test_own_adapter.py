"""A device makes an adapter to speak with, of what its session has trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from deploy.own_adapter import write_own_adapter
from device_home import DeviceHome
from federation.client_states import ClientState
from federation.deployment.personal_states import PersonalStates
from federation.secure_aggregation.session import Session
from lightning_modules.personalised import load_personalised
from lightning_modules.talking_head import TalkingHead
from settings import read_settings
from tests.federation.secure_aggregation.parties import make_session, plan
from tests.test_device_home import give_session

CLIENT = "alice"
SETTINGS = """\
module: {{class_path: lightning_modules.talking_head.TalkingHead, init_args: {{base: {base}, identity_rank: 2}}}}
data: {{class_path: tests.tiny_command.DeviceData}}
accelerator: cpu
"""


@pytest.fixture
def place(tmp_path, tiny_base) -> Path:
    """A folder with settings, an enrolled device, and what a server has released."""
    (tmp_path / "settings.yaml").write_text(SETTINGS.format(base=tiny_base))
    TalkingHead(str(tiny_base), identity_rank=2).export_adapter(
        "shared", tmp_path / "global", global_adapter="abc", round=2
    )
    give_session(tmp_path / "home", own=CLIENT)
    return tmp_path


def train(place: Path, session: Session, rounds: int, value: float) -> None:
    """Leave what training leaves on a device: an identity adapter of this value after so many rounds."""
    module = read_settings(str(place / "settings.yaml")).module
    states = PersonalStates.of(place / "home" / "states", module, session)
    states.keep(rounds - 1, ClientState([torch.full_like(one, value) for one in states.newcomer.personal]))


def export(place: Path, released: str = "global") -> None:
    write_own_adapter(str(place / "settings.yaml"), str(place / "home"), str(place / released))


@pytest.mark.slow
def test_a_device_speaks_with_its_settings_base_and_its_sessions_adapter(place, tiny_base, capsys):
    train(place, make_session(plan(), nonce=bytes([1]) * 32), rounds=5, value=0.5)  # another session's
    with pytest.raises(FileNotFoundError, match="must hold a personal adapter"):
        export(place)
    assert not (place / "home" / "voice").exists()
    train(place, DeviceHome(place / "home").open_session()[0], rounds=2, value=0.25)
    export(place)
    own = place / "home" / "voice" / "clients" / CLIENT
    assert capsys.readouterr().out == f"Speak with: generate.py --base {tiny_base} --adapter {own}\n"
    written = load_file(own / "identity" / "adapter_model.safetensors")
    assert {value for one in written.values() for value in one.unique().tolist()} == {0.25}
    assert load_personalised(str(tiny_base), str(own)).shape == load_personalised(str(tiny_base), None).shape


@pytest.mark.slow
def test_what_is_no_shared_adapter_is_refused(place):
    train(place, DeviceHome(place / "home").open_session()[0], rounds=2, value=0.25)
    about = json.loads((place / "global" / "adapter.json").read_text())
    for notes, complaint in (
        (about | {"client": "bela"}, "another adapter"),
        ({}, "another adapter"),
        (None, "without"),
    ):
        (place / "global" / "adapter.json").unlink()
        if notes is not None:
            (place / "global" / "adapter.json").write_text(json.dumps(notes))
        with pytest.raises((FileNotFoundError, ValueError), match=complaint):
            export(place)
        assert not (place / "home" / "voice").exists()


def test_the_command_names_its_flags():
    command = [sys.executable, "-m", "deploy.own_adapter", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {"--settings", "--home", "--released"} <= set(shown.split())
