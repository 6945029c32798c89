"""Makes the certificates of a SuperLink: `python -m deploy.certificates --folder DIR --hosts '["federation.example"]'`.

The authority signs one server certificate; devices are given `ca.crt` alone. Keep `ca.key` offline.
"""

from __future__ import annotations

import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from commandline import run_command
from device_home import write_secret

LOOPBACK = ["localhost", "127.0.0.1"]

SIGNS_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def make_certificates(folder: str, hosts: list[str] | None = None, days: int = 365) -> None:
    """Write ca.key, ca.crt, server.key and server.pem.

    Args:
        folder: Made if missing; must hold none of them.
        hosts: Names and addresses under which devices reach the server; loopback if not given.
        days: How long they are valid.
    """
    place = Path(folder)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (place / "ca.key").exists():
        raise ValueError(f"`--folder` must hold no certificates. Got {folder}. Name another.")
    authority, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    names = [_host(host) for host in hosts or LOOPBACK]
    constraints = [x509.BasicConstraints(True, 0), SIGNS_ONLY]
    root = _certificate("PrivFedTalk authority", authority, authority, days, constraints)
    leaf = _certificate("PrivFedTalk server", key, authority, days, [x509.SubjectAlternativeName(names)])
    for name, secret in (("ca.key", authority), ("server.key", key)):
        write_secret(place / name, private_bytes(secret))
    (place / "ca.crt").write_bytes(root)
    (place / "server.pem").write_bytes(leaf)


def private_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key in the form that OpenSSL and Flower read."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: ec.EllipticCurvePrivateKey,
    days: int,
    extensions: list[x509.ExtensionType],
) -> bytes:
    """Return a certificate of one key, signed by the authority's.

    It has the extensions that RFC 5280 asks for: Python 3.13 checks for them where earlier ones did not.
    """
    now = datetime.now(UTC)
    extensions = [
        *extensions,
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PrivFedTalk authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
    )
    for extension in extensions:
        critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(authority, hashes.SHA384()).public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    sys.exit(run_command(make_certificates))
