"""A person's own training: the model that the settings of its session name, and the clips of one client."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from compute import make_fabric
from federation.agreed_settings import AgreedSettings
from federation.client_training import ClientTrainer
from federation.deployment.local_training import LocalTraining
from federation.deployment.personal_states import PersonalStates
from federation.deployment.session_file import read_session
from federation.deployment.signed_settings import demand_signed
from federation.preparation import prepare_module
from launching import read_clients
from settings import read_settings


def load_training(
    config: str,
    agreed: tuple[AgreedSettings, int],
    session_id: bytes,
    home: str,
    clips: str,
    client: str,
    accelerator: str | None = None,
    local_steps: int | None = None,
) -> LocalTraining:
    """Return a device's training: the model, and the clips of its one client, encoded once and kept in its home.

    Args:
        config: The settings that the session was signed for.
        agreed: What the front has found there, with the seed: it makes the noise, and must not do so by other settings
            than were signed.
        session_id: Of the session that the front has verified.
        home: Of the device.
        clips: Folder with the client's folder of recordings.
        client: Its name.
        accelerator: This device's own, instead of the settings'.
        local_steps: This device's own; what it sends is clipped to the same norm, whatever it took to get there.

    Raises:
        ValueError: If the settings or the model are not those that the session was signed for.
    """
    folder = Path(home)
    person = json.dumps([client], ensure_ascii=False)
    own = ["--data.root", clips, "--data.people", person, "--data.cache_dir", str(folder / "cache")]
    settings = read_settings(config, *own)
    session = read_session(folder / "session.json")
    if session.id != session_id:
        raise ValueError(f"{folder}/session.json must stay what it was when the device started. Start it anew.")
    found = AgreedSettings.of(settings)
    demand_signed(session, settings.module, settings.seed, found)
    if agreed != (found, settings.seed):
        raise ValueError(f"A device's front and its training must find the same settings in {config}. Start it anew.")
    states = PersonalStates.of(folder / "states", settings.module, session)
    fabric = make_fabric(accelerator or settings.accelerator, 1, "auto", settings.precision)
    if fabric.device.type == "cpu":
        torch.set_num_threads(1)  # as `client_parallel` does: more threads add numbers in another order
    fabric.launch()
    read_clients(settings.data, settings.module, processes=1)
    module = prepare_module(fabric, settings.module)
    if hasattr(settings.data, "encoded"):
        settings.data.encoded(client, "train")  # now, so that the first round only trains
    steps = settings.federation.local_steps if local_steps is None else local_steps
    federation = replace(settings.federation, local_steps=steps)
    trainer = ClientTrainer(fabric, module, settings.data, federation, settings.aggregation, settings.seed)
    return LocalTraining(client, trainer, states)
