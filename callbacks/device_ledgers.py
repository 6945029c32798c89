"""Every client keeps its own ledger and refuses for itself; a simulation plays all of their devices."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

from typing_extensions import override

from callbacks.shouting import shout
from federation.hooks import FederationCallback
from federation.privacy.device_ledger import Answer, DeviceLedger, device_ledger_path
from federation.privacy.ledger import RELEASED_NOTE
from federation.privacy.owner import OwnerLimits, OwnerRefusalError, SessionTerms
from federation.privacy.promise import Promise
from federation.update import RoundState

DATA_SET = "clips"
"""Data-set name shared by all simulated owners; budgets are counted per name."""


class DeviceLedgers(FederationCallback):
    """Keeps a ledger for each (person, data set), on rank 0; it comes after the budget and the sampling.

    A client whose owner allows no more is left out of the round before anything is sent; no refusal depends on data
    or coins. With too few clients left, the run stops. A device would keep one such file where no server can write.

    Args:
        folder: Of the ledgers. One folder for many runs makes budgets go on across them.
        promise: What the run sets out to do.
        terms: What it asks of the devices.
        limits: What each owner allows; the default refuses nothing that a simulation needs, and only counts.
    """

    def __init__(self, folder: Path, promise: Promise, terms: SessionTerms, limits: OwnerLimits | None = None) -> None:
        self.folder, self.promise, self.terms = folder, promise, terms
        self.limits = limits or OwnerLimits(delta=promise.privacy.delta, seeded_keys=True, visible_sampling=True)
        self.session = secrets.token_hex(32)
        self.head = ""
        self.ledgers: dict[str, DeviceLedger] = {}

    @override
    def on_run_start(self, state: RoundState) -> None:
        """Show the owners' limits what the run asks for, and open the ledgers.

        Raises:
            OwnerRefusalError: If the run goes beyond the limits.
        """
        self.limits.demand(self.terms)
        if state.is_main:
            self.ledgers = {
                client: DeviceLedger(
                    device_ledger_path(self.folder, client, DATA_SET), self.limits.epsilon, self.limits.delta
                )
                for client in state.clients
            }

    @override
    def on_round_start(self, state: RoundState) -> None:
        """Leave out whoever refuses; everybody else keeps room for this attempt."""
        if not state.is_main or state.stop:
            return
        willing = tuple(self._willing(state))
        if missing := len(state.clients) - len(willing):
            shout(f"{missing} of {len(state.clients)} devices refuse round {state.index + 1}: their owners' budgets.")
        state.clients = willing
        if self.promise.sampling != "visible":  # which draws a smaller cohort, or none, and provisions for that
            state.stop = len(willing) < self.promise.cohort.least_survivors

    @override
    def on_release(self, state: RoundState) -> None:
        """Charge every client whose vector is about to be in a sum."""
        if state.is_main and not state.stop:
            for client in state.clients:
                self.ledgers[client].charge(self._answer(state))

    def _willing(self, state: RoundState) -> Iterator[str]:
        self.head = str(state.notes.get(RELEASED_NOTE, ""))
        for client in state.clients:
            try:
                self.ledgers[client].reserve(self._answer(state))
            except OwnerRefusalError:
                continue
            yield client

    def _answer(self, state: RoundState) -> Answer:
        """Return what one client gives away: where everybody sees that it takes part, its coin counts as known."""
        clients = len(state.clients)
        release = self.promise.effective(drawn=clients, survivors=clients)
        rate = 1.0 if self.promise.sampling == "visible" else release.sample_rate
        adversary = self.promise.security.adversary
        return Answer(self.session, state.index, state.attempt, release.noise_multiplier, rate, self.head, adversary)
