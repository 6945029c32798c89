"""The client half of the pipeline on a device: the same steps, in the same order, as in a simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from federation.args import ClippingArgs
from federation.deployment.broadcast import Broadcast
from federation.deployment.orders import Begin
from federation.hooks import FederationCallback
from federation.privacy.ledger import RELEASED_NOTE
from federation.secure_aggregation.masks import to_ring
from federation.update import ClientSignals, ClientUpdate, RoundState


class ClientHalf:
    """Turns what training left into the vector that is masked.

    Args:
        client: Its name.
        roster: Everybody's names: the noise is provisioned for all of them.
        pipeline: Sampling, ISFA, clip and noise, in the order of `pipeline.py::build_pipeline`.
        clipping: How the clip norm moves.
    """

    def __init__(
        self, client: str, roster: Sequence[str], pipeline: Sequence[FederationCallback], clipping: ClippingArgs
    ) -> None:
        self.client, self.roster, self.pipeline, self.clipping = client, tuple(roster), list(pipeline), clipping

    def check(self, begin: Begin) -> None:
        """Refuse terms under which no step of the pipeline could be taken, before anything is sent.

        Raises:
            ValueError: On a clip norm out of range or noise that cannot be split.
        """
        state = self.state(begin)
        for step in self.pipeline:
            step.on_run_start(state)

    def warm_up(self, size: int, clip_norm: float) -> None:
        """Encode zeros once: the table of the noise takes seconds, which must not show in the first round.

        Args:
            size: d.
            clip_norm: S, which the table depends on.
        """
        self.encode(Begin(0, 0, 0.0, Broadcast(clip_norm, "", torch.zeros(size))), None)

    def encode(self, begin: Begin, trained: ClientUpdate | None) -> np.ndarray:
        """Return the noised vector, uint32, shape (D,).

        Args:
            begin: The attempt.
            trained: None where training crashed or was late: then there is no data in the vector, and the same is
                done with it as with any other, so that nobody can tell.
        """
        state, update = self.state(begin), trained or self._nothing(begin)
        for step in self.pipeline:
            step.on_round_start(state)
        for step in self.pipeline:
            step.on_client_update(state, update)
        return to_ring(update.integers)

    def state(self, begin: Begin) -> RoundState:
        """Return the round as this device knows it."""
        return RoundState(
            index=begin.round,
            clients=self.roster,
            global_adapter=begin.broadcast.adapter,
            clip_norm=begin.broadcast.clip_norm,
            exchange=_refuse_exchange,
            attempt=begin.attempt,
            notes={RELEASED_NOTE: begin.broadcast.ledger_head},
            clipping=self.clipping,
        )

    def _nothing(self, begin: Begin) -> ClientUpdate:
        zeros = torch.zeros_like(begin.broadcast.adapter)
        return ClientUpdate(self.client, zeros, 0, ClientSignals(0.0, 0.0), contributes=False)


def _refuse_exchange(messages: dict[str, bytes]) -> dict[str, bytes]:
    raise RuntimeError("A device speaks to nobody but by the five messages. Got a step that exchanges others.")
