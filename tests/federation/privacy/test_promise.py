from __future__ import annotations

import math

import pytest

from federation.args import PrivacyArgs, SecurityArgs
from federation.privacy.accountant import Release
from federation.privacy.cohort_counts import provision
from federation.privacy.promise import Promise
from federation.privacy.survivors import effective_release

COHORT = provision(100, colluding_share=0.1, dropout_share=0.1)


def make_promise(sampling="hidden", **privacy) -> Promise:
    return Promise(COHORT, Release(1.0, 0.5), sampling, PrivacyArgs(delta=1e-5, **privacy), SecurityArgs())


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({"max_epsilon": 2.0, "target_epsilon": 8.0}, 2.0),
        ({"max_epsilon": 8.0, "target_epsilon": 2.0}, 2.0),
        ({"target_epsilon": 8.0}, 8.0),
        ({}, math.inf),
    ],
)
def test_of_two_limits_the_lower_one_holds(limits, limit):
    assert make_promise(**limits).limit == limit


@pytest.mark.parametrize("sampling", ["hidden", "visible"])
def test_missing_noise_is_that_of_the_clients_it_was_provided_for(sampling):
    """All who are enrolled, or those whom visible sampling drew."""
    promise = make_promise(sampling)
    cohort = COHORT if sampling == "hidden" else provision(50, colluding_share=0.1, dropout_share=0.1)
    charged = promise.effective(drawn=50, survivors=42)
    assert charged == effective_release(promise.release, cohort, 42)
    assert charged.noise_multiplier < 1
