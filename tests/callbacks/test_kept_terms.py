from __future__ import annotations

import pytest

from callbacks.kept_terms import TERMS_NOTE, keep_terms
from tests.callbacks.parts import make_state


def test_terms_are_noted_at_the_start_and_then_kept():
    state = make_state()
    keep_terms(state, {"--noise": 1.0})
    assert state.notes[TERMS_NOTE] == {"--noise": 1.0}
    notes, state = state.notes, make_state(index=1)
    state.notes = notes
    keep_terms(state, {"--noise": 1.0})


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"--noise": 2.0, "--rate": 0.5}, "Got --noise 2.0; it was 1.0"),
        ({"--noise": 1.0}, "Got --rate not set; it was 0.5"),
        ({"--noise": 1.0, "--rate": 0.5, "--keys": "os"}, "Got --keys os; it was not set"),
    ],
)
def test_terms_that_changed_went_or_came_are_refused(terms, said):
    state = make_state(index=1)
    state.notes = {TERMS_NOTE: {"--noise": 1.0, "--rate": 0.5}}
    with pytest.raises(ValueError, match=said):
        keep_terms(state, terms)
