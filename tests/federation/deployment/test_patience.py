from __future__ import annotations

import pytest
import torch

from federation.deployment.broadcast import Broadcast
from federation.deployment.orders import Begin
from federation.deployment.patience import LONGEST, Patience


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_patience_is_finite(seconds):
    with pytest.raises(ValueError, match=r"`--deployment\.answer_seconds` must be above 0 and at most"):
        Patience(answer=seconds)


def test_more_than_an_order_can_tell_is_refused():
    Begin(0, 0, Patience(training=LONGEST).training, Broadcast(1.0, "", torch.zeros(1))).encode()
    with pytest.raises(ValueError, match=r"at most 4,000,000\. Got 4000001"):
        Patience(training=LONGEST + 1)
