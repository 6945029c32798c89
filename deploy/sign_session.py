"""Signs who takes part, and in what, with the offline key.

    python -m deploy.sign_session --settings configs/federation.yaml --authority authority.key --roster roster.json \
        --output session.json

`roster.json` is {"ann": "<key printed by deploy.enrol>", ...}. The key is made if it is missing; its public half lies
beside it, and is what devices pin. The session holds for these settings, this seed and this base model, and no others.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from commandline import run_command
from device_home import read_key, write_key
from federation.deployment.session_file import write_session
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.session import Session
from whole_files import save_text


def sign_session(settings: str, authority: str, roster: str, output: str, edition: int = 0) -> None:
    """Sign a session for the server and all devices.

    Args:
        settings: The config, as for train.py.
        authority: File of the offline key.
        roster: JSON file of the clients' names and keys.
        output: The session to write.
        edition: Of the roster; rises with every change, or devices refuse it.
    """
    from federation.agreed_settings import AgreedSettings
    from federation.deployment.signed_settings import plan_session
    from settings import read_settings

    clients, key = read_roster(Path(roster)), open_authority(Path(authority))
    chosen = read_settings(settings)
    config = plan_session(chosen.module, chosen.seed, AgreedSettings.of(chosen), len(clients))
    write_session(Path(output), Session.sign(Roster.sign(clients, key, edition), config, os.urandom(32), key))
    print(f"{output}: {len(clients)} clients, {config.threshold} shares open a secret, {config.colluders} may collude.")


def read_roster(path: Path) -> dict[str, Ed25519PublicKey]:
    """Return the clients' keys by name; raises ValueError on what is no roster."""
    try:
        return {
            name: Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
            for name, public in json.loads(path.read_text()).items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} must be JSON with the key that `deploy.enrol` printed on every device, {{"ann": "<key>"}}. Got: '
            f"{error}."
        ) from error


def open_authority(path: Path) -> Ed25519PrivateKey:
    """Return the offline key, made if it is missing, with its public half in a file beside it.

    Raises:
        ValueError: If the file is that of a public half, or another key's lies beside it.
    """
    beside = path.with_suffix(".pub")
    if path == beside:
        raise ValueError(f"`--authority` must be the file of the offline key. Got {path}, a public half.")
    if not path.exists():
        write_key(path, Ed25519PrivateKey.generate())
    key = Ed25519PrivateKey.from_private_bytes(read_key(path))
    public = key.public_key().public_bytes_raw()
    if beside.exists() and read_key(beside) != public:
        raise ValueError(f"`--authority` must be the key whose public half is in {beside}. Got {path}, another one.")
    save_text(beside, public.hex() + "\n")
    return key


if __name__ == "__main__":
    sys.exit(run_command(sign_session, {"config": "settings"}))
