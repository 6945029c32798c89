from __future__ import annotations

import math

import pytest

from federation.privacy.accountant import Release, epsilon_after
from federation.privacy.cohort_counts import CohortCounts, provision
from federation.privacy.survivors import effective_release

PLANNED = Release(1.45, 0.2, 100)


@pytest.mark.parametrize("survivors", [80, 90, 100])
def test_the_plan_holds_down_to_the_least_survivors_and_no_more_is_claimed_above(survivors):
    cohort = provision(100, colluding_share=0.1, dropout_share=0.2)
    assert cohort.least_survivors == 80
    assert effective_release(PLANNED, cohort, survivors) == PLANNED


def test_missing_survivors_are_charged_for_the_noise_that_is_missing():
    cohort = provision(100, colluding_share=0.1, dropout_share=0.2)
    released = effective_release(PLANNED, cohort, 45)
    assert released.noise_multiplier == pytest.approx(1.45 * math.sqrt(35 / 70))
    assert (released.sample_rate, released.rounds) == (0.2, 100)


@pytest.mark.slow
def test_counting_dropped_colluders_would_have_claimed_less_than_half_of_the_true_epsilon():
    # 100 (1 - 0.2) (1 - 0.33) = 53 survivors were asked for; colluders never drop out, so 33 of them may collude.
    product_rule, honest = CohortCounts(100, 33, 53), provision(100, colluding_share=0.33, dropout_share=0.2)
    claimed = epsilon_after([PLANNED], 1e-5).value
    spent = epsilon_after([effective_release(PLANNED, product_rule, 53)], 1e-5).value
    assert claimed == pytest.approx(7.96, abs=0.02)
    assert spent == pytest.approx(17.9, abs=0.1)
    assert effective_release(PLANNED, honest, honest.least_survivors) == PLANNED


@pytest.mark.parametrize("survivors", [0, 10, 101])
def test_a_sum_without_an_honest_client_or_with_too_many_is_refused(survivors):
    with pytest.raises(ValueError, match="survivors"):
        effective_release(PLANNED, CohortCounts(100, 10, 80), survivors)
