"""The folder of a device: what it must keep to itself, and what it was given when it was enrolled."""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federation.deployment.session_file import read_session, write_session
from federation.folder_lock import lock_folder
from federation.privacy.device_ledger import DeviceLedger
from federation.privacy.owner import OwnerLimits
from federation.secure_aggregation.errors import SessionError
from federation.secure_aggregation.memory import FileMemory
from federation.secure_aggregation.session import Session

ROSTER_GROWTH = 0.2
"""New clients that a device accepts at once, as a share of those it knew; for more, its owner removes known.json."""
KEY_BYTES = 32
LEDGER = "clips.jsonl"
ENROLMENT = "Enrol this device first: python -m deploy.enrol --home"
ORIGIN = {
    "identity.key": f"{ENROLMENT} HOME",
    "session.json": "It comes from whoever signs the roster, and is the same for every device.",
    "authority.pub": "It comes from whoever signs the roster, over a way that its owner trusts.",
}
"""How a device gets what it cannot do without."""


class DeviceHome:
    """A folder that only its user can enter.

    Of it belong into backups `identity.key` and the ledgers, and never `memory`: put back, it would make the device
    repeat itself. Removing the folder removes all that the device knows; the adapters it helped to make stay.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If others can read it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        if not self.folder.is_dir():
            raise FileNotFoundError(f"`--home` must be the folder of a device. Got {folder}. {ENROLMENT} {folder}")
        if stat.S_IMODE(self.folder.stat().st_mode) & 0o077:
            raise ValueError(f"`--home` must be its user's alone. Others can enter {folder}. Run: chmod 700 {folder}")
        self.socket = self.folder / "door" / "socket"
        self.memory = FileMemory(self.folder / "memory")

    @cached_property
    def identity(self) -> Ed25519PrivateKey:
        """Return the device's own key."""
        return Ed25519PrivateKey.from_private_bytes(read_key(self._given("identity.key")))

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes out, as long as this one lives at most.

        Raises:
            ValueError: If another is in: each would take the other's socket away, and answer for the same device.
        """
        return lock_folder(
            self.folder, f"`--home` is one process's at a time. Another runs in {self.folder}. End it first."
        )

    def make_identity(self) -> bytes:
        """Make the device's key, once, and return its public half for the roster, 32 bytes."""
        path = self.folder / "identity.key"
        if not path.exists():
            write_key(path, Ed25519PrivateKey.generate())
        return self.identity.public_key().public_bytes_raw()

    def open_session(self) -> tuple[Session, str]:
        """Return the session in `session.json` and this device's client, and remember its roster.

        Raises:
            FileNotFoundError: If one of them is missing.
            SessionError: If the key in `authority.pub` did not sign it, this device is not in it, or it brings too
                many new clients at once.
        """
        session = read_session(self._given("session.json"))
        session.verify(Ed25519PublicKey.from_public_bytes(read_key(self._given("authority.pub"))))
        own = self.identity.public_key().public_bytes_raw()
        if own not in session.roster.identities:
            raise SessionError("This device's key must be in the roster. It is not. Have it enrolled.")
        known = self.folder / "known.json"
        if known.exists():
            session.roster.demand_small_change(read_session(known).roster, ROSTER_GROWTH)
        write_session(known, session)
        return session, session.roster.clients[session.roster.identities.index(own)]

    def owner_limits(self) -> OwnerLimits:
        """Return what the owner allows in `owner.json`; without it, what protects nobody is refused."""
        path = self.folder / "owner.json"
        return OwnerLimits.read(path) if path.exists() else OwnerLimits()

    def open_ledger(self, limits: OwnerLimits) -> DeviceLedger:
        """Return the ledger of the owner's clips: one in a home, as whoever signs the roster chooses the client's name.

        Earlier versions kept one for each name. Whatever other ledgers lie there are counted, too.

        Raises:
            ValueError: If one of them is broken.
        """
        path = self.folder / "ledger" / LEDGER
        earlier = sorted(set(path.parent.glob("*.jsonl")) - {path})
        return DeviceLedger(path, limits.epsilon, limits.delta, earlier=earlier)

    def _given(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing. {ORIGIN[name]}")
        return path


def write_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Write a private key in hexadecimal."""
    write_secret(path, f"{key.private_bytes_raw().hex()}\n".encode())


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its user can read; never over another."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def read_key(path: Path) -> bytes:
    """Return the 32 bytes of a key file; raises ValueError if it holds something else."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} must hold a key of {KEY_BYTES} bytes in hexadecimal. It holds something else.")
    return key
