"""A whole deployment on this machine, for two rounds: `make federation`.

SuperLink with TLS and node authentication, three SuperNodes, three devices with a folder of clips each, and the
server's rounds. At the end one client speaks. Everything is on loopback, and nothing outlives the command.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

from commandline import end_on_signals, run_command
from datamodules.demo.folders import DEMO_CLIENTS, fill_if_demo
from deploy.certificates import make_certificates
from deploy.enrol import make_home
from deploy.flower_network import CONNECTION, PORT_OF_NODES, free_port, register, start_superlink, start_supernode
from deploy.processes import Processes
from device_home import DeviceHome
from federation.flower.launch import flower_environment, write_connection

ROOT = Path(__file__).parent.parent
CLIENTS = ("alice", "bela", "chen")


def run_loopback(
    folder: str = "runs/federation",
    clips: str = DEMO_CLIENTS,
    settings: str = "configs/federation.yaml",
    owner: str | None = None,
) -> None:
    """Run a federation of three devices on this machine.

    Args:
        folder: Of everything; what an earlier federation left there is moved aside.
        clips: Folder with a folder of recordings for each of alice, bela and chen.
        settings: The config; where it finds the server's session and socket is decided here.
        owner: JSON file of what the devices' owners allow; if not given, what protects nobody is refused.
    """
    end_on_signals()
    start, place = time.monotonic(), set_aside(Path(folder)).absolute()
    fill_if_demo(clips, 64, processes=2)
    homes = enrol_everybody(place, settings)
    port = free_port()
    write_connection(place / "flower", CONNECTION, f"127.0.0.1:{port}", place / "certificates" / "ca.crt")
    environment = flower_environment(place / "flower") | {"OMP_NUM_THREADS": "1"}
    print(f"Starting a SuperLink, {len(CLIENTS)} devices and their SuperNodes. Logs: {place / 'logs'}", flush=True)
    with Processes(place / "logs") as processes:
        for client, home in homes.items():  # first: they load their models while Flower starts
            if owner is not None:
                shutil.copy(owner, home / "owner.json")
            start_device(processes, client, home, clips, settings, environment)
        start_superlink(processes, place, port, environment)
        for client, home in homes.items():
            register(home / "node.pub", client, environment)
        for number, (client, home) in enumerate(homes.items(), start=1):
            start_supernode(processes, client, home, place, (port, port + PORT_OF_NODES + number), environment)
        for client in homes:
            processes.wait_for(f"device-{client}", "is ready", seconds=600)
            processes.wait_for(f"supernode-{client}", "SuperNode ID", seconds=300)
        if code := processes.run(train_command(place, settings), environment):
            raise ValueError(f"train.py must run all rounds. It ended with exit code {code}; see above for the reason.")
    if (place / "run" / "global").exists():
        speak(place, CLIENTS[0], Path(clips), settings)
    print(f"Took {time.monotonic() - start:.0f} seconds.")


def set_aside(folder: Path) -> Path:
    """Return an empty folder; what stood there is moved to `<folder>.previous`."""
    previous = folder.with_name(f"{folder.name}.previous")
    if folder.exists():
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def enrol_everybody(place: Path, config: str) -> dict[str, Path]:
    """Make certificates, keys and a signed session, and return the devices' homes by client."""
    from deploy.sign_session import sign_session

    make_certificates(str(place / "certificates"))
    homes = {client: place / "devices" / client for client in CLIENTS}
    keys = {client: make_home(home).hex() for client, home in homes.items()}
    (place / "server").mkdir(mode=0o700)
    (place / "roster.json").write_text(json.dumps(keys))
    session, authority = place / "server" / "session.json", place / "authority.key"
    sign_session(config, str(authority), str(place / "roster.json"), str(session))
    for home in homes.values():
        shutil.copy(session, home / "session.json")
        shutil.copy(authority.with_suffix(".pub"), home / "authority.pub")
    return homes


def train_command(place: Path, settings: str) -> list[str]:
    """Return the command of the server's rounds, with all that it needs in this folder."""
    server = place / "server"
    where = {"session": server / "session.json", "socket": server / "relay" / "socket", "flower_home": place / "flower"}
    command = [sys.executable, str(ROOT / "train.py"), "--config", settings, "--transport", "flower"]
    command += ["--out_dir", str(place / "run"), "--deployment.connection", CONNECTION]
    return command + [f"--deployment.{name}={path}" for name, path in where.items()]


def start_device(
    processes: Processes, client: str, home: Path, clips: str, config: str, environment: dict[str, str]
) -> None:
    """Start the process that holds a client's model, clips and keys, with a folder of the client's clips alone."""
    own = home / "clips"
    own.mkdir()
    (own / client).symlink_to((Path(clips) / client).absolute())
    command = [sys.executable, str(ROOT / "device.py"), "--settings", config, "--home", str(home), "--clips", str(own)]
    processes.start(f"device-{client}", command, environment)


def speak(place: Path, client: str, clips: Path, config: str) -> None:
    """Have one client say, with what its device has learned, what it says in its last clip."""
    from datamodules.reading.layouts import find_recordings
    from deploy.own_adapter import export_own_adapter
    from generate import generate
    from settings import read_settings

    module, home = read_settings(config).module, DeviceHome(place / "devices" / client)
    own = export_own_adapter(module, home, place / "run" / "global")
    recordings = find_recordings(clips, [client])[client]
    video = home.folder / "voice" / f"{client}.mp4"
    portrait, sound = str(recordings[0]), str(recordings[-1])
    generate(portrait, str(video), driving_audio=sound, adapter=str(own), base=module.hparams.base)
    print(f"{client} speaks: {os.path.relpath(video)}")


if __name__ == "__main__":
    sys.exit(run_command(run_loopback))
