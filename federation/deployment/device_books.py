"""What a device counts for its owner: room before a masked vector leaves, a charge before it unmasks."""

from __future__ import annotations

from dataclasses import dataclass

from federation.deployment.orders import Begin
from federation.privacy.accountant import Release
from federation.privacy.cohort_counts import CohortCounts
from federation.privacy.device_ledger import Answer, DeviceLedger
from federation.privacy.survivors import effective_release
from federation.secure_aggregation.session import Session


@dataclass(frozen=True)
class DeviceBooks:
    """The device's own ledger in the terms of a session; no figure depends on data or coins."""

    ledger: DeviceLedger
    session: Session
    release: Release
    """One round as planned."""

    def warm_up(self) -> None:
        """Ask the accountant once: its imports take seconds, which must not show in the first round."""
        if self.ledger.allowed_epsilon < float("inf"):
            cost = (self.release.noise_multiplier, self.release.sample_rate)
            self.ledger.epsilon(Answer(self.session.id.hex(), 0, 0, *cost))

    @property
    def newest(self) -> tuple[int, int] | None:
        """Return round and attempt of the latest vector that this session has room kept for, None if there is none."""
        return self.ledger.newest(self.session.id.hex())

    def demand_room(self, begin: Begin) -> None:
        """Raise OwnerRefusalError where the owner does not allow an attempt; it costs nothing yet."""
        self.ledger.demand_room(self._answer(begin, self.session.config.clients))

    def reserve(self, begin: Begin) -> None:
        """Keep room for an attempt whose vector is about to leave; raises as `demand_room` does."""
        self.ledger.reserve(self._answer(begin, self.session.config.clients))

    def charge(self, begin: Begin, survivors: int) -> None:
        """Count an attempt as released, at the noise of those who survived; a repeated one is paid once."""
        self.ledger.charge(self._answer(begin, survivors))

    def _answer(self, begin: Begin, survivors: int) -> Answer:
        config = self.session.config
        counts = CohortCounts(config.clients, config.colluders, config.honest)
        release = effective_release(self.release, counts, survivors)
        cost = (release.noise_multiplier, release.sample_rate)
        return Answer(self.session.id.hex(), *begin.position, *cost, begin.broadcast.ledger_head, config.adversary)
