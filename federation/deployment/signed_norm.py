"""The clip norm of every round as a device works it out: what was signed, moved by what was released."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from federation.args import ClippingArgs
from federation.deployment.broadcast import Broadcast
from federation.privacy.clip_norm import replay_clip_norm
from federation.secure_aggregation.errors import ContextMismatchError

TOLERANCE = 1e-9
"""Of S, relative: exponentials differ in their last bits from one machine to the next."""


@dataclass
class SignedNorm:
    """Refuses a clip norm that does not follow from the signed rule and the released steps.

    A device that was away replays the rounds it missed. The steps are bound in the context of every attempt, so all
    clients of a round replay the same ones; what this process has once accepted can only be added to. That the steps
    are those of the released sums is not checked: a server that invents them still moves S by the signed rule, within
    the signed range, and privacy does not depend on S. Nor is it checked how many clients were in a sum, which may be
    of an earlier roster.
    """

    first: float
    """S of the first round, signed."""
    clipping: ClippingArgs
    """The signed rule."""
    contributing: float = 1.0
    """Probability that a client in a sum has data in it."""
    _accepted: tuple[tuple[float, int], ...] = field(default=(), init=False)

    def demand(self, round: int, broadcast: Broadcast) -> None:
        """Raise ContextMismatchError unless a round's clip norm is the one that follows."""
        steps = broadcast.clip_steps
        due = round if self.clipping.adaptive else 0
        if len(steps) != due:
            raise ContextMismatchError(
                f"The clip norm of round {round + 1} follows from {due} steps. Got {len(steps)}."
            )
        shared = min(len(steps), len(self._accepted))
        if steps[:shared] != self._accepted[:shared] or not all(n > 0 for _, n in steps):
            raise ContextMismatchError("The steps of the clip norm must be those that were released. Got others.")
        expected = replay_clip_norm(self.first, steps, self.contributing, self.clipping)
        if not math.isclose(broadcast.clip_norm, expected, rel_tol=TOLERANCE if steps else 0.0):
            raise ContextMismatchError(
                f"The clip norm must be the one that follows from what was signed, {expected}. Got "
                f"{broadcast.clip_norm}."
            )

    def accept(self, broadcast: Broadcast) -> None:
        """Hold all later steps to those of an attempt that has begun; one that is refused leaves nothing behind."""
        self._accepted = max(broadcast.clip_steps, self._accepted, key=len)
