"""Systems that are broken on purpose, one part each: an audit that passes any of them is worth nothing.

All of these faults have been shipped or proposed somewhere; none of them changes a figure that a user would look at.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from federation.privacy.accountant import Release
from federation.privacy.audit.draws import draw_normals
from federation.privacy.audit.system import System
from federation.privacy.ledger import Ledger
from federation.privacy.noise_calibration import NoisePlan

LARGEST = 2.0**40
"""Grid steps at which faulty encoders stop, so that their integers stay integers."""


def round_to_grid(vector: np.ndarray, step: float) -> np.ndarray:
    """Return a vector in grid steps, to the nearest."""
    return np.rint(np.nan_to_num(vector / step, posinf=LARGEST, neginf=-LARGEST).clip(-LARGEST, LARGEST)).astype(int)


class NoClip(System):
    """Rounds whatever comes."""

    def encode(self, client: str, round: int, vector: np.ndarray) -> np.ndarray:
        """Return the vector on the grid, however long."""
        return round_to_grid(vector, self.terms.grid.step)


class ClipPerTensor(System):
    """Clips each of two tensors to S, so that the whole is up to sqrt(2) S long."""

    def encode(self, client: str, round: int, vector: np.ndarray) -> np.ndarray:
        """Return the two halves on the grid, each clipped on its own."""
        halves = np.array_split(np.nan_to_num(vector, posinf=0, neginf=0), 2)
        short = [half * min(1.0, self.terms.clip_norm / max(1e-300, np.linalg.norm(half))) for half in halves]
        return round_to_grid(np.concatenate(short), self.terms.grid.step)


class NanPassThrough(System):
    """Clips by min(1, S / norm), which is 1 where the norm is not a number."""

    def encode(self, client: str, round: int, vector: np.ndarray) -> np.ndarray:
        """Return the vector on the grid, unclipped if any of its values is not a number."""
        factor = min(1.0, self.terms.clip_norm / max(1e-300, float(np.linalg.norm(vector))))
        return round_to_grid(np.nan_to_num(vector * factor), self.terms.grid.step)


class NoNoise(System):
    """Masks, but adds no noise."""

    def draw_noise(self, client: str, round: int) -> np.ndarray:
        """Return zeros."""
        return np.zeros(self.terms.dimension, np.int64)


class NoiseOverN(System):
    """Divides the deviation of the noise, not its variance, by the number of clients: sigma / n."""

    @property
    def plan(self) -> NoisePlan:
        """Return a plan with n times too little variance."""
        plan = super().plan
        return replace(plan, variance=math.ceil(plan.variance / self.terms.clients))


class SharedSeed(System):
    """Draws everybody's noise, in every round, from one seed."""

    def draw_noise(self, client: str, round: int) -> np.ndarray:
        """Return the same noise at every call."""
        return self.sampler.sample(self.terms.dimension, self.keys.stream("all", 0, 0, "noise"))


class RoundedNormal(System):
    """Rounds a floating-point normal draw of 5 % too small a deviation, instead of drawing from the exact table."""

    def draw_noise(self, client: str, round: int) -> np.ndarray:
        """Return rounded normal numbers."""
        normals = draw_normals(self.keys.stream(client, round, 0, "noise"), self.terms.dimension)
        return np.rint(normals * 0.95 * math.sqrt(self.plan.variance)).astype(np.int64)


class ProductRule(System):
    """Counts on n (1 - dropouts)(1 - colluders) honest clients, as if colluders dropped out, too."""

    @property
    def plan(self) -> NoisePlan:
        """Return a plan that is short of the noise of colluders who stay."""
        plan, terms = super().plan, self.terms
        honest = math.floor(terms.clients * (1 - terms.dropout_share) * (1 - terms.colluding_share))
        return replace(plan, variance=math.ceil(plan.variance * len(terms.honest) / honest))


class RawScore(System):
    """Sends a figure about the client's data in the clear."""

    def say_more(self, client: str, vector: np.ndarray | None) -> dict[str, bytes]:
        """Return the length of the update."""
        norm = 0.0 if vector is None else float(np.linalg.norm(vector))
        return {"score": np.float32(norm).tobytes()}


class EarlyStoppedTrainer(System):
    """Lets a client without data in the round, or whose training failed, skip the rest: its time tells."""

    def prepare(self, client: str, round: int, vector: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return zeros at once where there is nothing to clip."""
        if vector is None or not self.contributes(client, round):
            return np.zeros(self.terms.dimension, np.int64), self.draw_noise(client, round)
        return super().prepare(client, round, vector)


class MissingCharge(System):
    """Charges every other round."""

    def charge(self, round: int) -> Release | None:
        """Return nothing for odd rounds."""
        return None if round % 2 else super().charge(round)


class WrongRate(System):
    """Charges half of the sample rate that the coins have."""

    def charge(self, round: int) -> Release | None:
        """Return a release at half the rate."""
        return Release(self.terms.noise_multiplier, self.terms.sample_rate / 2)


class RolledBackLedger(System):
    """Opens the ledger as a checkpoint with its own copy would: without asking whether it has forgotten rounds."""

    def open_ledger(self, path: Path, head: str | None) -> Ledger:
        """Open whatever is there."""
        return Ledger(path)
