"""What `train.py --transport flower` needs before the first round: a signed session, and who to ask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from federation.agreed_settings import AgreedSettings
from federation.args import DeploymentArgs, FederationArgs, OwnerArgs, PrivacyArgs
from federation.deployment.patience import Patience
from federation.deployment.roster_cohort import RosterCohort
from federation.deployment.session_file import read_session
from federation.deployment.signed_settings import demand_signed
from federation.flower.launch import demand_connection, run_relay
from federation.flower.relay_nodes import RelayNodes
from federation.protocols import FederatedModule
from federation.secure_aggregation.session import Session


@dataclass(frozen=True)
class EnrolledClients:
    """All that a server knows of the clients' data: whose it is."""

    session: Session

    @property
    def clients(self) -> list[str]:
        """Return the names in the roster."""
        return list(self.session.roster.clients)


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


def join_devices(
    deployment: DeploymentArgs, module: FederatedModule, seed: int, agreed: AgreedSettings
) -> RosterCohort:
    """Return the cohort of a signed session, to be asked through a running SuperLink.

    Raises:
        ValueError: If the session was signed for other settings, or Flower knows no such SuperLink.
    """
    if deployment.session is None:
        raise ValueError("`--deployment.session` must name a signed session. Got none. See docs/deployment.md.")
    session = read_session(Path(deployment.session))
    demand_signed(session, module, seed, agreed)
    home, socket = Path(deployment.flower_home).absolute(), Path(deployment.socket).absolute()
    demand_connection(home, deployment.connection)
    nodes = RelayNodes(socket, partial(run_relay, home, deployment.connection, socket))
    patience = Patience(deployment.answer_seconds, deployment.training_seconds)
    return RosterCohort(session, nodes, patience, min(agreed.security.epoch_rounds, agreed.federation.rounds))
