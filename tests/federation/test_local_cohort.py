from __future__ import annotations

from federation.hooks import Hooks
from federation.local_cohort import LocalCohort
from tests.callbacks.parts import make_state, make_updates


def test_a_figure_that_only_some_clients_have_is_the_mean_of_theirs():
    cohort, state, updates = LocalCohort(None, None, Hooks()), make_state(), make_updates()[:2]
    updates[0].metrics, updates[1].metrics = {"seconds": 1.0, "loss": 3.0}, {"seconds": 2.0}
    cohort._gather_metrics(state, updates)
    assert (state.metrics["local/seconds"], state.metrics["local/loss"]) == (1.5, 3.0)
    assert state.metrics["local/loss/ann"] == 3.0
    assert "local/loss/bob" not in state.metrics
