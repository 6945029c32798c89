"""The privacy card: what a run promises, to whom, at which price, and what it does not promise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from federation.privacy.accountant import Epsilon
from federation.privacy.discrete_gaussian import TOTAL_VARIATION
from federation.privacy.planning import probability_of_no_contributor

TINY_COHORT = 8
"""Below this many clients nothing is claimed against the server."""


@dataclass(frozen=True)
class PrivacyFacts:
    """Everything the card of a private run says."""

    clients: int
    """n: enrolled clients, all of which mask and add noise (with `visible` sampling: that could be drawn)."""
    colluders: int
    honest: int
    clip_norm: float
    dimension: int
    """D: coordinates of one client's vector."""
    noise_multiplier: float
    sampling: Literal["hidden", "visible", "all"]
    sample_rate: float
    rounds: int
    """Released, hence charged, rounds."""
    delta: float
    coins_secret: Epsilon | None
    """None where the coins are no secret (`visible`)."""
    coins_known: Epsilon
    key_source: Literal["os", "seeded"]
    released: tuple[str, ...] = ("the global adapter after every round",)
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


def no_privacy_card(reason: str = "`--privacy.enabled false`") -> str:
    """Return the card of a run without the privacy pipeline, Markdown."""
    return (
        "# Privacy card\n\n"
        f"**PRIVACY WAS OFF ({reason}). No epsilon holds against anybody.** Updates were neither clipped, noised nor "
        "masked;\nwhoever adds them up saw each of them, and an update can be turned back into training clips.\n"
    )


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
    if facts.clients < TINY_COHORT:
        lines += [
            f"**Tiny cohort.** With {facts.clients} clients (fewer than {TINY_COHORT}) nothing is claimed against the",
            "server; epsilon is for outsiders.",
            "",
        ]
    if facts.clients <= 3:
        lines += ["With three clients or fewer, two that collude learn the third's noised vector.", ""]
    return lines


def _rows(facts: PrivacyFacts) -> list[tuple[str, str]]:
    slack = 2 * facts.rounds * facts.clients * facts.dimension * TOTAL_VARIATION
    nobody = probability_of_no_contributor(facts.clients, facts.sample_rate)
    return [
        ("unit", "one client: all its clips"),
        ("adjacency", "zero-out: the client's data replaced by none, the client still masks and adds noise"),
        ("epsilon, coins secret", _stated(facts.coins_secret)),
        ("epsilon, coins known", _stated(facts.coins_known)),
        ("delta", f"{facts.delta:g}" + (f" (noise tables add below 2^{math.ceil(math.log2(slack))})" if slack else "")),
        ("noise multiplier z", f"{facts.noise_multiplier:.4g} x S in the sum, from the honest clients alone"),
        ("clip norm S", f"{facts.clip_norm:g}, over {facts.dimension:,} coordinates jointly"),
        ("sampling, rate q", f"{facts.sampling}, {facts.sample_rate:g}"),
        ("released rounds T", str(facts.rounds)),
        ("clients n", str(facts.clients)),
        ("honest clients counted on n_min", f"{facts.honest} (up to c_max = {facts.colluders} may collude)"),
        ("P(no contributor in a round)", f"{nobody:.2g}"),
        ("released", "; ".join(facts.released)),
        ("keys, masks, coins, noise from", "the operating system" if facts.key_source == "os" else "A SEED"),
    ]


def _stated(epsilon: Epsilon | None) -> str:
    if epsilon is None:
        return "not claimed: who takes part is visible"
    return f"{epsilon.value:.2f} ({epsilon.method.upper()} accountant)"


def _population(facts: PrivacyFacts) -> list[str]:
    if facts.target_population is None:
        return []
    return [
        f"The same noise in the mean would cost epsilon <= {facts.target_epsilon:g} (coins secret; same q, T, delta)",
        f"from N' = **{facts.target_population} clients** on.",
        "",
    ]


_LIMITS = (
    "## Not promised",
    "",
    "- Coins secret: for whoever never learns in which rounds a client's data was. Coins known: for whoever does.",
    "- More colluders than c_max, or a server that invents clients, remove the noise the guarantee counts on.",
    "- Masks and key agreement are secure against bounded computation only.",
    "- Nothing is promised for the public base model, for settings tuned on private results, for the identity adapters",
    "  if their owners hand them out, or for figures marked `local/*`.",
    "- A client that does not follow the protocol can spoil the model; clipping binds honest clients.",
)
