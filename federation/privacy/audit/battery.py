"""All checks of a system, each with the faults it must notice."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from federation.privacy.audit import faults, masking_faults
from federation.privacy.audit.books import check_charges, check_coins, check_rollback
from federation.privacy.audit.clip import check_clip, check_fuzzed_clip
from federation.privacy.audit.distinguishing import check_distinguishing
from federation.privacy.audit.inversion import check_inversion, check_inversion_control
from federation.privacy.audit.membership import check_membership, check_membership_control
from federation.privacy.audit.noise import check_distribution, check_independence, check_least_noise, check_most_noise
from federation.privacy.audit.one_run import check_one_run, check_one_shot
from federation.privacy.audit.system import System
from federation.privacy.audit.unmasking import check_key_reuse, check_split_view
from federation.privacy.audit.verdict import Verdict
from federation.privacy.audit.wire import check_exact, check_silence, check_uniform
from federation.privacy.noise_calibration import solve_noise_multiplier


@dataclass(frozen=True)
class Check:
    """A check, and the broken systems that it must fail."""

    run: Callable[[System], Verdict]
    faults: tuple[type[System], ...] = ()


NOISE_FAULTS = (faults.NoNoise, faults.NoiseOverN, faults.SharedSeed)

PARTS = (
    Check(check_clip, (faults.NoClip, faults.ClipPerTensor, faults.NanPassThrough)),
    Check(check_fuzzed_clip, (faults.NoClip, faults.ClipPerTensor, faults.NanPassThrough)),
    Check(check_least_noise, (faults.NoNoise, faults.NoiseOverN, faults.ProductRule)),
    Check(check_most_noise, (faults.SharedSeed,)),
    Check(check_independence, (faults.SharedSeed,)),
    Check(check_distribution, (faults.NoNoise, faults.RoundedNormal)),
    Check(check_uniform, (masking_faults.FloatMasks, masking_faults.ReusedMasks)),
    Check(check_exact, (masking_faults.WrongSign,)),
    Check(check_silence, (faults.RawScore, faults.EarlyStoppedTrainer)),
    Check(check_split_view, (masking_faults.LowThreshold, masking_faults.RingAgainstLyingServer)),
    Check(check_key_reuse, (masking_faults.ReusedEpochKey,)),
    Check(check_charges, (faults.MissingCharge, faults.WrongRate)),
    Check(check_coins, (faults.WrongRate,)),
    Check(check_rollback, (faults.RolledBackLedger,)),
    Check(check_distinguishing, (faults.NoClip, *NOISE_FAULTS[:2])),
)
"""Can fail at any noise."""

ATTACKS = (
    Check(check_one_run, (faults.NoClip, *NOISE_FAULTS)),
    Check(check_one_shot, (faults.NoClip, *NOISE_FAULTS)),
    Check(check_membership, NOISE_FAULTS[:2]),
    Check(check_membership_control),
    Check(partial(check_inversion, trained="naive"), (faults.NoNoise,)),
    Check(partial(check_inversion_control, trained="naive")),
    Check(partial(check_inversion, trained="freeze-A"), (faults.NoNoise,)),
    Check(partial(check_inversion_control, trained="freeze-A")),
)
"""Attacks from outside: they can prove something only where little is claimed (`powerful`)."""


POWERFUL_CLAIM = 2.0
"""Above, even a system without noise may keep its claim: a few hundred canaries cannot prove more."""


def powerful(system: System) -> System:
    """Return the system with coins known and, where its claim would be larger, noise raised to a claim of 2."""
    enough = solve_noise_multiplier(POWERFUL_CLAIM, system.terms.delta, sample_rate=1.0, rounds=1)
    return system.under(sample_rate=1.0, noise_multiplier=max(system.terms.noise_multiplier, enough))


@dataclass(frozen=True)
class Outcome:
    """A verdict on a system, and those of the same check on its broken copies."""

    verdict: Verdict
    faults: dict[str, Verdict]
    """By name of the fault. One that passes is a fault that the check cannot see under these terms."""

    @property
    def missed(self) -> tuple[str, ...]:
        """Return the faults that the check let through."""
        return tuple(name for name, verdict in self.faults.items() if verdict.passed)


def examine(check: Check, system: System) -> Outcome:
    """Run a check on a system and on each of its faults, under the same terms and keys."""
    faulty = {in_words(fault): check.run(fault(system.terms, system.keys)) for fault in check.faults}
    return Outcome(check.run(system), faulty)


def in_words(fault: type[System]) -> str:
    """Return a fault's name as words: `NoNoise` is "no noise"."""
    return re.sub(r"(?<=.)(?=[A-Z])", " ", fault.__name__).lower()


def examine_all(checks: Sequence[Check], system: System) -> list[Outcome]:
    """Examine a system by each check."""
    return [examine(check, system) for check in checks]
