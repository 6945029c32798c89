"""Secure aggregation that is broken on purpose: masks that do not hide, thresholds that two groups can meet."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from federation.key_source import KeySource
from federation.key_stream import KeyStream
from federation.privacy.audit.draws import draw_normals
from federation.privacy.audit.system import System
from federation.secure_aggregation.client import SecureClient
from federation.secure_aggregation.framing import HEADER
from federation.secure_aggregation.masks import to_ring
from federation.secure_aggregation.session import SessionConfig


class FloatMaskedClient(SecureClient):
    """Hides its vector behind normal numbers, as masks in floating point do; small ones, so that they are exact."""

    def mask_input(self, request: bytes, vector: np.ndarray) -> bytes:
        """Return the vector plus normal numbers a few thousand grid steps wide."""
        reply = super().mask_input(request, vector)
        normals = draw_normals(self.keys.stream(self.name, 0, 0, "float mask"), vector.size)
        return reply[: HEADER.size] + (vector + to_ring(np.rint(normals * 4_096))).tobytes()


class FloatMasks(System):
    """Masks with normal numbers instead of uniform residues."""

    client_type = FloatMaskedClient


class ForgetfulClient(SecureClient):
    """Adds to every vector the masks that it added to its first."""

    first: np.ndarray | None = None

    def mask_input(self, request: bytes, vector: np.ndarray) -> bytes:
        """Return the vector under the first round's masks."""
        reply = super().mask_input(request, vector)
        if self.first is None:
            self.first = np.frombuffer(reply, np.uint32, offset=HEADER.size) - vector
        return reply[: HEADER.size] + (vector + self.first).tobytes()


class ReusedMasks(System):
    """Uses the same masks in all rounds."""

    client_type = ForgetfulClient


class ContraryClient(SecureClient):
    """Subtracts all masks that it should add, and the other way round, where its name is even."""

    def mask_input(self, request: bytes, vector: np.ndarray) -> bytes:
        """Return the vector with the sign of its masks turned."""
        reply = super().mask_input(request, vector)
        if self.session.roster.index(self.name) % 2:
            return reply
        masked = np.frombuffer(reply, np.uint32, offset=HEADER.size)
        return reply[: HEADER.size] + (2 * vector - masked).tobytes()


class WrongSign(System):
    """Some masks have the wrong sign and do not cancel."""

    client_type = ContraryClient


class UncheckedConfig(SessionConfig):
    """Numbers that nobody has checked."""

    def __post_init__(self) -> None:
        """Accept anything."""


def unchecked(config: SessionConfig, **changes: int) -> UncheckedConfig:
    """Return a configuration with some numbers changed."""
    return UncheckedConfig(**{field.name: getattr(config, field.name) for field in fields(config)} | changes)


class LowThreshold(System):
    """Opens a secret with half of the clients: two halves can be told different survivors."""

    @property
    def session_config(self) -> SessionConfig:
        """Return a threshold of floor(n / 2)."""
        return unchecked(super().session_config, threshold=max(2, self.terms.clients // 2))


class RingAgainstLyingServer(System):
    """Uses a ring with t <= k / 2, which is safe only while the server keeps to the rules."""

    @property
    def session_config(self) -> SessionConfig:
        """Return a ring whose arcs beside a client each hold enough shares."""
        reach = max(2, (self.terms.clients - 2) // 4)
        return unchecked(super().session_config, neighbours=2 * reach, threshold=reach)


class EpochKeys(KeySource):
    """Gives each client the mask key of its first round in every round."""

    def __init__(self, keys: KeySource) -> None:
        self.keys = keys

    def stream(self, client: str, round: int, attempt: int, purpose: str) -> KeyStream:
        """Return the stream of the source behind, of round 0 where it makes mask keys."""
        return self.keys.stream(client, 0 if purpose == "mask" else round, attempt, purpose)


class ReusedEpochKey(System):
    """Agrees on mask keys once for several rounds, to save messages."""

    @property
    def mask_keys(self) -> KeySource:
        """Return a source that repeats the mask key."""
        return EpochKeys(self.keys)
