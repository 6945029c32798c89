"""What `train.py --transport flower` and the devices' own command need before the first round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from federation.args import (
    AggregationArgs,
    ClippingArgs,
    DeploymentArgs,
    FederationArgs,
    OwnerArgs,
    PrivacyArgs,
    SecurityArgs,
)
from federation.client_training import ClientTrainer
from federation.deployment.local_training import LocalTraining
from federation.deployment.patience import Patience
from federation.deployment.personal_states import PersonalStates
from federation.deployment.roster_cohort import RosterCohort
from federation.deployment.session_file import read_session
from federation.flower.launch import demand_connection, run_relay
from federation.flower.relay_nodes import RelayNodes
from federation.preparation import fingerprint_frozen, prepare_module
from federation.protocols import FederatedData, FederatedModule
from federation.secure_aggregation.framing import digest
from federation.secure_aggregation.session import Session
from federation.seeding import seed_training
from federation.settled import Settled
from launching import make_fabric, read_clients

SETTINGS = b"PrivFedTalk settings of a deployment v1"


@dataclass(frozen=True)
class EnrolledClients:
    """All that a server knows of the clients' data: whose it is."""

    clients: list[str]

    def splits(self, client: str) -> dict[str, list[Any]]:
        """Return no clips: none are here."""
        return {"train": [], "val": [], "test": []}


class DeployedCohort(RosterCohort):
    """A cohort behind Flower."""

    @property
    def enrolled(self) -> EnrolledClients:
        """Return the names of the roster."""
        return EnrolledClients(list(self.session.roster.clients))


def demand_remote(
    privacy: PrivacyArgs, federation: FederationArgs, owner: OwnerArgs, devices: int, clients_at_once: int
) -> None:
    """Raise ValueError if what people's own devices do not do is asked for: it would be refused, or mean nothing."""
    asked = {
        f"--devices {devices}": devices != 1,
        f"--clients_at_once {clients_at_once}": clients_at_once != 1,
        "settings under --owner": owner != OwnerArgs(),
        "--privacy.enabled false": not privacy.enabled,
        "--federation.sampling visible": federation.sampling == "visible",
    }
    if excess := ", ".join(option for option, is_asked in asked.items() if is_asked):
        raise ValueError(
            f"`--transport flower` must do without {excess}: each device trains the one client whose it is, under its "
            "owner's own limits, and with privacy and secret coins only. Leave it out, or train with `--transport "
            "local`."
        )


def join_devices(deployment: DeploymentArgs, module: FederatedModule, seed: int, settled: Settled) -> DeployedCohort:
    """Return the cohort of a signed session, to be asked through a running SuperLink.

    Raises:
        ValueError: If the session was signed for other settings, or Flower knows no such SuperLink.
    """
    if deployment.session is None:
        raise ValueError("`--deployment.session` must name a signed session. Got none. See docs/deployment.md.")
    session = read_session(Path(deployment.session))
    demand_settings(session, digest_deployment(module, seed, settled))
    home, socket = Path(deployment.flower_home).absolute(), Path(deployment.socket).absolute()
    demand_connection(home, deployment.connection)
    nodes = RelayNodes(socket, partial(run_relay, home, deployment.connection, socket))
    patience = Patience(deployment.answer_seconds, deployment.training_seconds)
    return DeployedCohort(session, nodes, patience, min(settled.security.epoch_rounds, settled.federation.rounds))


def digest_deployment(module: FederatedModule, seed: int, settled: Settled) -> bytes:
    """Return the SHA-256 of all that server and devices must have alike: settings, seed, and the frozen model."""
    frozen = fingerprint_frozen(module).encode()
    return digest(SETTINGS, settled.digest(), str(seed).encode(), frozen, str(count(module)).encode())


def demand_settings(session: Session, found: bytes) -> None:
    """Raise ValueError unless these are the settings that a session was signed for."""
    signed = session.config.digest
    if signed != found:
        raise ValueError(
            f"The settings must be those of the signed session, {signed.hex()[:16]}. Got {found.hex()[:16]}. Use the "
            "config and the base model it was signed for, or have a new session signed."
        )


def count(module: FederatedModule) -> int:
    """Return the length d of the shared adapter."""
    return sum(parameter.numel() for parameter in module.shared_parameters())


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
    def settled(self) -> Settled:
        """Return what server and devices must have alike, beside seed and model."""
        return Settled(self.privacy, self.federation, self.aggregation, self.security, self.clipping)


def read_settings(config: str, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings that `train.py` would read, with its module and data, made from the same seed."""
    from train import make_parser

    parser = make_parser([])
    chosen = parser.parse_args(["--config", config, *overrides])
    seed_training(chosen.seed)
    made = parser.instantiate(chosen)
    return Settings(**{field.name: made[field.name] for field in fields(Settings)})


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
    own = ["--data.root", clips, "--data.people", f'["{client}"]', "--data.cache_dir", str(folder / "cache")]
    settings = read_settings(config, own)
    found = digest_deployment(settings.module, settings.seed, settings.settled)
    session = read_session(folder / "session.json")
    demand_settings(session, found)
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
    trainer = ClientTrainer(
        fabric, module, settings.data, federation, settings.aggregation, settings.seed, lambda *step: None
    )
    return LocalTraining(client, trainer, states)
