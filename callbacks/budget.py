"""Charges every round before its sum exists, stops before the budget is exceeded, and leaves a privacy card."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from callbacks.conclusion import CARD, Spent, conclude, gather_facts, save_card, shout
from callbacks.noise import sample_rate
from federation.args import FederationArgs, PrivacyArgs
from federation.hooks import FederationCallback
from federation.privacy.accountant import Accountant, Epsilon, Release
from federation.privacy.card import TINY_COHORT, privacy_card
from federation.privacy.ledger import Ledger
from federation.update import RoundState


class PrivacyBudget(FederationCallback):
    """Keeps the ledger of a run, on rank 0; the first step of the pipeline, so that no sum is formed without it.

    Two figures each round: `released/epsilon_coins_secret` (hidden sampling only) and `released/epsilon_coins_known`;
    `released/epsilon` is the one the budget counts. Both say what the released adapters tell; that one machine holds
    all clients of a simulation is no part of them.

    Args:
        out_dir: Folder of the run; gets `privacy_ledger.jsonl` and `privacy_card.md`.
        privacy: Budget and delta.
        federation: Sampling.
        noise_multiplier: z, given or solved for.
        clients: Enrolled clients.

    Raises:
        ValueError: On fewer than 8 clients, unless that is allowed for, or a delta that some client could fill alone.
    """

    def __init__(
        self, out_dir: Path, privacy: PrivacyArgs, federation: FederationArgs, noise_multiplier: float, clients: int
    ) -> None:
        if clients < TINY_COHORT and not privacy.allow_tiny_cohort:
            raise ValueError(
                f"A private run needs at least {TINY_COHORT} clients. Got {clients}. Add clients, or use "
                "`--privacy.allow_tiny_cohort true`, which claims nothing against the server."
            )
        if not 0 < privacy.delta < 1 / clients:
            raise ValueError(f"`--privacy.delta` must be below one over {clients} clients. Got {privacy.delta}.")
        self.out_dir, self.privacy, self.sampling = out_dir, privacy, federation.sampling
        self.release = Release(noise_multiplier, sample_rate(federation))
        limits = [limit for limit in (privacy.max_epsilon, privacy.target_epsilon) if limit is not None]
        self.limit = min(limits, default=float("inf"))
        self.clients = clients

    @override
    def on_run_start(self, state: RoundState) -> None:
        if state.is_main:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            self.ledger = Ledger(self.out_dir / "privacy_ledger.jsonl", state.notes.get("ledger_head"))
            self.accountant = Accountant(self.privacy.delta, self.ledger.releases)
            if self.privacy.key_source == "seeded":
                shout("SEEDED KEYS: coins, noise and masks can be computed by anybody. This run protects nobody.")

    @override
    def on_round_start(self, state: RoundState) -> None:
        if not state.is_main:
            return
        state.attempt = self.ledger.next_attempt(state.index)
        cost = self._counted(self.release).value
        if cost > self.limit:
            state.stop = True
            shout(f"The budget is spent: round {state.index + 1} would cost {cost:.2f} of epsilon {self.limit:g}.")

    @override
    def on_release(self, state: RoundState) -> None:
        if state.is_main:
            self.ledger.charge(state.index, state.attempt, self.release.noise_multiplier, self.release.sample_rate)
            self.accountant.step(self.release.noise_multiplier, self.release.sample_rate)
            state.notes = {**state.notes, "ledger_head": self.ledger.head}

    @override
    def on_round_end(self, state: RoundState) -> None:
        if not state.is_main:
            return
        state.metrics["released/epsilon"] = self._counted().value
        state.metrics["released/epsilon_coins_known"] = self._with_known_coins().value
        if self.sampling != "visible":
            state.metrics["released/epsilon_coins_secret"] = self.accountant.epsilon().value

    @override
    def on_run_end(self, state: RoundState) -> None:
        if not state.is_main:
            return
        spent = Spent(
            rounds=len(self.ledger.entries),
            coins_secret=None if self.sampling == "visible" else self.accountant.epsilon(),
            coins_known=self._with_known_coins(),
        )
        facts = gather_facts(state, spent, self.release, self.privacy, self.sampling, self.clients)
        save_card(self.out_dir, privacy_card(facts))
        print(conclude(facts, self.out_dir / CARD), flush=True)

    def _counted(self, *further: Release) -> Epsilon:
        """Return the epsilon that the budget limits: with secret coins only where they are secret."""
        visible = self.sampling == "visible"
        return self._with_known_coins(*further) if visible else self.accountant.epsilon(*further)

    def _with_known_coins(self, *further: Release) -> Epsilon:
        return self.accountant.epsilon_with_known_coins(self.clients, *further)
