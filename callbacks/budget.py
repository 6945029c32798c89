"""Charges every round before its sum exists, stops before the budget is exceeded, and keeps the privacy card."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from callbacks.kept_terms import keep_terms
from callbacks.shouting import shout
from federation.agreed_settings import AgreedSettings
from federation.hooks import FederationCallback
from federation.privacy.accountant import Release, epsilon_after, epsilon_with_known_coins
from federation.privacy.card import CARD, PrivacyFacts, privacy_card
from federation.privacy.composition import Epsilon
from federation.privacy.drowning import demand_signal
from federation.privacy.ledger import HEAD_NOTE, LEDGER, RELEASED_NOTE, Ledger
from federation.privacy.promise import Promise
from federation.privacy.summary import Spent, conclude, gather_facts
from federation.privacy.total_delta import total_delta
from federation.update import RoundState
from whole_files import save_text


class PrivacyBudget(FederationCallback):
    """Keeps the ledger of a run, on rank 0; the first step of the pipeline, so that no sum is formed without it.

    Two figures each round: `released/epsilon_coins_secret` (hidden sampling only) and `released/epsilon_coins_known`;
    `released/epsilon` is the one the budget counts. Both are about what the released adapters tell. That one machine
    holds all clients of a simulation is not counted.

    Args:
        out_dir: Folder of the run; gets `privacy_ledger.jsonl` and `privacy_card.md`.
        agreed: Budget and delta, the rounds they must last for, sampling, and who may betray or fail.
        clients: How many are enrolled.
        simulation: Whether this machine plays all devices.

    Raises:
        ValueError: On fewer than 8 clients, unless that is allowed for, or a delta that some client could fill alone.
    """

    def __init__(self, out_dir: Path, agreed: AgreedSettings, clients: int, *, simulation: bool) -> None:
        federation, security = agreed.federation, agreed.security
        cohort = security.provision(clients)
        release = agreed.release(clients)
        self.promise = Promise(cohort, release, federation.sampling, agreed.privacy, security, simulation)
        self.out_dir = out_dir
        self.rounds = federation.rounds
        self.trains_denoiser = federation.trainable == "backbone"
        self.visible = federation.sampling == "visible"

    @override
    def on_run_start(self, state: RoundState) -> None:
        """Open the ledger.

        Raises:
            ValueError: If samplers and cryptography alone could use up delta, the rounds before had other terms, or a
                whole denoiser would drown in noise.
        """
        if self.trains_denoiser:
            demand_signal(self.promise, self.rounds, state.wire_size)
        keep_terms(state, self.promise.terms)
        total_delta(self.promise.privacy.delta, self.rounds, self.promise.cohort.clients, state.wire_size)
        if state.is_main:
            self.ledger = Ledger(self.out_dir / LEDGER, state.notes.get(HEAD_NOTE))
            if self.promise.privacy.key_source == "seeded":
                shout("SEEDED KEYS: coins, noise and masks can be computed by anybody. This run protects nobody.")

    @override
    def on_round_start(self, state: RoundState) -> None:
        if state.is_main and self._is_within(state, self.promise.release):
            state.attempt = self.ledger.begin(state.index)
            self._note_heads(state)

    @override
    def on_release(self, state: RoundState) -> None:
        """Charge, at the noise of those who survived, unless the attempts at this round have used up the budget.

        The card is written here, too: whatever ends the run, no sum is ever newer than what the card says it cost.
        """
        if not state.is_main:
            return
        survivors = len(state.clients if state.survivors is None else state.survivors)
        release = self.promise.effective(drawn=len(state.clients), survivors=survivors)
        if self._is_within(state, release):
            self.ledger.charge(
                state.index, state.attempt, release.noise_multiplier, release.sample_rate, survivors=survivors
            )
            self._note_heads(state)
            save_text(self.out_dir / CARD, privacy_card(self._facts(state, is_last=False)))

    @override
    def on_round_end(self, state: RoundState) -> None:
        if not state.is_main:
            return
        state.metrics["released/epsilon"] = self._counted().value
        state.metrics["released/epsilon_coins_known"] = self._with_known_coins().value
        if not self.visible:
            state.metrics["released/epsilon_coins_secret"] = self._with_secret_coins().value

    @override
    def on_run_end(self, state: RoundState) -> None:
        if not state.is_main:
            return
        facts = self._facts(state, is_last=True)
        save_text(self.out_dir / CARD, privacy_card(facts))
        print(conclude(facts, self.out_dir / CARD), flush=True)

    def _note_heads(self, state: RoundState) -> None:
        """Note where the ledger stands: for the next checkpoint, and for the devices."""
        state.notes = {**state.notes, HEAD_NOTE: self.ledger.head, RELEASED_NOTE: self.ledger.released}

    def _facts(self, state: RoundState, is_last: bool) -> PrivacyFacts:
        """Return what the card says of all that is charged so far."""
        secret = None if self.visible else self._with_secret_coins()
        spent = Spent(len(self.ledger.entries), secret, self._with_known_coins())
        return gather_facts(self.promise, spent, state.clip_norm_after, state.wire_size, is_last=is_last)

    def _is_within(self, state: RoundState, release: Release) -> bool:
        """Stop the run unless the budget has room for one more release."""
        cost, limit = self._counted(release).value, self.promise.limit
        if cost > limit:
            state.stop = True
            shout(f"The budget is spent: round {state.index + 1} would cost {cost:.2f} of epsilon {limit:g}.")
        return not state.stop

    def _counted(self, *further: Release) -> Epsilon:
        """Return the epsilon that the budget limits: with secret coins only where they are secret."""
        return self._with_known_coins(*further) if self.visible else self._with_secret_coins(*further)

    def _with_secret_coins(self, *further: Release) -> Epsilon:
        return epsilon_after([*self.ledger.releases, *further], self.promise.privacy.delta)

    def _with_known_coins(self, *further: Release) -> Epsilon:
        releases = [*self.ledger.releases, *further]
        return epsilon_with_known_coins(releases, self.promise.privacy.delta, self.promise.cohort.clients)
