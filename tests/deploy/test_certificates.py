from __future__ import annotations

import socket
import ssl
import stat
import threading

import pytest

from deploy.certificates import make_certificates


def shake_hands(folder, trusted, name="localhost"):
    """Open a TLS connection with a server of these certificates, inside this process."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    client = ssl.create_default_context(cafile=trusted / "ca.crt")
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default
    one, other = socket.socketpair()

    def serve():
        try:
            server.wrap_socket(one, server_side=True).close()
        except (ssl.SSLError, OSError):
            one.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(other, server_hostname=name).close()
    finally:
        other.close()
        thread.join(10)


def test_devices_that_trust_the_authority_trust_the_server(tmp_path):
    make_certificates(str(tmp_path))
    shake_hands(tmp_path, tmp_path)
    shake_hands(tmp_path, tmp_path, "127.0.0.1")


@pytest.mark.parametrize("fault", ["expired", "another authority", "another name"])
def test_anybody_else_is_refused(tmp_path, fault):
    make_certificates(str(tmp_path / "a"), days=0 if fault == "expired" else 1)
    make_certificates(str(tmp_path / "b"))
    trusted = tmp_path / ("b" if fault == "another authority" else "a")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path / "a", trusted, "server.example" if fault == "another name" else "localhost")


def test_keys_are_their_users_alone_and_never_written_over(tmp_path):
    make_certificates(str(tmp_path))
    assert all(stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 for name in ("ca.key", "server.key"))
    with pytest.raises(ValueError, match="must hold no certificates"):
        make_certificates(str(tmp_path))
