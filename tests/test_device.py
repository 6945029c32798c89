"""`device.py` and `train.py --transport flower` as they are, with everything in one process instead of Flower."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import train
from deploy.loopback import enrol_everybody
from deploy.sign_session import sign_session
from device import make_device
from device_home import DeviceHome
from device_training import load_training
from federation.checkpoints import RoundFolders
from federation.client_training import ClientTrainer
from federation.deployment.local_training import LocalTraining
from federation.deployment.personal_states import list_rounds
from federation.privacy.ledger import LEDGER
from federation.privacy.owner import OwnerRefusalError
from settings import read_agreed
from tests.federation.deployment.devices import AtOnce, DeviceNodes, HandClock

pytestmark = pytest.mark.slow

SETTINGS = """\
module: {{class_path: tests.tiny_command.CommandModule}}
data: {{class_path: tests.tiny_command.DeviceData}}
federation: {{rounds: 3, local_steps: 2, sampling: all}}
privacy: {{allow_tiny_cohort: true, clip_norm: 0.5, noise_multiplier: 0.3}}
security: {{dropout_share: 0.34}}
observers: {{evaluation_batches: 0, sample_frames: 0}}
deployment: {{session: {place}/server/session.json, answer_seconds: 60, training_seconds: 600}}
accelerator: cpu
"""


class LocalNodes(DeviceNodes):
    """Stands in for the relay; a server that dies in the middle of a round does so here."""

    dies_after: int | None = None
    closed = False

    def ask(self, orders, seconds):
        if self.dies_after == len(self.orders):
            self.dies_after = None
            raise SystemExit
        return super().ask(orders, seconds)

    def close(self):
        self.closed = True


def make_nodes(place: Path, config: Path, **own: object) -> LocalNodes:
    """Return three enrolled devices; settings of a device's own are given to all of them."""
    devices = {}
    for node, (client, home) in enumerate(enrol_everybody(place, str(config)).items()):
        torch.manual_seed(0)
        folder = DeviceHome(home)
        session, found = folder.open_session()
        assert found == client
        agreed = read_agreed(config)
        trainer = AtOnce(load_training(str(config), agreed, session.id, str(home), str(place), client, **own))
        devices[node] = make_device(*agreed, folder, session, client, trainer)
        devices[node].clock = HandClock()
    return LocalNodes(devices)


def load(config: Path, place: Path, agreed: tuple | None = None, **own: object) -> LocalTraining:
    """Return bela's training, for a front that found what is agreed on in the same config, or found something else."""
    home, found = place / "devices" / "bela", agreed or read_agreed(config)
    session, client = DeviceHome(home).open_session()
    return load_training(str(config), found, session.id, str(home), str(place), client, **own)


@pytest.fixture
def deploy(tmp_path, monkeypatch):
    """Return a function that enrols devices and puts them in the relay's place."""

    def deploy(extra: str = "", **own: object) -> tuple[LocalNodes, Path]:
        config, place = tmp_path / "tiny.yaml", tmp_path / "place"
        place.mkdir()
        config.write_text(SETTINGS.format(place=place) + extra)
        nodes = make_nodes(place, config, **own)
        monkeypatch.setattr("remote_training.demand_connection", lambda home, name: None)
        monkeypatch.setattr("remote_training.RelayNodes", lambda socket, launch: nodes)
        return nodes, config

    return deploy


def run(config: Path, out: Path, *flags: str) -> Path:
    return train.run(["--config", str(config), "--transport", "flower", "--out_dir", str(out), *flags])


def figures(out: Path, tag: str) -> list[str]:
    """Return the values of a released figure, round by round."""
    with (out / "metrics.csv").open() as file:
        return [value for _, name, value in csv.reader(file) if name == tag]


def positions(path: Path, event: str) -> list[tuple[int, int]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["round"], line["attempt"]) for line in lines if line.get("event") == event]


def test_another_machine_goes_on_with_a_copy_of_the_run(deploy, tmp_path):
    nodes, config = deploy()
    nodes.dies_after = 7  # in the second round, when the vectors are asked for
    with pytest.raises(SystemExit):
        run(config, tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "elsewhere" / "new")
    shutil.copy(tmp_path / "place" / "server" / "session.json", tmp_path / "elsewhere" / "session.json")
    shutil.rmtree(tmp_path / "old")
    shutil.rmtree(tmp_path / "place" / "server")
    where = ["--deployment.session", str(tmp_path / "elsewhere" / "session.json")]
    train.run(["--resume", str(tmp_path / "elsewhere" / "new"), *where])
    assert RoundFolders(tmp_path / "elsewhere" / "new" / "checkpoints").latest().rounds_done == 3
    charged = [(0, 0), (1, 1), (2, 0)]  # the attempt that died had cost nothing, and is not made again
    assert positions(tmp_path / "elsewhere" / "new" / LEDGER, "release") == charged
    for device in nodes.devices.values():
        assert [key[1:] for key in device.books.ledger._charged] == charged
    assert not (tmp_path / "old").exists()


def test_a_server_that_was_put_back_is_refused(deploy, tmp_path):
    """A backup of the run's folder that is a round old: no device answers for that round again."""
    nodes, config = deploy()
    nodes.dies_after = 5
    with pytest.raises(SystemExit):
        run(config, tmp_path / "run", "--federation.rounds", "3")
    shutil.copytree(tmp_path / "run", tmp_path / "backup")
    train.run(["--resume", str(tmp_path / "run")])
    with pytest.raises(ValueError, match="10 attempts in a row were refused"):
        train.run(["--resume", str(tmp_path / "backup")])
    assert all(len(device.books.ledger._charged) == 3 for device in nodes.devices.values())


def test_another_session_in_the_same_home_begins_anew_and_takes_nothing_away(deploy, tmp_path):
    nodes, config = deploy()
    run(config, tmp_path / "run")
    home, place = tmp_path / "place" / "devices" / "bela", tmp_path / "place"
    trained = nodes.devices[1].trainer.training.states
    assert trained.newest().optimizer
    again = place / "again.json"
    sign_session(str(config), str(place / "authority.key"), str(place / "roster.json"), str(again))
    shutil.copy(again, home / "session.json")
    states = load(config, place).states
    assert states.folder != trained.folder
    assert not states.before(0).optimizer
    states.keep(0, states.newcomer)
    assert [number for number, _ in list_rounds(trained.folder)] == [2, 3]
    assert [number for number, _ in list_rounds(states.folder)] == [1]


def test_devices_may_take_other_numbers_of_steps(deploy, tmp_path, monkeypatch):
    nodes, config = deploy(local_steps=5)
    slow = nodes.devices[1].trainer.training.trainer
    slow.federation.local_steps = 1
    take_steps, taken = ClientTrainer._take_steps, []

    def count(self, *args):
        losses = take_steps(self, *args)
        taken.extend(["slow" if self is slow else "fast"] * len(losses))
        return losses

    monkeypatch.setattr(ClientTrainer, "_take_steps", count)
    run(config, tmp_path / "run")
    assert (taken.count("slow"), taken.count("fast")) == (3, 2 * 3 * 5)
    assert figures(tmp_path / "run", "released/survivors") == ["3.0"] * 3


def test_a_moving_clip_norm_is_replayed_by_every_device(deploy, tmp_path):
    """A device that was started anew replays the rounds it has forgotten."""
    nodes, config = deploy("clipping: {adaptive: true}")
    nodes.dies_after = 10
    with pytest.raises(SystemExit):
        run(config, tmp_path / "run")
    nodes.devices[1].norm = replace(nodes.devices[1].norm)
    train.run(["--resume", str(tmp_path / "run")])
    assert len(set(figures(tmp_path / "run", "released/clip_norm"))) == 3
    assert figures(tmp_path / "run", "released/survivors") == ["3.0"] * 3


def test_a_clip_norm_that_does_not_follow_is_refused_by_every_device(deploy, tmp_path, monkeypatch):
    """The fault: a server that does not move S by the signed rule."""
    _, config = deploy("clipping: {adaptive: true}")
    monkeypatch.setattr("callbacks.clipping.replay_clip_norm", lambda clip_norm, *rule: 1.01 * clip_norm)
    with pytest.raises(ValueError, match="10 attempts in a row were refused"):
        run(config, tmp_path / "run")
    assert figures(tmp_path / "run", "released/survivors") == ["3.0"]


def test_other_settings_than_were_signed_do_not_start(deploy, tmp_path):
    _, config = deploy()
    config.write_text(config.read_text() + "seed: 1\n")
    with pytest.raises(ValueError, match="must be those of the signed session"):
        load(config, tmp_path / "place")


@pytest.mark.parametrize("written", ["privacy.noise_multiplier: 9.0", "seed: 1"])
def test_a_front_that_would_make_other_noise_than_was_signed_gets_no_training(deploy, tmp_path, written):
    """The fault: a front that reads the same config otherwise, as one did that knew no dotted names."""
    _, config = deploy()
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text() + written)
    load(config, tmp_path / "place")
    with pytest.raises(ValueError, match="must find the same settings"):
        load(config, tmp_path / "place", read_agreed(other))


def test_a_session_that_was_put_in_place_of_the_verified_one_gets_no_training(deploy, tmp_path):
    """The fault: settings held against a file that nobody verified, which may be signed by anybody for anything."""
    _, config = deploy()
    home = tmp_path / "place" / "devices" / "bela"
    session, client = DeviceHome(home).open_session()
    other = tmp_path / "other.json"
    sign_session(str(config), str(tmp_path / "mine.key"), str(tmp_path / "place" / "roster.json"), str(other))
    shutil.copy(other, home / "session.json")
    with pytest.raises(ValueError, match="must stay what it was when the device started"):
        load_training(str(config), read_agreed(config), session.id, str(home), str(tmp_path), client)


def test_what_the_owner_does_not_allow_does_not_start(deploy, tmp_path):
    nodes, config = deploy()
    home = tmp_path / "place" / "devices" / "bela"
    (home / "owner.json").write_text('{"rounds": 2}')
    place = DeviceHome(home)
    with pytest.raises(OwnerRefusalError, match=r"rounds 3 \(allowed: 2\)"):
        make_device(*read_agreed(config), place, *place.open_session(), nodes.devices[1].trainer)


def test_a_device_whose_owner_allows_no_more_leaves_the_rest_alone(deploy, tmp_path):
    nodes, config = deploy()
    nodes.devices[2].books.ledger.allowed_epsilon = 35.0  # two rounds of three
    run(config, tmp_path / "run")
    assert figures(tmp_path / "run", "released/survivors") == ["3.0", "3.0", "2.0"]
    assert len(nodes.devices[2].books.ledger._charged) == 2
    noise = [json.loads(line).get("noise_multiplier") for line in (tmp_path / "run" / LEDGER).read_text().splitlines()]
    assert len(set(filter(None, noise))) == 1  # the noise is made for one missing device


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_devices_with_and_without_a_gpu_take_part_alike(deploy, tmp_path):
    nodes, config = deploy()
    nodes.devices[1].trainer = AtOnce(load(config, tmp_path / "place", accelerator="cuda"))
    run(config, tmp_path / "run")
    assert figures(tmp_path / "run", "released/survivors") == ["3.0"] * 3


def test_the_front_of_a_device_holds_no_model(deploy, tmp_path):
    """It is there all day: what trains is imported in a process of its own, and counts for nothing in this one."""
    _, config = deploy()
    script = """
import sys
from pathlib import Path
from device import make_device, serve
from device_home import DeviceHome
from federation.deployment.socket_service import SocketService
from federation.deployment.training_process import TrainingProcess
from settings import read_agreed

place = DeviceHome(Path(sys.argv[2]))
device = make_device(*read_agreed(sys.argv[1]), place, *place.open_session(), training=None)
device.half.warm_up(device.size, device.norm.first)
device.books.warm_up()
print(*sorted({"lightning", "diffusers", "peft", "transformers", "av"} & set(sys.modules)))
"""
    home = tmp_path / "place" / "devices" / "bela"
    shown = subprocess.run([sys.executable, "-c", script, config, home], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []


def test_the_relay_is_closed_where_the_run_does_not_begin(deploy, tmp_path):
    nodes, config = deploy()
    (tmp_path / "run").write_text("a file where the folder would be")
    with pytest.raises(OSError):
        run(config, tmp_path / "run")
    assert nodes.closed
