"""Whom processes listen to and speak with, as the kernel has it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TABLES = ("tcp", "tcp6", "udp", "udp6")
LOOPBACK = {"0100007F", "0" * 24 + "01000000", "0" * 16 + "FFFF00000100007F"}
"""127.0.0.1, ::1 and the former as an IPv6 address, in the kernel's notation."""
NOBODY = {"0" * 8, "0" * 32}
"""The other side of a socket that listens; as its own side, every address of the machine."""


def addresses(processes: Iterable[int]) -> tuple[set[str], set[str]]:
    """Return the addresses of the processes' internet sockets, and those of the other sides."""
    sockets, own, others = set(), set(), set()
    for number in processes:
        for link in Path(f"/proc/{number}/fd").glob("*"):
            with suppress(OSError):  # it has ended, or closed it
                sockets.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    for table in TABLES:
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in sockets:
                own.add(fields[1].partition(":")[0])
                others.add(fields[2].partition(":")[0])
    return own, others
