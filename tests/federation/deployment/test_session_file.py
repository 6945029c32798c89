from __future__ import annotations

import json

import pytest

from federation.deployment.session_file import read_session, write_session
from federation.secure_aggregation.errors import InvalidSignatureError
from tests.federation.secure_aggregation.parties import AUTHORITY, make_session, plan


@pytest.fixture
def path(tmp_path):
    write_session(tmp_path / "session.json", make_session(plan()))
    return tmp_path / "session.json"


def test_a_session_comes_back_with_its_signatures(path):
    session = read_session(path)
    assert session == make_session(plan())
    session.verify(AUTHORITY.public_key())


@pytest.mark.parametrize(
    ("part", "value"), [("edition", 1), ("nonce", "11" * 32), ("roster_signature", "00" * 64), ("signature", "00" * 64)]
)
def test_a_changed_session_is_not_the_one_that_was_signed(path, part, value):
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: value}))
    with pytest.raises(InvalidSignatureError):
        read_session(path).verify(AUTHORITY.public_key())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"clients": 3}', '{"clients": {"ann": "zz"}}', "null"])
def test_what_is_no_session_is_one_line_that_names_the_file(path, text):
    path.write_text(text)
    with pytest.raises(ValueError, match=r"session\.json must be a session that was signed"):
        read_session(path)
