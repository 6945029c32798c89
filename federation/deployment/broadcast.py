"""What all clients are given alike, and their masks depend on: clip norm, ledger head, global adapter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from federation.secure_aggregation.errors import MalformedMessageError

HEAD_CHARACTERS = 64
"""Of a ledger's head in hexadecimal; a run without a ledger has none."""
LONGEST_NUMBER = 32


@dataclass(frozen=True)
class Broadcast:
    """The three things a client may not be given another of than the rest.

    A client with another adapter has masks that do not cancel, so its update stays hidden (Pasquini et al. 2022,
    arXiv 2111.07380; spec part 6.20).
    """

    clip_norm: float
    """S."""
    ledger_head: str
    """Of the server's ledger, hexadecimal; empty where there is none."""
    adapter: Tensor
    """The global adapter, float32, shape (d,)."""

    def encode(self) -> bytes:
        """Return the bytes that are sent and hashed."""
        return f"{self.clip_norm!r}|{self.ledger_head}|".encode() + self.adapter.numpy(force=True).tobytes()

    @classmethod
    def decode(cls, content: bytes, size: int) -> Broadcast:
        """Parse what a server sent; there is one way to write each broadcast.

        Args:
            content: Hostile until this returns.
            size: d.

        Raises:
            MalformedMessageError: On another length, another spelling, or numbers that are not finite.
        """
        numbers, _, values = content.partition(b"|")
        head, separator, values = values.partition(b"|")
        expected = 4 * size
        if len(numbers) > LONGEST_NUMBER or len(head) not in (0, HEAD_CHARACTERS) or len(values) != expected:
            raise MalformedMessageError(f"A broadcast has an adapter of {expected} bytes. Got {len(values)}.")
        try:
            clip_norm, text = float(numbers), head.decode("ascii")
            int(text or "0", 16)
        except ValueError:
            raise MalformedMessageError("A broadcast begins with a clip norm and a hash. This one does not.") from None
        adapter = np.frombuffer(values, np.float32).copy()
        finite = np.isfinite(clip_norm) and np.isfinite(adapter).all()
        if repr(clip_norm).encode() != numbers or not separator or not finite:
            raise MalformedMessageError("A broadcast holds finite numbers in their one spelling. This one does not.")
        return cls(clip_norm, text, torch.from_numpy(adapter))
