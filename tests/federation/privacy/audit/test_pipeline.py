"""The same checks on the callbacks as `pipeline.build_pipeline` joins them, and on callbacks that are broken."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.budget import PrivacyBudget
from callbacks.clipping import ClipUpdate
from callbacks.masking import SecureAggregation
from callbacks.noise import DistributedNoise
from callbacks.sampling import HiddenSampling
from federation.hooks import FederationCallback
from federation.privacy.audit.books import check_charges, check_coins
from federation.privacy.audit.faults import round_to_grid
from federation.privacy.audit.noise import check_independence, check_least_noise, check_most_noise
from federation.privacy.audit.system import System
from federation.privacy.audit.verdict import Verdict, at_most
from federation.privacy.audit.wire import check_exact, check_silence, check_uniform
from federation.privacy.discrete_gaussian import DiscreteGaussian
from federation.secure_aggregation.masks import from_ring, to_ring
from tests.federation.privacy.audit.systems import PipelineSystem, make_system


def check_clipped(system: System) -> Verdict:
    """Shout through the whole pipeline and measure what is left of it."""
    vector = np.full(system.terms.dimension, 1e6)
    transcript = system.run_round(0, dict.fromkeys(system.terms.names, vector))
    longest = max(int(encoded @ encoded) for encoded in transcript.encoded.values())
    return at_most("no client exceeds the clip norm", longest / system.terms.grid.bound_squared, 1.0)


CHECKS = (
    check_clipped,
    check_least_noise,
    check_most_noise,
    check_independence,
    check_uniform,
    check_exact,
    check_silence,
    check_charges,
    check_coins,
)


class Unclipped(ClipUpdate):
    def on_client_update(self, state, update):
        update.integers = round_to_grid(update.vector, state.grid.step).clip(-(2**20), 2**20)


class Noiseless(DistributedNoise):
    def on_client_update(self, state, update):
        update.integers = update.integers.copy()


class NoisyContributors(DistributedNoise):
    def on_client_update(self, state, update):
        super().on_client_update(state, update) if update.contributes else None


class Unmasked(SecureAggregation):
    def on_cohort_ready(self, state, updates):
        for update in updates:
            update.wire = to_ring(update.integers)

    def on_aggregate(self, state, aggregate):
        aggregate.integers = from_ring(aggregate.wire)


class Inexact(SecureAggregation):
    def on_aggregate(self, state, aggregate):
        super().on_aggregate(state, aggregate)
        aggregate.integers = aggregate.integers.astype(np.float16).astype(np.int64)


class Talkative(SecureAggregation):
    def on_cohort_ready(self, state, updates):
        state.exchange({update.client: np.float64(update.delta.norm()).tobytes() for update in updates})
        super().on_cohort_ready(state, updates)


class Forgetful(PrivacyBudget):
    def on_release(self, state):
        if state.index % 2 == 0:
            super().on_release(state)


class OneSeed(DistributedNoise):
    def on_client_update(self, state, update):
        stream = self.keys.stream("all", 0, 0, "noise")
        variance = self._plan(state).variance
        update.integers = update.integers + DiscreteGaussian(variance).sample(update.integers.size, stream)


class AlwaysIn(HiddenSampling):
    def on_client_update(self, state, update):
        update.metrics["contributes"] = 1.0


def broken(kind: type[FederationCallback]) -> type[PipelineSystem]:
    """Return a pipeline in which one step is of this class instead of its parent's."""

    class Broken(PipelineSystem):
        def build(self, folder):
            steps = super().build(folder)
            for step in steps:
                if type(step) is kind.__base__:
                    step.__class__ = kind
            return steps

    return Broken


FAULTS = (
    (check_clipped, Unclipped),
    (check_least_noise, Noiseless),
    (check_least_noise, NoisyContributors),
    (check_most_noise, OneSeed),
    (check_independence, OneSeed),
    (check_uniform, Unmasked),
    (check_exact, Inexact),
    (check_silence, Talkative),
    (check_silence, NoisyContributors),
    (check_charges, Forgetful),
    (check_coins, AlwaysIn),
)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make_pipeline_system(kind: type[PipelineSystem] = PipelineSystem) -> PipelineSystem:
    return make_system(kind, clients=8, dropout_share=0.0, dimension=5_000)


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_callbacks_pass(check):
    verdict = check(make_pipeline_system())
    assert verdict.passed, str(verdict)


@pytest.mark.slow
@pytest.mark.parametrize(("check", "kind"), FAULTS, ids=lambda part: part.__name__)
def test_broken_callbacks_are_noticed(check, kind):
    verdict = check(make_pipeline_system(broken(kind)))
    assert not verdict.passed, str(verdict)


def test_every_check_is_shown_a_fault():
    assert {check for check, _ in FAULTS} == set(CHECKS)
