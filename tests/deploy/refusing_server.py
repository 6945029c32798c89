"""A server on loopback with a certificate that nobody should trust."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def refused_server(certificates: Path) -> Iterator[tuple[int, threading.Semaphore]]:
    """Yield the port of a TLS server, and a count of the clients who turned away when they saw its certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    listener, refusals = socket.create_server(("127.0.0.1", 0)), threading.Semaphore(0)
    thread = threading.Thread(target=_serve, args=(listener, context, refusals))
    thread.start()
    try:
        yield listener.getsockname()[1], refusals
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        listener.close()
        thread.join(30)


def _serve(listener: socket.socket, context: ssl.SSLContext, refusals: threading.Semaphore) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.settimeout(10)
            try:
                context.wrap_socket(connection, server_side=True).close()
            except ssl.SSLError as error:
                if "ALERT" in str(error).upper():
                    refusals.release()
            except OSError:
                connection.close()
