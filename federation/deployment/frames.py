"""Frames on a Unix socket: each follows its length, and one that is longer than any that is due is not read."""

from __future__ import annotations

import socket
import struct

LENGTH = struct.Struct(">I")


class FrameError(ValueError):
    """The other side of a socket breaks the format, or ends in the middle of a frame."""


def send_frame(connection: socket.socket, content: bytes) -> None:
    """Send one frame; raises FrameError if it is longer than its length can tell, 4 GiB."""
    if len(content) >= 1 << 8 * LENGTH.size:
        raise FrameError(
            f"A frame has fewer than 4 GiB. Got {len(content):,} bytes: fewer devices, or a smaller adapter."
        )
    connection.sendall(LENGTH.pack(len(content)) + content)


def receive_frame(connection: socket.socket, longest: int) -> bytes | None:
    """Return the next frame, None where the other side has ended between two.

    Raises:
        FrameError: On a frame that is empty, longer than `longest` bytes, or cut off; its bytes are not read.
        TimeoutError: If the socket has a timeout and it is over.
    """
    head = _receive(connection, LENGTH.size)
    if not head:
        return None
    (length,) = LENGTH.unpack(head) if len(head) == LENGTH.size else (0,)
    if not 0 < length <= longest:
        raise FrameError(f"A frame has between 1 and {longest} bytes. Got a head of {length}.")
    content = _receive(connection, length)
    if len(content) != length:
        raise FrameError(f"A frame of {length} bytes was begun. Got {len(content)} of them.")
    return content


def _receive(connection: socket.socket, length: int) -> bytes:
    """Return that many bytes, or fewer where the other side ends."""
    parts, left = [], length
    while left and (part := connection.recv(min(left, 1 << 16))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
