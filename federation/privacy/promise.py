"""What a private run sets out to do; its ledger and its card hold what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from federation.args import PrivacyArgs, Sampling, SecurityArgs
from federation.privacy.accountant import Release
from federation.privacy.cohort_counts import TINY_COHORT, CohortCounts
from federation.privacy.survivors import effective_release


@dataclass(frozen=True)
class Promise:
    """The settings behind a claim of epsilon, checked.

    Raises:
        ValueError: On fewer than 8 clients, unless that is allowed for, or a delta that some client could fill alone.
    """

    cohort: CohortCounts
    """The enrolled clients, and how many of them may betray or fail."""
    release: Release
    """One round as planned."""
    sampling: Sampling
    privacy: PrivacyArgs
    security: SecurityArgs
    simulation: bool = True
    """Whether one machine plays all devices; then nothing protects anybody from its operator."""

    def __post_init__(self) -> None:
        clients = self.cohort.clients
        if clients < TINY_COHORT and not self.privacy.allow_tiny_cohort:
            raise ValueError(
                f"A private run needs at least {TINY_COHORT} clients. Got {clients}. Add clients, or use "
                "`--privacy.allow_tiny_cohort true`, which claims nothing against the server."
            )
        if not 0 < self.privacy.delta < 1 / clients:
            raise ValueError(f"`--privacy.delta` must be below one over {clients} clients. Got {self.privacy.delta}.")

    @property
    def limit(self) -> float:
        """Return the epsilon that no round may exceed, infinite where none was set."""
        limits = (self.privacy.max_epsilon, self.privacy.target_epsilon)
        return min((limit for limit in limits if limit is not None), default=float("inf"))

    @property
    def least_honest(self) -> int:
        """Return the fewest honest survivors that a round may count on: visible sampling may draw a single client."""
        return 1 if self.sampling == "visible" else self.cohort.honest

    @property
    def terms(self) -> dict[str, object]:
        """Return what every round of the run must have in common, by flag, for one card to hold of all of them."""
        privacy, security = self.privacy, self.security
        terms = {
            "--privacy.enabled": True,
            "--privacy.key_source": privacy.key_source,
            "--privacy.noise_multiplier": float(f"{self.release.noise_multiplier:.6g}"),
            "--federation.sampling": self.sampling,
            "--federation.sample_rate": self.release.sample_rate,
            "--security.adversary": security.adversary,
            "--security.colluding_share": security.colluding_share,
            "--security.dropout_share": security.dropout_share,
        }
        return terms | {"number of clients": self.cohort.clients} if self.simulation else terms

    def effective(self, drawn: int, survivors: int) -> Release:
        """Return one round as it is to be charged, where this many clients were asked and this many are in the sum.

        Hidden sampling asks everybody who is enrolled, and the noise was provisioned for all; visible sampling
        provisions for the clients it drew. A sum of nobody is charged as planned.
        """
        if survivors == 0:
            return self.release
        visible, security = self.sampling == "visible", self.security
        cohort = security.provision(drawn) if visible else self.cohort
        return effective_release(self.release, cohort, survivors)
