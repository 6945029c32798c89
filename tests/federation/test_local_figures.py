from __future__ import annotations

import math

import pytest
import torch

from federation.local_figures import all_finite, read_losses


def test_losses_end_with_the_first_that_is_not_finite():
    values = [1.0, 2.0, float("inf"), 3.0]
    steps = [{"loss": torch.tensor(value), "flip": torch.tensor(2 * value)} for value in values]
    assert read_losses(steps) == {"loss": values[:3], "flip": [2.0, 4.0]}
    assert read_losses(steps[:2]) == {"loss": values[:2], "flip": [2.0, 4.0]}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_not_finite_is_found_wherever_it_is(bad):
    fine = [torch.arange(4.0), [1.0, 2.0]]
    assert all_finite(fine)
    assert not all_finite([*fine, torch.tensor([[0.0, bad], [1.0, 2.0]])])
    assert not all_finite([[0.0, bad, 1.0], *fine])
