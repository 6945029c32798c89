"""The hooks of a round, in the order they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from federation.update import Aggregate, ClientUpdate, RoundState


class FederationCallback:
    """Base class of everything that happens between training and aggregation.

    A hook changes only the object it is handed. Pipeline stages (ISFA, clip, noise, mask) implement the client half
    in `on_client_update` or `on_cohort_ready` and the server half in `on_aggregate`; the server half runs in reverse
    order, so that what was applied last is undone first. Every hook runs on every device unless it says otherwise.

    Raises:
        TypeError: At class creation, if a subclass defines an `on_*` method that is no hook (a typo would otherwise
            be ignored silently).
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        known = {name for name in vars(FederationCallback) if name.startswith("on_")}
        unknown = sorted(name for name in vars(cls) if name.startswith("on_") and name not in known)
        if unknown:
            raise TypeError(
                f"{cls.__name__} defines {', '.join(unknown)}, which no round calls. Use one of {sorted(known)}."
            )

    def on_run_start(self, state: RoundState) -> None:
        """Before the first round of this process."""

    def on_round_start(self, state: RoundState) -> None:
        """Before any client trains; may shrink `state.clients` (visible sampling) or set `state.clip_norm`."""

    def on_step(self, state: RoundState, client: str, step: int, losses: dict[str, Tensor]) -> None:
        """After each optimizer step of a client, on the device that trains it; reading a loss waits for the device."""

    def on_client_update(self, state: RoundState, update: ClientUpdate) -> None:
        """When a client has trained: the client half of the pipeline, on the device that trained it."""

    def on_cohort_ready(self, state: RoundState, updates: list[ClientUpdate]) -> None:
        """When this device's clients all have updates: the stage that needs the others' public keys (masks).

        `delta` and `vector` are freed by then; what a stage needs of them it works out in `on_client_update`.
        """

    def on_release(self, state: RoundState) -> None:
        """Just before the sum is formed: the last moment to charge the budget, or to set `state.stop`."""

    def on_aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        """When the sum is there: the server half, called in reverse order."""

    def on_round_end(self, state: RoundState) -> None:
        """After the server step; `state.global_adapter` is the new one."""

    def on_run_end(self, state: RoundState) -> None:
        """After the last round, also when the budget stopped the run."""


@dataclass(frozen=True)
class Hooks:
    """All that is called in a round: the steps of the pipeline first, then the observers."""

    pipeline: Sequence[FederationCallback] = ()
    observers: Sequence[FederationCallback] = ()

    def call(self, hook: str, *args: object) -> None:
        """Call a hook of all, by its name."""
        for callback in [*self.pipeline, *self.observers]:
            getattr(callback, hook)(*args)

    def aggregate(self, state: RoundState, aggregate: Aggregate) -> None:
        """Take a sum through the server half: the pipeline from its last step to its first."""
        for callback in [*reversed(self.pipeline), *self.observers]:
            callback.on_aggregate(state, aggregate)
