"""Real Flower on loopback, with TLS and node keys; minutes long, and skipped where Flower is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from deploy.loopback import ROOT, set_aside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(autouse=True)
def _flower():
    if find_spec("flwr") is None:  # to import it would change this process's environment
        pytest.skip("Flower is not installed: pip install -r requirements-flower.txt")


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and entry.parent.name != str(os.getpid()):
            found.append(line)
    return found


SETTINGS = """\
module: {{class_path: tests.tiny_command.CommandModule}}
data: {{class_path: tests.tiny_command.DeviceData}}
federation: {{rounds: 2, local_steps: 2}}
privacy: {{key_source: seeded, allow_tiny_cohort: true}}
security: {{dropout_share: 0.34}}
deployment:
  session: {run}/server/session.json
  flower_home: {run}/flower
  socket: {run}/server/relay/socket
  training_seconds: 10
accelerator: cpu
"""


def read_adapters(run: Path) -> dict[str, bytes]:
    """Return the bytes of the newest global adapter and of the server's momentum."""
    newest = sorted((run / "checkpoints").glob("round_*"))[-1]
    return {name: tensor.tobytes() for name, tensor in load_file(newest / "server.safetensors").items()}


def test_flower_and_a_simulation_end_with_the_same_bits(tmp_path):
    """Real TLS, node keys and processes; a tiny model, and seeded keys, which the owners allow."""
    settings, owner, run = tmp_path / "tiny.yaml", tmp_path / "owner.json", tmp_path / "run"
    settings.write_text(SETTINGS.format(run=run))
    owner.write_text('{"seeded_keys": true}')
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    here = [sys.executable, str(ROOT / "train.py"), "--config", str(settings), "--out_dir", str(tmp_path / "here")]
    subprocess.run(here, env=environment, check=True, timeout=600)
    there = [sys.executable, "-m", "deploy.loopback", "--folder", str(run), "--settings", str(settings)]
    command = [*there, "--clips", str(tmp_path), "--owner", str(owner)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=1500)
    assert read_adapters(run / "run") == read_adapters(tmp_path / "here")
    assert "left nothing in time" not in (run / "logs" / "device-alice.log").read_text()
    charged = next((run / "devices" / "alice" / "ledger").glob("*.jsonl")).read_text()
    assert charged.count('"charge"') == 2
    assert not processes_of(tmp_path)


def test_ctrl_c_in_the_middle_of_a_round_brings_everything_down(tmp_path):
    settings, run = tmp_path / "tiny.yaml", tmp_path / "run"
    settings.write_text(SETTINGS.format(run=run).replace("key_source: seeded, ", ""))
    command = [sys.executable, "-m", "deploy.loopback", "--folder", str(run), "--settings", str(settings)]
    command += ["--clips", str(tmp_path)]
    terminal = {"cwd": ROOT, "text": True, "start_new_session": True}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **terminal)
    while process.poll() is None and not list((run / "run" / "checkpoints").glob("round_*")):
        time.sleep(0.5)
    assert len(processes_of(run)) > 8
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not processes_of(tmp_path)


def test_a_folder_is_moved_aside(tmp_path):
    for content in ("one", "two", "three"):
        place = set_aside(tmp_path / "run")
        assert not list(place.iterdir())
        (place / content).touch()
    assert (tmp_path / "run.previous" / "two").exists()
