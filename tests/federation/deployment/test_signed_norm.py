from __future__ import annotations

import math

import pytest
import torch

from federation.args import ClippingArgs
from federation.deployment.broadcast import Broadcast
from federation.deployment.signed_norm import SignedNorm
from federation.privacy.clip_norm import next_clip_norm
from federation.secure_aggregation.errors import ContextMismatchError

RULE = ClippingArgs(adaptive=True, smallest=0.1, largest=2.0)
STEPS = ((0.3, 5), (-0.2, 4))


def make_norm(clipping: ClippingArgs = RULE) -> SignedNorm:
    return SignedNorm(1.0, clipping, contributing=0.5)


def follow(steps: tuple[tuple[float, int], ...]) -> float:
    clip_norm = 1.0
    for bits, clients in steps:
        clip_norm = next_clip_norm(clip_norm, bits, 0.5 * clients, RULE)
    return clip_norm


def send(clip_norm: float, steps: tuple[tuple[float, int], ...] = ()) -> Broadcast:
    return Broadcast(clip_norm, "", torch.zeros(2), steps)


def test_a_norm_that_follows_is_taken_by_those_who_saw_every_round_and_those_who_return():
    always, returned = make_norm(), make_norm()
    for index in range(3):
        always.demand(index, send(follow(STEPS[:index]), STEPS[:index]))
        always.accept(send(follow(STEPS[:index]), STEPS[:index]))
    returned.demand(2, send(follow(STEPS), STEPS))
    assert 0.1 < follow(STEPS) < 1


def test_a_round_that_is_tried_again_has_the_same_steps():
    norm = make_norm()
    for index in (2, 1, 2):  # a server that lost a round goes back to fewer, and may not tell them anew
        norm.demand(index, send(follow(STEPS[:index]), STEPS[:index]))
        norm.accept(send(follow(STEPS[:index]), STEPS[:index]))


@pytest.mark.parametrize(
    ("index", "clip_norm", "steps"),
    [
        (0, 1.1, ()),
        (2, 1.01 * follow(STEPS), STEPS),
        (2, math.nan, STEPS),
        (1, follow(STEPS), STEPS),
        (2, follow(STEPS[:1]), STEPS[:1]),
        (2, follow(STEPS), (STEPS[0], (0.1, 0))),
    ],
    ids=["first", "other", "nan", "too many", "too few", "nobody"],
)
def test_a_norm_that_does_not_follow_is_refused(index, clip_norm, steps):
    with pytest.raises(ContextMismatchError):
        make_norm().demand(index, send(clip_norm, steps))


def test_what_was_accepted_is_not_told_anew():
    norm, other = make_norm(), ((0.31, 5), STEPS[1])
    norm.demand(2, send(follow(other), other))  # of an order that was refused for another reason
    norm.demand(1, send(follow(STEPS[:1]), STEPS[:1]))
    norm.accept(send(follow(STEPS[:1]), STEPS[:1]))
    with pytest.raises(ContextMismatchError, match="those that were released"):
        norm.demand(2, send(follow(other), other))
    make_norm().demand(2, send(follow(other), other))


def test_a_norm_that_stands_still_is_the_signed_one_to_the_last_bit():
    norm = make_norm(ClippingArgs())
    norm.demand(7, send(1.0))
    with pytest.raises(ContextMismatchError):
        norm.demand(7, send(math.nextafter(1.0, 2)))
    with pytest.raises(ContextMismatchError):
        norm.demand(2, send(follow(STEPS), STEPS))
