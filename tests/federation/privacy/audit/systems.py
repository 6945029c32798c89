"""Systems to audit: the parts as the audit joins them, and the callbacks as `train.py` joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch

from callbacks.masking import SecureAggregation
from callbacks.sampling import HiddenSampling
from federation.agreed_settings import AgreedSettings
from federation.args import AggregationArgs, ClippingArgs, FederationArgs, OwnerArgs, PrivacyArgs, SecurityArgs
from federation.hooks import FederationCallback
from federation.key_source import SeededKeys
from federation.privacy.accountant import Release
from federation.privacy.audit.system import VECTOR, System, Transcript
from federation.privacy.audit.terms import RoundTerms
from federation.secure_aggregation.framing import HEADER
from federation.secure_aggregation.stages import Stage
from federation.update import Aggregate, ClientSignals, ClientUpdate, RoundState
from pipeline import build_pipeline

PERFECT = ClientSignals(identity=1.0, stability=1.0)
HEADROOM = 1e-9
"""Beta: so small that the weight coordinate takes nothing of the clip norm."""


def make_system(kind: type[System] = System, seed: int = 0, **terms: object) -> System:
    """Return a system of 12 clients, of which 3 collude and 3 drop out."""
    defaults = {"clients": 12, "clip_norm": 0.5, "dimension": 8_000, "noise_multiplier": 1.0, "sample_rate": 0.5}
    shares = {"colluding_share": 0.2, "dropout_share": 0.2}
    return kind(RoundTerms(**(defaults | shares | terms)), SeededKeys(seed))


class PipelineSystem(System):
    """The round as `pipeline.build_pipeline` builds it: real callbacks in their order, without training.

    Nobody drops out, as on one machine. Ledgers are left in the working directory.
    """

    @cached_property
    def pipeline(self) -> list[FederationCallback]:
        """Return the callbacks, started."""
        pipeline = self.build(Path(mkdtemp(dir=Path.cwd())))
        for step in pipeline:
            step.on_run_start(self.state(0))
        return pipeline

    def build(self, folder: Path) -> list[FederationCallback]:
        """Return the callbacks."""
        return build_pipeline(
            self.keys,
            AgreedSettings(
                PrivacyArgs(
                    clip_norm=self.terms.clip_norm, noise_multiplier=self.terms.noise_multiplier, delta=self.terms.delta
                ),
                FederationArgs(sampling="hidden", sample_rate=self.terms.sample_rate),
                AggregationArgs(beta=HEADROOM, max_examples=1),
                SecurityArgs(colluding_share=self.terms.colluding_share, dropout_share=self.terms.dropout_share),
                ClippingArgs(),
            ),
            OwnerArgs(),
            clients=self.terms.clients,
            out_dir=folder,
        )

    def state(self, round: int, exchange: Callable[[dict], dict] = dict) -> RoundState:
        """Return the state of a round on the only device."""
        return RoundState(
            index=round,
            clients=self.terms.names,
            global_adapter=torch.zeros(self.terms.dimension - 1),
            clip_norm=self.terms.clip_norm,
            exchange=exchange,
        )

    def contributes(self, client: str, round: int) -> bool:
        update = self.update(client, np.zeros(self.terms.dimension))
        for step in self.pipeline:
            if isinstance(step, HiddenSampling):
                step.on_client_update(self.state(round), update)
        return update.contributes

    def update(self, client: str, vector: np.ndarray | None) -> ClientUpdate:
        """Return what training leaves of a client whose vector this is; None where it failed."""
        has_failed = vector is None
        delta = torch.zeros(self.terms.dimension - 1) if has_failed else torch.from_numpy(vector[:-1])
        examples = int(not has_failed and bool(np.any(vector)))
        return ClientUpdate(client, delta, examples, PERFECT, contributes=not has_failed)

    def run_round(
        self,
        round: int,
        vectors: Mapping[str, np.ndarray | None],
        drops: Mapping[str, Stage] | None = None,
        masked: bool = True,
    ) -> Transcript:
        messages: dict[str, dict[str, bytes]] = {client: {} for client in self.terms.names}
        state = self.state(round, lambda sent: _record(sent, messages))
        updates = [self.update(client, vectors.get(client, np.zeros(self.terms.dimension))) for client in state.clients]
        encoded: dict[str, np.ndarray] = {}
        self._call("on_round_start", state)
        if state.stop:  # as the rounds do: nothing is sent where devices refuse
            return Transcript(np.zeros(self.terms.dimension, np.int64), {}, {}, messages, None)
        for update in updates:
            for step in self.pipeline:
                before = update.integers
                step.on_client_update(state, update)
                if update.integers is not before:
                    encoded.setdefault(update.client, update.integers)
        self._call("on_cohort_ready", state, updates)
        for update in updates:
            messages[update.client][VECTOR] = bytes(HEADER.size) + update.wire.tobytes()
        self._call("on_release", state)
        noise = {update.client: update.integers - encoded[update.client] for update in updates}
        return Transcript(self._unmask(state, updates), encoded, noise, messages, self._last_charge(round))

    def _call(self, hook: str, *args: object) -> None:
        for step in self.pipeline:
            getattr(step, hook)(*args)

    def _unmask(self, state: RoundState, updates: list[ClientUpdate]) -> np.ndarray:
        """Run the server half and return the sum as it left the masks."""
        wires = [update.wire for update in updates]
        aggregate = Aggregate(np.add.reduce(wires, dtype=np.uint32), num_clients=len(updates))
        total = None
        for step in reversed(self.pipeline):
            step.on_aggregate(state, aggregate)
            if isinstance(step, SecureAggregation):
                total = aggregate.integers
        return total

    def _last_charge(self, round: int) -> Release | None:
        entries = [entry for entry in self.pipeline[0].ledger.entries if entry.round == round]
        return entries[-1].release if entries else None


def _record(sent: dict[str, bytes], messages: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """Keep what clients send through an exchange, by the type that the message names."""
    for client, message in sent.items():
        if client in messages:
            tag = message[:4]
            kind = tag.decode() if tag.isalnum() and len(message) > HEADER.size else f"{len(message)} bytes"
            messages[client][kind] = message
    return dict(sent)
