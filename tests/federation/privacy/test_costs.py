from __future__ import annotations

import pytest

from federation.privacy.costs import client_seconds, upload_bytes
from federation.secure_aggregation.stages import Stage
from tests.federation.privacy.test_scheme import make_scheme
from tests.federation.secure_aggregation.parties import Parties, make_session, plan


@pytest.mark.parametrize(("clients", "dimension"), [(5, 8), (9, 1000)])
def test_the_bytes_are_those_of_the_five_messages(clients, dimension):
    parties = Parties(make_session(plan(clients=clients, honest=clients - 2, dimension=dimension)))
    sent = 0
    while parties.server.stage is not Stage.DONE:
        answers = parties.answers()
        sent += len(answers[parties.names[0]])
        parties.deliver(answers)
    assert upload_bytes(dimension, clients - 1) == sent


def test_at_scale_nearly_all_bytes_are_the_vector():
    assert upload_bytes(10**6, 99) < 4.02 * 10**6


def test_the_estimate_grows_with_the_vector():
    scheme = make_scheme(20)
    assert 0 < client_seconds(scheme, 1.0, 1000) < client_seconds(scheme, 1.0, 10**8)
