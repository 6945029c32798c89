"""Charges every round before its sum exists, stops before the budget is exceeded, and leaves a privacy card."""

from __future__ import annotations

import sys
from pathlib import Path

from typing_extensions import override

from federation.args import FederationArgs, PrivacyArgs
from federation.hooks import FederationCallback
from federation.privacy.accountant import COIN_FAILURE_SHARE, Accountant, Epsilon, Release, participation_bound
from federation.privacy.card import TINY_COHORT, PrivacyFacts, no_privacy_card, privacy_card
from federation.privacy.ledger import Ledger
from federation.privacy.planning import plan_noise, smallest_population, solve_noise_multiplier
from federation.privacy.sensitivity import Grid
from federation.update import RoundState

TARGET = 8.0
"""The epsilon for which the card says how many clients it would take."""


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
        facts = self._facts(state)
        path = self.out_dir / "privacy_card.md"
        path.write_text(privacy_card(facts))
        print(self._conclusion(facts, path), flush=True)

    def _counted(self, *further: Release) -> Epsilon:
        """Return the epsilon that the budget limits: with secret coins only where they are secret."""
        visible = self.sampling == "visible"
        return self._with_known_coins(*further) if visible else self.accountant.epsilon(*further)

    def _with_known_coins(self, *further: Release) -> Epsilon:
        return self.accountant.epsilon_with_known_coins(self.clients, *further)

    def _facts(self, state: RoundState) -> PrivacyFacts:
        dimension, clients, rounds = state.global_adapter.numel() + 1, self.clients, len(self.ledger.entries)
        z, q = self.release.noise_multiplier, self.release.sample_rate
        plan = plan_noise(z, Grid(state.clip_norm, dimension), clients)
        asked = rounds > 0 and self.sampling != "visible"
        return PrivacyFacts(
            clients=clients,
            colluders=plan.colluders,
            honest=plan.honest,
            clip_norm=state.clip_norm,
            dimension=dimension,
            noise_multiplier=z,
            sampling=self.sampling,
            sample_rate=q,
            rounds=rounds,
            delta=self.privacy.delta,
            coins_secret=None if self.sampling == "visible" else self.accountant.epsilon(),
            coins_known=self._with_known_coins(),
            key_source=self.privacy.key_source,
            target_epsilon=TARGET,
            target_population=smallest_population(z, q, rounds, self.privacy.delta, clients, TARGET) if asked else None,
        )

    def _conclusion(self, facts: PrivacyFacts, path: Path) -> str:
        lines = [
            f"Privacy: {facts.rounds} rounds with {facts.clients} clients spent epsilon {self._counted().value:.2f} "
            f"(coins known: {facts.coins_known.value:.2f}) at delta {facts.delta:g}, "
            f"noise multiplier {facts.noise_multiplier:.3g}, {facts.dimension:,} coordinates."
        ]
        if facts.target_population is not None:
            too_few = facts.target_population > facts.clients
            start = f"{facts.clients} clients cannot buy a small epsilon: the" if too_few else "The"
            least = facts.target_population
            lines.append(f"{start} same noise in the mean costs epsilon <= {TARGET:g} from {least} clients on.")
        if facts.key_source == "seeded":
            lines.append("The keys were seeded, so this run protects nobody.")
        return "\n".join([*lines, f"This was a simulation on one machine. The whole card: {path}"])


def sample_rate(federation: FederationArgs) -> float:
    """Return the probability that a client's data is in a round."""
    return 1.0 if federation.sampling == "all" else federation.sample_rate


def choose_noise(privacy: PrivacyArgs, federation: FederationArgs, clients: int) -> float:
    """Return the noise multiplier: the one given, or the least that keeps all rounds within the target.

    Where coins are visible, every round a client may take part in counts in full.
    """
    if privacy.target_epsilon is None:
        return privacy.noise_multiplier
    rate, rounds, delta = sample_rate(federation), federation.rounds, privacy.delta
    if federation.sampling == "visible":
        reserve = COIN_FAILURE_SHARE * delta
        rounds = max(1, participation_bound(rounds, rate, clients, reserve))
        rate, delta = 1.0, delta - reserve
    return solve_noise_multiplier(privacy.target_epsilon, delta, rate, rounds)


class PrivacyOff(FederationCallback):
    """Says loudly, at both ends of a run and on its card, that nothing is protected."""

    def __init__(self, out_dir: Path) -> None:
        self.out_dir = out_dir

    @override
    def on_run_start(self, state: RoundState) -> None:
        if state.is_main:
            shout("PRIVACY IS OFF: updates are neither clipped, noised nor masked. No epsilon holds.")

    @override
    def on_run_end(self, state: RoundState) -> None:
        if state.is_main:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            (self.out_dir / "privacy_card.md").write_text(no_privacy_card())
            shout("PRIVACY WAS OFF: whoever adds up the updates has seen each of them.")


def shout(text: str) -> None:
    """Print to stderr so that it is not overlooked."""
    print(f"\n*** {text} ***\n", file=sys.stderr, flush=True)
