"""A device speaks: its personal adapter beside the federation's, in a folder of the device's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_modules.talking_head import TalkingHead

NOTES = ("global_adapter", "round")


def make_video(released: Path, home: Path, client: str, clips: Path, config: str) -> Path:
    """Return the mp4 of a client that says what it says in its last clip, from the first frame of its first.

    Args:
        released: The federation's adapter, `global` of the server's run.
        home: Of the device; the adapters and the video go into `voice` there.
        client: Its name.
        clips: Folder with its folder of recordings.
        config: Settings, as for train.py.

    Raises:
        FileNotFoundError: If the device's session has trained no personal adapter for these settings.
    """
    from generate import generate
    from settings import read_settings

    voice, module = home / "voice", read_settings(config).module
    shutil.copytree(released, voice / "global", dirs_exist_ok=True)
    export_identity(voice, home, client, module)
    recordings = sorted((clips / client).glob("*.mp4"))
    portrait, video = voice / "portrait.png", voice / f"{client}.mp4"
    save_first_frame(recordings[0], portrait)
    sound, adapter = str(recordings[-1]), str(voice / "clients" / client)
    generate(str(portrait), str(video), driving_audio=sound, adapter=adapter, base=module.hparams.base)
    return video


def export_identity(voice: Path, home: Path, client: str, module: TalkingHead) -> None:
    """Write the session's newest personal adapter in peft's format, as belonging to the adapter in `voice`/global.

    Raises:
        FileNotFoundError: If the session in `home` has trained none for this module.
    """
    from federation.deployment.personal_states import PersonalStates
    from federation.deployment.session_file import read_session

    states = PersonalStates.of(home / "states", module, read_session(home / "session.json"))
    states.newest().restore(module.personal_parameters())
    about = json.loads((voice / "global" / "adapter.json").read_text())
    notes = {name: about[name] for name in NOTES}
    module.export_adapter("identity", voice / "clients" / client / "identity", client=client, **notes)


def save_first_frame(recording: Path, picture: Path) -> None:
    """Write the first frame of a recording as a picture."""
    import av

    with av.open(str(recording)) as container:
        next(container.decode(video=0)).to_image().save(picture)
