from __future__ import annotations

import pytest

from federation.deployment.patience import Patience


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_patience_is_finite(seconds):
    with pytest.raises(ValueError, match=r"`--deployment\.answer_seconds` must be a positive number of seconds"):
        Patience(answer=seconds)
