"""The sum is exact whoever drops out and whenever, as long as enough are left; with one fewer there is no sum."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from federation.key_source import SeededKeys
from federation.secure_aggregation import unmasking
from federation.secure_aggregation.errors import OrderError, ProtocolError, SessionError
from federation.secure_aggregation.masks import BLOCK_WORDS, add_keystreams
from federation.secure_aggregation.session import SessionConfig
from federation.secure_aggregation.stages import Stage
from federation.secure_aggregation.thresholds import safe_threshold
from tests.federation.fuzz import cases
from tests.federation.secure_aggregation.parties import DIGEST, Parties, make_session, plan

STAGES = list(Stage)[:-1]
UP_TO_INPUT = STAGES[:3]


def draw_dimension(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 64) if rng.random() < 0.97 else rng.integers(BLOCK_WORDS - 2, BLOCK_WORDS + 3))


def draw_complete(rng: np.random.Generator) -> SessionConfig:
    """Return a session on the complete graph: mostly a few clients, sometimes many."""
    most = rng.choice([5, 8, 16, 40], p=[0.6, 0.35, 0.045, 0.005])
    clients = int(rng.integers(1, most + 1))
    colluders = int(rng.integers(0, max(1, clients // 2)))
    return plan(clients, colluders, int(rng.integers(1, clients - colluders + 1)), draw_dimension(rng))


def draw_ring(rng: np.random.Generator) -> SessionConfig:
    """Return a session on a ring so small that all its probabilities are 0 or 1: too few can be missing to matter."""
    while True:
        clients = int(rng.integers(7, 13))
        neighbours = 2 * int(rng.integers(2, (clients - 1) // 2))
        colluders = int(rng.integers(0, 2))
        dropouts = int(rng.integers(0, neighbours // 2))
        threshold = safe_threshold(neighbours + 1, colluders)
        honest = clients - dropouts - colluders
        numbers = (draw_dimension(rng), clients, colluders, honest)
        try:
            return SessionConfig(*numbers, "honest_but_curious", neighbours, threshold, DIGEST)
        except SessionError:
            continue


def draw_session(rng: np.random.Generator) -> SessionConfig:
    return draw_ring(rng) if rng.random() < 0.2 else draw_complete(rng)


def most_dropouts(config: SessionConfig) -> int:
    """Return how many may drop out over all stages together, wherever on the graph they are."""
    of_noise = config.clients - config.least_survivors
    return min(config.clients - config.threshold, of_noise) if config.graph == "complete" else of_noise


def draw_drops(rng: np.random.Generator, parties: Parties, count: int, stages: list[Stage]) -> dict[str, Stage]:
    """Return clients and the stage each of them misses first."""
    chosen = rng.choice(parties.names, count, replace=False)
    return {str(name): stages[rng.integers(len(stages))] for name in chosen}


def assert_exact(parties: Parties, drops: dict[str, Stage]) -> None:
    """Fail unless the round releases the sum of all who sent their vector."""
    survivors = [name for name in parties.names if drops.get(name, Stage.DONE) > Stage.MASK_INPUT]
    np.testing.assert_array_equal(parties.run(drops), parties.plain_sum(survivors))
    assert parties.server.survivors == tuple(survivors)


def assert_refused(parties: Parties, drops: dict[str, Stage]) -> None:
    """Fail unless the round ends without a sum."""
    with pytest.raises(ProtocolError):
        parties.run(drops)
    with pytest.raises(OrderError):
        parties.server.result()


def run_case(number: int) -> None:
    """Run one random session with as many dropouts as it happens to draw, and with one more than it allows."""
    rng = np.random.default_rng(number)
    session, most = make_session(config := draw_session(rng)), most_dropouts(config)
    parties = Parties(session, SeededKeys(number))
    assert_exact(parties, draw_drops(rng, parties, int(rng.integers(0, most + 1)), STAGES))
    parties = Parties(session, SeededKeys(number))
    # Too few for the noise shows only while vectors are sent; too few for the threshold shows at the end, too.
    noise_decides = config.graph == "harary" or config.least_survivors > config.threshold
    assert_refused(parties, draw_drops(rng, parties, most + 1, UP_TO_INPUT if noise_decides else STAGES))


@pytest.mark.parametrize(
    "block", [pytest.param(block, marks=[pytest.mark.slow] * (block > 2)) for block in cases(1000)]
)
def test_the_sum_is_exact_and_one_dropout_too_many_is_refused(block):
    """Ten random sessions, of 10,000 in the full run."""
    for number in range(10 * block, 10 * block + 10):
        run_case(number)


def ways_to_drop(names: list[str], most: int) -> list[dict[str, Stage]]:
    """Return all choices of up to `most` clients and of the stage each misses first."""
    chosen = [who for count in range(most + 1) for who in combinations(names, count)]
    return [dict(zip(who, stages, strict=True)) for who in chosen for stages in product(STAGES, repeat=len(who))]


@pytest.mark.slow
def test_two_of_five_drop_out_in_every_way():
    session = make_session(plan(clients=5, colluders=0, honest=3))
    assert most_dropouts(session.config) == 2
    ways = ways_to_drop(list(session.roster.clients), 2)
    assert len(ways) == 1 + 5 * 5 + 10 * 25
    for drops in ways:
        assert_exact(Parties(session), drops)


def test_three_of_five_dropping_out_is_refused_at_every_stage():
    session = make_session(plan(clients=5, colluders=0, honest=3))
    names = session.roster.clients
    for stages in product(STAGES, STAGES, [Stage.UNMASK]):
        assert_refused(Parties(session), dict(zip(names[1:4], stages, strict=True)))


def test_sums_added_on_the_way_are_as_good():
    parties = Parties(make_session(plan()))
    parties.advance(Stage.MASK_INPUT)
    wires = {name: np.frombuffer(message, "<u4", offset=40) for name, message in parties.answers().items()}
    first, second = parties.names[:2], parties.names[2:4]
    for group in (first, second):
        parties.server.add_up(group, np.sum([wires[name] for name in group], axis=0, dtype=np.uint32))
    parties.requests = parties.server.close_stage()
    while parties.server.stage is not Stage.DONE:
        parties.exchange()
    np.testing.assert_array_equal(parties.server.result(), parties.plain_sum(first + second))


def test_a_later_attempt_follows_one_that_failed():
    parties = Parties(make_session(plan()))
    assert_refused(parties, dict.fromkeys(parties.names[:3], Stage.CONFIRM))
    parties.attempt = 1
    parties.open()
    np.testing.assert_array_equal(parties.run(), parties.plain_sum())


def test_dropping_the_recovered_masks_spoils_the_sum(monkeypatch):
    def forget_pairs(vector, added, subtracted):
        add_keystreams(vector, [], subtracted[: len(parties.server.survivors)])

    monkeypatch.setattr(unmasking, "add_keystreams", forget_pairs)
    parties = Parties(make_session(plan()))
    with pytest.raises(AssertionError):
        assert_exact(parties, {parties.names[0]: Stage.MASK_INPUT})
