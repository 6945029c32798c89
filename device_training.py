"""A person's own training: the settings of its session, the model they name, and the clips of one client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from compute import make_fabric
from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.client_training import ClientTrainer
from federation.deployment.local_training import LocalTraining
from federation.deployment.personal_states import PersonalStates
from federation.deployment.session_file import read_session
from federation.deployment.signed_settings import demand_signed
from federation.preparation import prepare_module
from federation.protocols import FederatedData, FederatedModule
from federation.seeding import seed_training
from launching import read_clients
from train import make_parser


@dataclass(frozen=True)
class Settings:
    """What a config says, with the module and the data it names."""

    module: FederatedModule
    data: FederatedData
    privacy: PrivacyArgs
    federation: FederationArgs
    aggregation: AggregationArgs
    security: SecurityArgs
    clipping: ClippingArgs
    seed: int
    accelerator: str
    precision: str

    @property
    def agreed(self) -> AgreedSettings:
        """Return what server and devices must have alike, beside seed and model."""
        return AgreedSettings(self.privacy, self.federation, self.aggregation, self.security, self.clipping)


def read_settings(config: str, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings that `train.py` would read, with its module and data, made from the same seed."""
    parser = make_parser([])
    chosen = parser.parse_args(["--config", config, *overrides])
    seed_training(chosen.seed)
    made = parser.instantiate(chosen)
    return Settings(**{field.name: made[field.name] for field in fields(Settings)})


def read_agreed(config: str) -> tuple[AgreedSettings, int]:
    """Return what server and devices must have alike, and the seed, without making a module or data."""
    parser = make_parser([])
    chosen = parser.parse_args(["--config", config])
    for part in ("module", "data"):
        chosen.pop(part)
    made = parser.instantiate(chosen)
    return AgreedSettings(*(made[name] for name in AgreedSettings._fields)), made.seed


def load_training(
    config: str, home: str, clips: str, client: str, accelerator: str | None = None, local_steps: int | None = None
) -> LocalTraining:
    """Return a device's training: the model, and the clips of its one client, encoded once and kept in its home.

    Args:
        config: The settings that the session was signed for.
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
    settings = read_settings(config, own)
    session = read_session(folder / "session.json")
    demand_signed(session, settings.module, settings.seed, settings.agreed)
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
