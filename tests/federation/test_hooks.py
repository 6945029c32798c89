from __future__ import annotations

import pytest

from federation.hooks import FederationCallback, Hooks


def test_a_hook_that_no_round_calls_is_refused():
    with pytest.raises(
        TypeError, match=r"Typo defines on_clients_update, which no round calls. Use one of .*on_client_u"
    ):
        type("Typo", (FederationCallback,), {"on_clients_update": lambda self, state: None})


def test_known_hooks_and_other_methods_are_accepted():
    members = {"on_round_end": lambda self, state: None, "report": lambda self: None}
    parent = type("Known", (FederationCallback,), members)
    with pytest.raises(TypeError, match="Child defines on_epoch_end"):
        type("Child", (parent,), {"on_epoch_end": lambda self: None})


def test_a_sum_goes_through_the_pipeline_from_its_end_and_is_then_observed():
    def named(name: str) -> FederationCallback:
        return type(name, (FederationCallback,), {"on_aggregate": lambda *_: called.append(name)})()

    called: list[str] = []
    Hooks([named("first"), named("second")], [named("observer"), named("another")]).aggregate(None, None)
    assert called == ["second", "first", "observer", "another"]
