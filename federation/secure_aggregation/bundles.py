"""Messages of one kind for several rounds, one after another: how the set-up of an epoch travels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from federation.secure_aggregation.errors import MalformedMessageError


def bundle(messages: Iterable[bytes]) -> bytes:
    """Join messages of one client and one kind, which are all of the same length."""
    return b"".join(messages)


def bundle_by_client(rounds: Iterable[Mapping[int, bytes]]) -> dict[int, bytes]:
    """Return what each client is sent for all rounds; in every round the clients are the same."""
    rounds = list(rounds)
    return {client: bundle(messages[client] for messages in rounds) for client in rounds[0]}


def unbundle(content: bytes, count: int) -> list[bytes]:
    """Return the messages of a bundle; what they are is still to be checked.

    Raises:
        MalformedMessageError: If the length is no multiple of their number.
    """
    length, rest = divmod(len(content), count)
    if rest:
        raise MalformedMessageError(f"A bundle has {count} messages of one length. Got {len(content)} bytes.")
    return [content[length * place : length * (place + 1)] for place in range(count)]
