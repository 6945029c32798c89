"""Makes of what a device has learned an adapter to speak with: `python -m deploy.own_adapter --home HOME ...`.

The server's run has the shared adapter, in its folder `global`, which may be handed to anybody; the identity adapter is
on the device alone. `generate.py` takes both together. Nothing leaves the home.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from commandline import run_command
from device_home import DeviceHome
from whole_files import whole_folder

if TYPE_CHECKING:
    from lightning_modules.talking_head import TalkingHead

NOTES = ("global_adapter", "round")
"""Of the shared adapter: the identity adapter names by them what it belongs to."""


def write_own_adapter(settings: str, home: str, released: str) -> None:
    """Write this device's own adapter into HOME/voice, and say how to speak with it.

    Args:
        settings: The config that the session was signed for, as for device.py.
        home: Folder of the device.
        released: The shared adapter, a copy of the folder `global` of the server's run.
    """
    from settings import read_settings

    module = read_settings(settings).module
    own = export_own_adapter(module, DeviceHome(Path(home)), Path(released))
    print(f"Speak with: generate.py --base {module.hparams.base} --adapter {own}")


def export_own_adapter(module: TalkingHead, place: DeviceHome, released: Path) -> Path:
    """Write a device's newest identity adapter in peft's format, beside a copy of the shared adapter.

    Args:
        module: As its settings make it; it is left with the identity adapter.
        place: The device's home.
        released: The shared adapter.

    Returns:
        The folder for `generate.py --adapter`.

    Raises:
        FileNotFoundError: If there is no shared adapter, or the session has trained no identity adapter for it.
        ValueError: If that is another adapter than the shared one.
    """
    from federation.deployment.personal_states import PersonalStates

    session, client = place.open_session()
    notes = read_notes(released)
    states = PersonalStates.of(place.folder / "states", module, session)
    states.newest().restore(module.personal_parameters())
    voice = place.folder / "voice"
    own = voice / "clients" / client
    with whole_folder(voice / "global") as folder:
        shutil.copytree(released, folder, dirs_exist_ok=True)
    with whole_folder(own / "identity") as folder:
        module.export_adapter("identity", folder, client=client, **notes)
    return own


def read_notes(released: Path) -> dict[str, object]:
    """Return what a shared adapter is known by."""
    path, wanted = released / "adapter.json", "`--released` must be the folder `global` of the server's run."
    if not path.is_file():
        raise FileNotFoundError(f"{wanted} Got {released}, without {path.name}.")
    about = json.loads(path.read_text())
    if "client" in about or not about.keys() >= set(NOTES):
        raise ValueError(f"{wanted} Got {released}, which holds another adapter.")
    return {name: about[name] for name in NOTES}


if __name__ == "__main__":
    sys.exit(run_command(write_own_adapter, {"config": "settings"}))
