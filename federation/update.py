"""What travels through a round: one client's update, and the cohort's aggregate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from federation.args import ClippingArgs
from federation.privacy.clip_norm import clip_grid
from federation.privacy.sensitivity import Grid

Exchange = Callable[[dict[str, bytes]], dict[str, bytes]]
LoadAdapters = Callable[[str | None], None]


@dataclass(frozen=True)
class ClientSignals:
    """What ISFA scores a client by, measured on the client's own clips; it never leaves the device in the clear."""

    identity: float
    """How well generated frames keep the person, in [0, 1] (PrivFedTalk, ID_k)."""
    stability: float
    """How steady generated frames are in time, in [0, 1] (PrivFedTalk, TS_k)."""


@dataclass
class ClientUpdate:
    """One client's update on its way through the client half of the pipeline.

    The stages fill the fields in order: ISFA sets `vector`, the clip sets `integers`, the noise adds to them, the mask
    sets `wire`. Only `wire` may leave the device.
    """

    client: str
    delta: Tensor
    """Local minus global adapter, float32, shape (d,)."""
    num_examples: int
    """Training frames of the client."""
    signals: ClientSignals
    contributes: bool = True
    """False where the client's secret coin kept its data out of this round (hidden sampling), or training failed."""
    vector: np.ndarray | None = None
    """[weight * delta, beta * weight], float64, shape (d + 1,)."""
    integers: np.ndarray | None = None
    """The vector, with the clip bit if the clip norm adapts, on the integer grid, int64, shape (D,)."""
    wire: np.ndarray | None = None
    """What is sent: uint32 residues when masked, shape (D,); float64, shape (d + 1,), when privacy is off."""
    seconds: float = 0.0
    """Training time on the device."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What the device sees of itself (loss, norm, clip, score); logged as `local/*`, never sent."""

    def free_vectors(self) -> None:
        """Free the plain vectors when they are encoded or added up: a device may hold the updates of many clients."""
        self.delta, self.vector = self.delta.new_empty(0), None


@dataclass
class Aggregate:
    """The cohort's sum on its way through the server half of the pipeline, in reverse order of the client half.

    The mask (elsewhere, the cohort) sets `integers`, the noise `noise`, the clip `vector`, ISFA `direction`. Without
    privacy there is only `vector`, from the start.
    """

    wire: np.ndarray
    """Sum of the clients' `wire`: uint32 residues mod 2^32, shape (D,), or float64, (d + 1,), when privacy is off."""
    num_clients: int
    """Clients whose `wire` is in the sum."""
    integers: np.ndarray | None = None
    """The unmasked sum on the integer grid, noise included, int64, shape (D,); None when privacy is off."""
    vector: np.ndarray | None = None
    """The decoded sum of [weight * delta, beta * weight], float64, shape (d + 1,)."""
    noise: float = 0.0
    """Standard deviation of the noise in each coordinate of the decoded sum; public."""
    direction: Tensor | None = None
    """The weighted mean update, float32, shape (d,)."""


@dataclass
class RoundState:
    """All that a hook may know of the current round."""

    index: int
    """Round number, from 0."""
    clients: tuple[str, ...]
    """The cohort: everyone who sends a vector this round, in roster order. Empty is a normal round. Where devices
    differ after `on_round_start`, rank 0's cohort, clip norm, attempt and notes hold."""
    global_adapter: Tensor
    """The shared adapter the round starts from, float32, shape (d,)."""
    clip_norm: float
    """S, the L2 bound on one client's [weight * delta, beta * weight]."""
    exchange: Exchange
    """Gives this device's public messages, keyed by client, to every device; returns everybody's."""
    is_main: bool = True
    """Whether this process writes files and logs (rank 0)."""
    next_clip_norm: float | None = None
    """S of the next round, where this one's sum has moved it; None: it stays."""
    survivors: tuple[str, ...] | None = None
    """The clients whose vectors are in the sum, where some may have dropped out; None: the whole cohort."""
    attempt: int = 0
    """Strictly increasing when a round is tried again; fresh keys, coins and noise each time."""
    stop: bool = False
    """Set by a hook (the budget) on any device: end the run before this round's sum is formed. Set in
    `on_round_start`, it spares the training, too."""
    metrics: dict[str, float] = field(default_factory=dict)
    """`released/*`: functions of the unmasked sum and of public people. `local/*`: a device's view of itself."""

    masked: bool = True
    """Whether `wire` holds uint32 residues; False: plain float64 vectors, and the run claims nothing."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What hooks carry from round to round and over a resume (JSON values); rank 0's hold on every device. What a round
    sets after its commit, in `on_round_end`, is saved with the next round."""
    load_adapters: LoadAdapters | None = None
    """Puts `global_adapter` and, given a client, that client's personal adapter into this device's module."""
    clipping: ClippingArgs = field(default_factory=ClippingArgs)
    """How the clip norm moves; the same on every device."""

    @property
    def clip_norm_after(self) -> float:
        """Return S of the next round."""
        return self.clip_norm if self.next_clip_norm is None else self.next_clip_norm

    @property
    def grid(self) -> Grid:
        """Return the integer grid of this round, the same for every client."""
        return clip_grid(self.clip_norm, self.global_adapter.numel() + 1, self.clipping)

    @property
    def wire_size(self) -> int:
        """Return the length D of what a client sends: d + 1, and one for the clip bit, which only privacy has."""
        return self.global_adapter.numel() + 1 + (self.masked and self.clipping.adaptive)

    @property
    def wire_dtype(self) -> torch.dtype:
        """What devices add up: int64 holds sums of uint32 residues exactly; a device without a client adds zeros."""
        return torch.int64 if self.masked else torch.float64
