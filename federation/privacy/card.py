"""The privacy card: what a run promises, to whom, at which price, and what it does not promise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from federation.args import Sampling
from federation.privacy.accountant import Epsilon
from federation.privacy.cohort_counts import TINY_COHORT, CohortCounts
from federation.privacy.noise_calibration import probability_of_no_contributor
from federation.privacy.total_delta import TotalDelta
from federation.secure_aggregation.thresholds import Adversary

CARD = "privacy_card.md"
"""In the folder of a run."""


@dataclass(frozen=True)
class PrivacyFacts:
    """Everything the card of a private run says."""

    cohort: CohortCounts
    """The enrolled clients, all of which mask and add noise (with `visible` sampling: that could be drawn)."""
    adversary: Adversary
    clip_norm: float
    dimension: int
    """D: coordinates of one client's vector."""
    noise_multiplier: float
    sampling: Sampling
    sample_rate: float
    rounds: int
    """Charged releases: rounds, and those that were tried again after the sum could be formed."""
    delta: TotalDelta
    coins_secret: Epsilon | None
    """None where the coins are no secret (`visible`)."""
    coins_known: Epsilon
    key_source: Literal["os", "seeded"]
    code_hash: str
    """Of the sources that ran; see `hash_sources`."""
    simulation: bool = True
    """One machine held every client's clips, coins and noise."""
    target_epsilon: float = 8.0
    target_population: int | None = None
    """N': the least number of clients at which the same noise in the mean meets the target; None: not asked."""


def privacy_card(facts: PrivacyFacts) -> str:
    """Return the card of a private run, Markdown."""
    lines = ["# Privacy card", "", *_warnings(facts), "## Guarantee", ""]
    lines += [f"| {name} | {value} |" for name, value in [("what", "value"), ("---", "---"), *_rows(facts)]]
    return "\n".join([*lines, "", *_population(facts), *_LIMITS]) + "\n"


def no_privacy_card() -> str:
    """Return the card of a run without the privacy pipeline, Markdown."""
    return (
        "# Privacy card\n\n"
        "**PRIVACY WAS OFF (`--privacy.enabled false`). No epsilon holds against anybody.** Updates were neither "
        "clipped, noised nor masked;\nwhoever adds them up saw each of them, and an update can be turned back into "
        "training clips.\n"
    )


def stated(epsilon: Epsilon) -> str:
    """Return an epsilon as it may be claimed, rounded up, with the accountant that computed it."""
    value = f"{math.ceil(epsilon.value * 100) / 100:.2f}" if math.isfinite(epsilon.value) else "infinite: no privacy"
    return f"{value} ({epsilon.method.upper()} accountant)"


def _warnings(facts: PrivacyFacts) -> list[str]:
    lines = []
    if facts.key_source == "seeded":
        lines += [
            "**SEEDED KEYS PROTECT NOBODY.** Keys, masks, coins and noise follow from a seed that anyone can try;",
            "the figures below are what the same run would spend with keys from the operating system.",
            "",
        ]
    if facts.simulation:
        lines += [
            "**Simulation: epsilon concerns only who sees the released adapters.** One machine held all clips, coins",
            "and noise; nothing here protects anybody from its operator.",
            "",
        ]
    if facts.cohort.clients < TINY_COHORT:
        lines += [
            f"**Tiny cohort.** With {facts.cohort.clients} clients (fewer than {TINY_COHORT}) nothing is claimed "
            "against the",
            "server, and no collusion is tolerated; epsilon is for outsiders.",
            "",
        ]
    return lines


def _rows(facts: PrivacyFacts) -> list[tuple[str, str]]:
    cohort, delta = facts.cohort, facts.delta
    nobody = probability_of_no_contributor(cohort.clients, facts.sample_rate)
    return [
        ("unit", "one client: all its clips"),
        ("adjacency", "zero-out: the client's data replaced by none, the client still masks and adds noise"),
        *_epsilons(facts),
        ("delta", f"{delta.delta:g}"),
        ("delta_total", f"delta + {delta.samplers:.0e} (samplers) + {delta.computational:.0e} (2^80 steps of attack)"),
        ("noise multiplier z", f"{facts.noise_multiplier:.6g} x S in the sum, from n_min honest survivors alone"),
        ("clip norm S", f"{facts.clip_norm:g}, over {facts.dimension:,} coordinates jointly"),
        ("sampling, rate q", f"{facts.sampling}, {facts.sample_rate:g}"),
        ("charged releases T", str(facts.rounds)),
        ("clients N", str(cohort.clients)),
        ("honest survivors counted on, n_min", f"{cohort.honest}; {_refusals(facts)}"),
        ("collusion bound c_max", f"{cohort.colluders} of {cohort.clients} clients may tell the server all they know"),
        ("server", _SERVERS[facts.adversary] if cohort.colluders else "nothing is claimed against it"),
        ("P(no contributor in a round)", f"{nobody:.2g}; such a round is released and charged like any other"),
        ("released", "the global adapter after every round"),
        ("keys, masks, coins, noise from", "the operating system" if facts.key_source == "os" else "A SEED"),
        ("code", f"SHA-256 {facts.code_hash}"),
    ]


def _refusals(facts: PrivacyFacts) -> str:
    if facts.sampling == "visible":
        return (
            "this and c_max are of a round that draws all; one that draws fewer counts on fewer by the same shares, "
            f"and with fewer than {TINY_COHORT} on no colluders: its masks then claim nothing against the server"
        )
    return "a round with fewer than n_min + c_max is refused"


def _epsilons(facts: PrivacyFacts) -> list[tuple[str, str]]:
    """Return the epsilons by what the adversary knows; where participation is visible there is only one."""
    if facts.coins_secret is None:
        return [("epsilon, coins known (everybody sees who takes part)", stated(facts.coins_known))]
    return [
        ("epsilon, coins secret", stated(facts.coins_secret)),
        ("epsilon, coins known", stated(facts.coins_known)),
    ]


def _population(facts: PrivacyFacts) -> list[str]:
    if facts.target_population is None:
        return []
    return [
        f"The same noise in the mean would cost epsilon <= {facts.target_epsilon:g} (coins secret; same q, T, delta)",
        f"from N' = **{facts.target_population} clients** on.",
        "",
    ]


_SERVERS = {
    "active": "may lie, drop, replay and show different clients different things",
    "honest_but_curious": "HONEST BUT CURIOUS: it follows the protocol; nothing is claimed against one that lies",
}
_LIMITS = (
    "## Not promised",
    "",
    "- Coins secret: for whoever never learns in which rounds a client's data was. Coins known: for whoever does.",
    "- More colluders than c_max, or a server that invents clients, remove the noise the guarantee counts on.",
    "- Masks and key agreement are secure against bounded computation only, and not against a quantum computer.",
    "- Nothing is promised for the public base model, for settings tuned on private results, for the identity adapters",
    "  if their owners hand them out, or for figures marked `local/*`.",
    "- A client that does not follow the protocol can spoil the model; clipping binds honest clients.",
)
