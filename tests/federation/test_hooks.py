from __future__ import annotations

import pytest

from federation.hooks import FederationCallback


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
