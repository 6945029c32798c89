"""What a device needs of whatever trains on it, and the bytes in which the trainer hands over what it learned."""

from __future__ import annotations

import struct
from typing import Protocol

import numpy as np
import torch

from federation.deployment.orders import Begin
from federation.update import ClientSignals, ClientUpdate

NUMBERS = struct.Struct(">II?Idd")
"""Round, attempt, whether training succeeded, training frames, both scores."""


class Trainer(Protocol):
    """Trains beside the protocol; whatever becomes of it, the device masks and answers on time."""

    def start(self, begin: Begin) -> None:
        """Begin to train for an attempt and return at once; training for another round ends."""

    def take(self, begin: Begin) -> ClientUpdate | None:
        """Return what training left for this attempt, None if it crashed or is not done; does not wait."""


def encode_update(begin: Begin, update: ClientUpdate) -> bytes:
    """Return what a trainer hands over to the device's front; it never leaves the device."""
    signals = update.signals
    numbers = (*begin.position, update.contributes, update.num_examples, signals.identity, signals.stability)
    return NUMBERS.pack(*numbers) + update.delta.numpy(force=True).tobytes()


def decode_update(content: bytes, client: str, begin: Begin) -> ClientUpdate | None:
    """Return the update that `encode_update` wrote, None if it is of another attempt."""
    index, attempt, succeeded, examples, identity, stability = NUMBERS.unpack_from(content)
    if (index, attempt) != begin.position:
        return None
    delta = torch.from_numpy(np.frombuffer(content, np.float32, offset=NUMBERS.size).copy())
    return ClientUpdate(client, delta, examples, ClientSignals(identity, stability), contributes=succeeded)
