"""Runs a person's device: `python device.py --settings configs/federation.yaml --home HOME --clips DIR`.

It waits on a Unix socket for orders that a thin relay of Flower hands on, trains on the person's own clips, and answers
with the five messages of secure aggregation. All that it keeps lies in HOME, which only its user may read.
"""

import logging
import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commandline import Accelerator, end_on_signals, run_command

if TYPE_CHECKING:  # torch and Lightning take seconds, which `--help` should not
    from device_home import DeviceHome
    from federation.agreed_settings import AgreedSettings
    from federation.deployment.device import Device
    from federation.deployment.local_training import LocalTraining
    from federation.deployment.training_process import TrainingProcess
    from federation.secure_aggregation.session import Session


def serve(
    settings: str,
    home: str,
    clips: str,
    socket: str | None = None,
    users: list[int] | None = None,
    group: int | None = None,
    accelerator: Accelerator | None = None,
    local_steps: int | None = None,
) -> None:
    """Run a device until it is interrupted.

    Args:
        settings: The config that the session was signed for, as for train.py.
        home: Folder of keys, session, ledger, personal adapter and socket; docs/deployment.md says how it is filled.
        clips: Folder with one folder of recordings, named like the client.
        socket: Where the relay knocks, alone in its folder; HOME/door/socket if not given, for this user's relay only.
        users: User ids that may connect to the socket; this user's if not given.
        group: Group id of the socket and its folder, which this user and the relay's share.
        accelerator: Where to train; as in the config if not given.
        local_steps: Optimizer steps of this device in a round, to spare it; the config's if not given. One that is slow
            takes fewer by itself, as many as there is time for.
    """
    from device_home import DeviceHome
    from federation.deployment.orders import longest_order
    from federation.deployment.socket_service import SocketService
    from federation.deployment.training_process import TrainingProcess
    from settings import read_agreed

    logging.getLogger().setLevel(logging.WARNING)
    end_on_signals()
    place = DeviceHome(Path(home))
    session, client = place.open_session()
    agreed = read_agreed(settings)
    own = (clips, client, accelerator, local_steps)
    load = partial(load_model, settings, agreed, session.id, str(place.folder), *own)
    with place.lock(), closing(TrainingProcess(client, load)) as training:
        device = make_device(*agreed, place, session, client, training)
        device.half.warm_up(device.size, device.norm.first)
        device.books.warm_up()
        training.wait_until_loaded()
        allowed = {os.getuid()} if users is None else set(users)
        path = Path(socket) if socket else place.socket
        longest = longest_order(session, device.epoch_rounds, device.rounds)
        with closing(SocketService(path, device.answer, longest=longest, users=allowed, group=group)) as service:
            print(
                f"{client} is ready: process {os.getpid()}, training in process {training.pid}. Of the session's "
                f"{session.config.clients} clients {session.config.colluders} may tell the server all they know.",
                flush=True,
            )
            service.serve()


def load_model(*arguments: Any) -> "LocalTraining":
    """Return what `device_training.load_training` does; imported only in the process that trains."""
    from device_training import load_training

    return load_training(*arguments)


def make_device(
    agreed: "AgreedSettings",
    seed: int,
    place: "DeviceHome",
    session: "Session",
    client: str,
    training: "TrainingProcess",
) -> "Device":
    """Return the device of a signed session, once its owner's limits are found to allow it.

    The front of a device holds no model: it only masks, signs and counts.

    Raises:
        OwnerRefusalError: If they do not.
        ValueError: If the session counts on others than the settings do.
    """
    from federation.deployment.client_half import ClientHalf
    from federation.deployment.device import Device
    from federation.deployment.device_books import DeviceBooks
    from federation.deployment.signed_norm import SignedNorm
    from federation.deployment.signed_settings import demand_provision
    from federation.secure_aggregation.client import SecureClient
    from federation.secure_aggregation.memory import catch_up
    from pipeline import client_steps

    clients, limits = len(session.roster.clients), place.owner_limits()
    limits.demand(agreed.terms(session.config.honest))
    demand_provision(session, agreed)
    keys = agreed.keys(seed)
    sampling, steps = client_steps(keys, agreed, clients)
    books = DeviceBooks(place.open_ledger(limits), session, agreed.release(clients))
    catch_up(place.memory, session.id, books.newest)
    return Device(
        SecureClient(client, place.identity, session, keys, place.memory),
        ClientHalf(client, session.roster.clients, [*sampling, *steps], agreed.clipping),
        training,
        books,
        SignedNorm(agreed.privacy.clip_norm, agreed.clipping, agreed.contributing),
        agreed.federation.rounds,
        epoch_rounds=agreed.security.epoch_rounds,
    )


if __name__ == "__main__":
    sys.exit(run_command(serve, {"config": "settings"}))  # as train.py calls it
