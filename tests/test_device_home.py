from __future__ import annotations

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from deploy.enrol import make_home
from device_home import DeviceHome, read_key
from federation.deployment.session_file import write_session
from federation.privacy.accountant import Release, epsilon_after
from federation.privacy.device_ledger import Answer, DeviceLedger, device_ledger_path
from federation.privacy.owner import OwnerLimits, OwnerRefusalError, SessionTerms
from federation.secure_aggregation.errors import InvalidSignatureError, SessionError
from federation.secure_aggregation.roster import Roster
from federation.secure_aggregation.session import Session
from tests.federation.secure_aggregation.parties import AUTHORITY, identity, make_names, plan


def give_session(folder, clients=5, edition=0, own="client-0001", authority=AUTHORITY):
    """Give a device a session in which its key stands under a name."""
    keys = {name: identity(name).public_key() for name in make_names(clients)}
    if own:
        keys.pop("client-0001")
        keys[own] = Ed25519PublicKey.from_public_bytes(make_home(folder))
    roster = Roster.sign(keys, authority, edition)
    write_session(folder / "session.json", Session.sign(roster, plan(clients), bytes(32), authority))
    (folder / "authority.pub").write_text(AUTHORITY.public_key().public_bytes_raw().hex())


@pytest.fixture
def folder(tmp_path):
    make_home(tmp_path / "home")
    return tmp_path / "home"


def test_a_home_and_its_keys_are_its_users_alone(folder):
    secrets = [folder / "identity.key", folder / "node.key"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secrets)
    assert make_home(folder) == make_home(folder)
    folder.chmod(0o750)
    with pytest.raises(ValueError, match="must be its user's alone"):
        DeviceHome(folder)


def test_a_device_finds_itself_in_the_roster(folder):
    give_session(folder)
    session, client = DeviceHome(folder).open_session()
    assert (client, len(session.roster.clients)) == ("client-0001", 5)


def test_a_session_that_the_pinned_key_did_not_sign_is_refused(folder):
    give_session(folder, authority=identity("a server"))
    with pytest.raises(InvalidSignatureError):
        DeviceHome(folder).open_session()


def test_a_device_off_the_roster_does_not_start(folder):
    give_session(folder, own="")
    with pytest.raises(SessionError, match="must be in the roster"):
        DeviceHome(folder).open_session()
    assert not (folder / "known.json").exists()  # another cohort's roster is none to compare with


def test_a_roster_grows_slowly(folder):
    give_session(folder, 5)
    DeviceHome(folder).open_session()
    give_session(folder, 6, edition=1)
    DeviceHome(folder).open_session()
    give_session(folder, 9, edition=2)
    with pytest.raises(SessionError, match="3 new clients beside 6 known ones"):
        DeviceHome(folder).open_session()
    (folder / "known.json").unlink()
    DeviceHome(folder).open_session()
    give_session(folder, 8, edition=1)
    with pytest.raises(SessionError, match="later than edition 2"):
        DeviceHome(folder).open_session()


def test_without_the_owners_word_what_protects_nobody_is_refused(folder):
    home = DeviceHome(folder)
    assert home.owner_limits() == OwnerLimits()
    for terms in (
        SessionTerms(0.5, 2, 3, key_source="seeded"),
        SessionTerms(0.5, 2, 3, private=False),
        SessionTerms(0.5, 2, 3, sampling="visible"),
    ):
        with pytest.raises(OwnerRefusalError):
            home.owner_limits().demand(terms)
    (folder / "owner.json").write_text('{"seeded_keys": true, "rounds": 1}')
    with pytest.raises(OwnerRefusalError, match=r"rounds 2 \(allowed: 1\)"):
        home.owner_limits().demand(SessionTerms(0.5, 2, 3, key_source="seeded"))


def answer(index: int) -> Answer:
    return Answer(f"{index:064x}", round=0, attempt=0, noise_multiplier=2.0, sample_rate=1.0)


def limits(rounds: int) -> OwnerLimits:
    """Return limits that leave room for this many answers."""
    return OwnerLimits(epsilon=epsilon_after([Release(2.0, 1.0, rounds)], 1e-5).value)


def test_another_name_in_the_roster_is_no_other_budget(folder):
    give_session(folder, own="client-0001")
    _, before = DeviceHome(folder).open_session()
    DeviceHome(folder).open_ledger(limits(1)).charge(answer(0))
    give_session(folder, edition=1, own="ann")
    _, after = DeviceHome(folder).open_session()
    assert before != after
    with pytest.raises(OwnerRefusalError, match="its owner allows"):
        DeviceHome(folder).open_ledger(limits(1)).charge(answer(1))


@pytest.mark.parametrize("names", [["ann"], ["ann", "ann b."]])
def test_ledgers_that_an_earlier_version_kept_for_each_name_are_counted(folder, names):
    for index, name in enumerate(names):
        DeviceLedger(device_ledger_path(folder / "ledger", name, "clips"), float("inf"), 1e-5).charge(answer(index))
    kept = {path: path.read_bytes() for path in (folder / "ledger").iterdir()}
    for _ in range(2):  # the new ledger beside them is not their end
        ledger = DeviceHome(folder).open_ledger(limits(len(names) + 1))
        assert ledger.epsilon().value == limits(len(names)).epsilon
    ledger.charge(answer(8))
    with pytest.raises(OwnerRefusalError, match="its owner allows"):
        DeviceHome(folder).open_ledger(limits(len(names) + 1)).charge(answer(9))
    assert {path: path.read_bytes() for path in kept} == kept


def test_an_earlier_ledger_that_is_broken_is_named(folder):
    path = device_ledger_path(folder / "ledger", "ann", "clips")
    DeviceLedger(path, float("inf"), 1e-5).charge(answer(0))
    path.write_text(path.read_text().replace('"round": 0', '"round": []'))
    with pytest.raises(ValueError, match=rf"Line 1 of the privacy ledger .*{path.name} is no entry"):
        DeviceHome(folder).open_ledger(limits(1))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("identity.key", "deploy.enrol --home"),
        ("session.json", "whoever signs the roster"),
        ("authority.pub", "whoever signs the roster"),
    ],
)
def test_what_a_device_was_not_given_is_named_with_where_it_comes_from(folder, name, advice):
    give_session(folder)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing.*{advice}"):
        DeviceHome(folder).open_session()


def test_a_home_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be the folder of a device\..*deploy\.enrol --home"):
        DeviceHome(tmp_path / "nowhere")


def test_a_home_is_one_processs_at_a_time(folder):
    with DeviceHome(folder).lock(), pytest.raises(ValueError, match="Another runs in"):
        DeviceHome(folder).lock().__enter__()
    with DeviceHome(folder).lock():
        pass


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33])
def test_what_is_no_key_is_one_line_that_does_not_show_it(tmp_path, text):
    (tmp_path / "key").write_text(text)
    with pytest.raises(ValueError, match="must hold a key of 32 bytes") as error:
        read_key(tmp_path / "key")
    assert not text or text not in str(error.value)
