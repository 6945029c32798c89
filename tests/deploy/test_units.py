from __future__ import annotations

import configparser
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"


def read_unit(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(UNITS / name)
    return parser["Service"]


@pytest.mark.parametrize("path", sorted(UNITS.iterdir()), ids=lambda path: path.stem)
def test_a_unit_is_confined_and_quiet(path):
    unit = read_unit(path.name)
    assert unit["User"] != "root"
    assert unit["NoNewPrivileges"] == unit["PrivateTmp"] == unit["ProtectHome"] == "true"
    if path.name.startswith("flower"):
        assert "FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1" in unit["Environment"]


def test_who_runs_shipped_code_sees_neither_clips_nor_keys():
    device, relay = read_unit("privfedtalk-device.service"), read_unit("flower-supernode.service")
    assert device["User"] != relay["User"]
    assert device["UMask"] == "0077"
    assert relay["InaccessiblePaths"] == device["ReadWritePaths"]
    socket = device["ExecStart"].partition("--socket ")[2].split()[0]
    assert f'socket="{socket}"' in relay["ExecStart"]
    assert not socket.startswith(device["ReadWritePaths"])


def test_the_control_api_is_on_loopback():
    assert "--host 127.0.0.1" in read_unit("flower-superlink.service")["ExecStart"]
    assert "--enable-supernode-auth" in read_unit("flower-superlink.service")["ExecStart"]
