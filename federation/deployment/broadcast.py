"""What every client is given the same: clip norm and its steps, ledger head, global adapter; masks depend on it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import starmap

import numpy as np
import torch
from torch import Tensor

from federation.secure_aggregation.errors import MalformedMessageError

HEAD_CHARACTERS = 64
"""Of a ledger's head in hexadecimal; a run without a ledger has none."""
LONGEST_NUMBER = 32
STEP = struct.Struct(">dI")
"""Of a moving clip norm: the noisy sum of a round's clip bits, and the clients in it."""
STEP_CHARACTERS = 2 * STEP.size


@dataclass(frozen=True)
class Broadcast:
    """What must be the same for every client.

    A client with another adapter has masks that do not cancel, so its update stays hidden (Pasquini et al. 2022,
    arXiv 2111.07380).
    """

    clip_norm: float
    """S."""
    ledger_head: str
    """Of the server's ledger at its last release, hexadecimal; empty where there is none."""
    adapter: Tensor
    """The global adapter, float32, shape (d,)."""
    clip_steps: tuple[tuple[float, int], ...] = ()
    """What moved S in the rounds so far, as released; empty where it stands still."""

    def encode(self) -> bytes:
        """Return the bytes that are sent and hashed."""
        steps = b"".join(starmap(STEP.pack, self.clip_steps)).hex()
        head = f"{self.clip_norm!r}|{self.ledger_head}|{steps}|"
        return head.encode() + self.adapter.numpy(force=True).tobytes()

    @classmethod
    def decode(cls, content: bytes, size: int) -> Broadcast:
        """Parse what a server sent; there is one way to write each broadcast.

        Args:
            content: Hostile until this returns.
            size: d.

        Raises:
            MalformedMessageError: On another length, another spelling, or numbers that are not finite.
        """
        numbers, head, steps, values = [*content.split(b"|", 3), b"", b"", b""][:4]
        if len(numbers) > LONGEST_NUMBER or len(head) not in (0, HEAD_CHARACTERS) or len(values) != 4 * size:
            raise MalformedMessageError(f"A broadcast has an adapter of {4 * size} bytes. Got {len(values)}.")
        try:
            moved = tuple(STEP.iter_unpack(bytes.fromhex(steps.decode("ascii"))))
            adapter = torch.from_numpy(np.frombuffer(values, np.float32).copy())
            broadcast = cls(float(numbers), head.decode("ascii"), adapter, moved)
            int(broadcast.ledger_head or "0", 16)
        except (ValueError, struct.error):
            raise MalformedMessageError(
                "A broadcast begins with a clip norm, a hash and steps. This one does not."
            ) from None
        finite = np.isfinite([broadcast.clip_norm, *(bits for bits, _ in moved)]).all() and adapter.isfinite().all()
        if not finite or broadcast.encode() != content:
            raise MalformedMessageError("A broadcast holds finite numbers in their one spelling. This one does not.")
        return broadcast
