"""The settings that the server and all devices must agree on before the first round."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import NamedTuple

from federation.args import AggregationArgs, ClippingArgs, FederationArgs, PrivacyArgs, SecurityArgs
from federation.key_source import KeySource, OperatingSystemKeys, SeededKeys
from federation.privacy.accountant import Release
from federation.privacy.noise_calibration import solve_for_sampling
from federation.privacy.owner import SessionTerms


class AgreedSettings(NamedTuple):
    """The settings that all who take part have agreed to; clients who agreed to different ones share no mask."""

    privacy: PrivacyArgs
    federation: FederationArgs
    aggregation: AggregationArgs
    security: SecurityArgs
    clipping: ClippingArgs

    @classmethod
    def of(cls, settings: object) -> AgreedSettings:
        """Return the part of the settings of `train.py` that is agreed on."""
        return cls(*(getattr(settings, name) for name in cls._fields))

    @property
    def contributing(self) -> float:
        """Return the probability that a client who sends a vector has data in it: q for secret coins, else 1."""
        return self.federation.sample_rate if self.federation.sampling == "hidden" else 1.0

    def release(self, clients: int) -> Release:
        """Return one round as planned, at the noise given, or the least that keeps all rounds within the target."""
        privacy, federation = self.privacy, self.federation
        rate = federation.effective_sample_rate
        if privacy.target_epsilon is None:
            return Release(privacy.noise_multiplier, rate)
        sampling, rounds = federation.sampling, federation.rounds
        solved = solve_for_sampling(privacy.target_epsilon, privacy.delta, rate, rounds, clients, sampling)
        return Release(solved, rate)

    def keys(self, seed: int) -> KeySource:
        """Return where keys, masks, coins and noise come from; `seed` is used only with `key_source: seeded`."""
        return OperatingSystemKeys() if self.privacy.key_source == "os" else SeededKeys(seed)

    def terms(self, honest: int) -> SessionTerms:
        """Return what a device's owner may limit, given how many honest clients' noise is counted on."""
        federation, privacy = self.federation, self.privacy
        return SessionTerms(
            sample_rate=federation.effective_sample_rate,
            rounds=federation.rounds,
            honest=honest,
            sampling=federation.sampling,
            key_source=privacy.key_source,
            private=privacy.enabled,
        )

    def digest(self) -> bytes:
        """Return the SHA-256 of all these settings, which sessions are signed for and masks depend on."""
        return hashlib.sha256(json.dumps([asdict(part) for part in self], sort_keys=True).encode()).digest()
