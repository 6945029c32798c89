"""Makes a device's home and its keys: `python -m deploy.enrol --home HOME`, on the device.

Prints the key that goes into the roster. `node.key` is for Flower's SuperNode; the identity key stays with the device.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from commandline import run_command
from device_home import DeviceHome, write_secret


def enrol(home: str) -> None:
    """Make a home, once, and print the public keys to hand over.

    Args:
        home: Folder of the device; made, readable by this user only.
    """
    identity = make_home(Path(home))
    print(f"Roster: {identity.hex()}")
    print(f"SuperNode: {Path(home) / 'node.pub'}")


def make_home(folder: Path) -> bytes:
    """Make a device's home with an identity key and a SuperNode key, and return the identity's public half."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "node.key").exists():
        key = ec.generate_private_key(ec.SECP384R1())
        plain = serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, plain)
        write_secret(folder / "node.key", secret)
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (folder / "node.pub").write_bytes(public + b"\n")
    return DeviceHome(folder).make_identity()


if __name__ == "__main__":
    sys.exit(run_command(enrol))
