"""No secret of an epoch serves two rounds; where one does, a server that lies reads a vector."""

from __future__ import annotations

from itertools import product
from weakref import ref

import pytest

from federation.key_source import OperatingSystemKeys
from federation.secure_aggregation import client_epoch, server_epoch
from federation.secure_aggregation.client_attempt import ClientAttempt
from federation.secure_aggregation.client_epoch import ClientEpoch
from federation.secure_aggregation.errors import OrderError
from federation.secure_aggregation.server_epoch import ServerEpoch
from federation.secure_aggregation.session import Session
from federation.secure_aggregation.stages import Stage
from tests.federation.secure_aggregation.epochs import (
    ROUNDS,
    STEADY,
    SameInAllRounds,
    Seen,
    enter_again,
    enter_and_keep,
    make_epoch,
    open_vectors,
    refuses,
)
from tests.federation.secure_aggregation.parties import BROADCAST, Parties

VICTIM, OTHER = 2, 0
FATES = ("survives", "late", "silent")
QUICK = {("survives", "late", "silent"), ("silent", "survives", "survives"), ("late", "late", "survives")}
WAYS = [pytest.param(way, marks=[pytest.mark.slow] * (way not in QUICK)) for way in product(FATES, repeat=ROUNDS)]


def watch(keys, fates: tuple[str, ...]) -> set[tuple[int, int]]:
    """Run an epoch in which a client meets these fates, another the same a round later; return what a server finds."""
    parties, seen = make_epoch(keys, honest=2), []
    for index, fate in enumerate(fates):
        parties.enter(index) if index else None
        met = {parties.names[VICTIM]: fate, parties.names[OTHER]: fates[index - 1]}
        late, silent = ([name for name, fate in met.items() if fate == kind] for kind in FATES[1:])
        seen.append(Seen(parties, late, silent))
    return open_vectors(seen, parties)


@pytest.mark.parametrize("fates", WAYS)
def test_all_that_a_server_sees_of_an_epoch_opens_no_vector(fates):
    assert not watch(OperatingSystemKeys(), fates)


@pytest.mark.parametrize(
    ("purpose", "fates", "found"),
    [
        ("mask", ("survives", "silent", "survives"), {(0, VICTIM), (2, VICTIM)}),
        ("self mask", ("late", "survives", "survives"), {(0, VICTIM)}),
    ],
)
def test_one_secret_for_several_rounds_opens_them(purpose, fates, found):
    assert found <= watch(SameInAllRounds(purpose), fates)


@pytest.mark.parametrize("faulty", [False, True])
def test_shares_of_one_round_never_answer_for_another(faulty, monkeypatch):
    """The fault: every client answers with the shares it held in the first round."""
    unmask, kept = ClientAttempt.unmask, {}

    def unmask_with_old_shares(self, request):
        self._held = kept.setdefault(self.client, self._held)
        return unmask(self, request)

    if faulty:
        monkeypatch.setattr(ClientAttempt, "unmask", unmask_with_old_shares)
    parties = make_epoch()
    first = Seen(parties)
    parties.enter(1)
    second = Seen(parties, silent=[parties.names[VICTIM]])
    assert (parties.server.stage is Stage.DONE) != faulty, "shares of another round fit no commitment"
    assert open_vectors([first, second], parties) == ({(0, VICTIM)} if faulty else set())


@pytest.mark.parametrize("faulty", [False, True])
def test_the_keys_of_a_round_serve_one_attempt(faulty, monkeypatch):
    monkeypatch.setattr(ServerEpoch, "enter", enter_again)
    if faulty:
        monkeypatch.setattr(ClientEpoch, "enter", enter_and_keep)
    parties = make_epoch()
    parties.run()
    parties.enter(1)
    first = Seen(parties)
    parties.enter(1, attempt=1)
    if not faulty:
        with pytest.raises(OrderError, match="have served"):
            Seen(parties)
        return
    second = Seen(parties, silent=[parties.names[VICTIM]])
    assert open_vectors([first, second], parties) == {(0, VICTIM)}


def alive(secrets: dict[int, ref]) -> set[int]:
    """Return the rounds whose secrets a client still has."""
    return {index for index, found in secrets.items() if found() is not None}


def follow(parties: Parties) -> dict[int, ref]:
    """Return the secrets that the victim has for each round, without holding them."""
    epoch = parties.clients[parties.names[VICTIM]]._epoch
    return {index: ref(own) for index, own in enumerate([epoch.current, *epoch._later.values()])}


@pytest.mark.parametrize("last", STEADY)
def test_the_secrets_of_a_round_are_gone_when_it_is_over(last):
    """Over means: answered, or left for a later one; in the second round the victim is asked no further than `last`."""
    parties = make_epoch()
    parties.exchange()
    secrets = follow(parties)
    parties.run()
    assert alive(secrets) == {1, 2}
    parties.enter(1)
    parties.run({parties.names[VICTIM]: Stage(last + 1)})
    parties.enter(2)
    parties.exchange()
    assert alive(secrets) == {2}
    parties.run()
    assert alive(secrets) == set()


def test_rounds_that_are_left_out_leave_nothing_behind():
    parties = make_epoch()
    parties.exchange()
    secrets = follow(parties)
    parties.run()
    parties.enter(2)
    parties.exchange()
    assert alive(secrets) == {2}
    parties.round, parties.attempt = 2, 1
    parties.open()
    parties.exchange()
    assert alive(secrets) == set()


def test_secrets_that_are_kept_are_noticed(monkeypatch):
    monkeypatch.setattr(ClientEpoch, "enter", enter_and_keep)
    parties = make_epoch()
    parties.exchange()
    secrets = follow(parties)
    parties.run()
    parties.enter(1)
    parties.run()
    assert alive(secrets) == {1, 2}


def unbind_rounds(monkeypatch) -> None:
    """The fault: all rounds of an epoch have one context."""
    context = Session.context
    for module in (client_epoch, server_epoch):
        monkeypatch.setattr(module, "later_context", lambda first, round: first)
    monkeypatch.setattr(Session, "context", lambda self, *place: place[3] if place[3:] else context(self, *place))


def is_taken(stage: Stage, to_client: bool) -> bool:
    """Whether what was said at a stage of one round is taken at the same stage of the next."""
    parties, earlier = make_epoch(), {}
    name = parties.names[VICTIM]
    while (now := parties.server.stage) is not Stage.DONE:
        requests, messages = parties.requests, parties.answers()
        earlier[now] = requests[name], messages[name]
        parties.deliver(messages)
    parties.enter(1)
    parties.advance(stage)
    request, message = earlier[stage]
    if to_client:
        return not refuses(parties.ask, name, stage, request)
    return not refuses(parties.server.receive, name, message)


@pytest.mark.parametrize("to_client", [False, True])
@pytest.mark.parametrize("stage", STEADY)
def test_the_words_of_another_round_are_refused(stage, to_client, monkeypatch):
    """The context alone refuses some; shares and signatures do not fit another round's keys in any case."""
    assert not is_taken(stage, to_client)
    unbind_rounds(monkeypatch)
    bound_by_context = {Stage.CONFIRM} if to_client else {Stage.MASK_INPUT, Stage.UNMASK}
    assert is_taken(stage, to_client) == (stage in bound_by_context)


def swap(content: bytes) -> bytes:
    """Let the words of the first two rounds change places."""
    length = len(content) // ROUNDS
    return content[length : 2 * length] + content[:length] + content[2 * length :]


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("kind", [Stage.ADVERTISE, Stage.SHARE_KEYS])
def test_what_was_made_for_one_round_does_not_serve_another(kind, bound, monkeypatch):
    if not bound:
        unbind_rounds(monkeypatch)
    parties = make_epoch()
    parties.advance(kind)
    name = parties.names[VICTIM]
    message = parties.ask(name, kind, parties.requests[name])
    assert refuses(parties.server.receive, name, swap(message)) == bound


def test_keys_of_another_round_end_the_epoch_of_who_is_given_them():
    parties = make_epoch()
    parties.advance(Stage.SHARE_KEYS)
    ann, request = parties.clients[parties.names[0]], parties.requests[parties.names[0]]
    assert refuses(ann.share_keys, swap(request))
    for index in (1, 2):
        assert refuses(ann.enter, index, 0, BROADCAST)
    assert ann.advertise(1, 0, BROADCAST)


@pytest.mark.parametrize("bound", [True, False])
def test_a_client_with_another_model_is_left_alone_in_a_later_round(bound, monkeypatch):
    if not bound:
        context = Session.context
        monkeypatch.setattr(
            Session, "context", lambda self, round, attempt, broadcast, *base: context(self, round, attempt, b"", *base)
        )
    parties = make_epoch()
    parties.run()
    parties.enter(1)
    name = parties.names[VICTIM]
    victim, request = parties.clients[name], parties.requests[name]
    victim.enter(1, 0, b"a model made for the victim")
    assert refuses(victim.mask_input, request, parties.vectors[name]) == bound
