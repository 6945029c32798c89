"""The door of a device: a Unix socket on which whoever may connect is still taken for an attacker."""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore, Thread

from federation.deployment.frames import receive_frame, send_frame

LOGGER = logging.getLogger(__name__)

CREDENTIALS = struct.Struct("3i")
"""Process, user and group of the other side, as the kernel gives them (`SO_PEERCRED`)."""
MOST_CONNECTIONS = 4
READING_SECONDS = 30.0
LONGEST_PATH = 107
"""Bytes of the path of a Unix socket."""


class SocketService:
    """Answers frames on a Unix socket, each connection in a thread of its own, a few at a time.

    Code that a server ships runs on the other side, so it runs as another user and gets this socket and nothing else.
    The kernel says who connects; a user that is not allowed is turned away unread. Whatever is no order, or is refused,
    closes its connection with one line in the log.

    Args:
        path: Of the socket, mode 0660. Its folder is made with mode 0700, and 0710 where a group is given.
        answer: Gives the reply to a frame; its ValueError is a refusal.
        longest: Bytes of the longest frame.
        users: Who may connect, by user id.
        group: Group id of the socket and its folder, for a user that is not this one.
    """

    def __init__(
        self,
        path: Path,
        answer: Callable[[bytes], bytes],
        *,
        longest: int,
        users: Collection[int],
        group: int | None = None,
    ) -> None:
        self.path, self.answer, self.longest, self.users = path, answer, longest, frozenset(users)
        self._places = BoundedSemaphore(MOST_CONNECTIONS)
        self._listener = _listen(path, group)

    def serve(self) -> None:
        """Answer until `close` is called."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not self._places.acquire(blocking=False):
                LOGGER.warning("A connection is closed: %d are open already.", MOST_CONNECTIONS)
                connection.close()
                continue
            Thread(target=self._attend, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Close the door and remove the socket."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which a mere close leaves waiting
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _attend(self, connection: socket.socket) -> None:
        """Answer one connection's frames until it ends or does what it should not."""
        with connection:
            try:
                connection.settimeout(READING_SECONDS)
                demand_user(connection, self.users)
                while (order := receive_frame(connection, self.longest)) is not None:
                    send_frame(connection, self.answer(order))
            except (OSError, ValueError) as error:
                LOGGER.warning("A connection is closed: %s", " ".join(str(error).split()))
            except Exception as error:  # no text: it could hold what the other side must not see, nor the log
                LOGGER.warning("A connection is closed after an internal %s.", type(error).__name__)
            finally:
                self._places.release()


def demand_user(connection: socket.socket, users: Collection[int]) -> None:
    """Raise PermissionError unless the kernel says that an allowed user is on the other side."""
    _, user, _ = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    if user not in users:
        raise PermissionError(f"User {user} may not speak to this device. Allowed: {sorted(users)}.")


def bind_socket(path: Path) -> socket.socket:
    """Return a Unix socket that has taken a path over; raises OSError where the path cannot be one."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise OSError(
            f"A socket must be made at {path}. Got: {error}. Its path may have {LONGEST_PATH} bytes, and has "
            f"{len(os.fsencode(path))}."
        ) from None
    return listener


def _listen(path: Path, group: int | None) -> socket.socket:
    """Return the listening socket; no moment passes in which others than its owner could reach it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    listener = bind_socket(path)
    path.chmod(0o660)
    if group is not None:
        os.chown(path, -1, group)
        os.chown(path.parent, -1, group)
        path.parent.chmod(0o710)
    listener.listen(MOST_CONNECTIONS)
    return listener
