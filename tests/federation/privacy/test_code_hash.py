from __future__ import annotations

import pytest

from federation.privacy.code_hash import PROMISING, ROOT, hash_sources


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "federation" / "privacy").mkdir(parents=True)
    (tmp_path / "federation" / "privacy" / "noise.py").write_text("SIGMA = 1\n")
    (tmp_path / "train.py").write_text("pass\n")
    return tmp_path


def test_the_hash_is_of_the_sources_and_not_of_where_they_lie(checkout, tmp_path_factory):
    before = hash_sources(checkout)
    moved = tmp_path_factory.mktemp("moved") / "there"
    checkout.rename(moved)
    assert hash_sources(moved) == before
    (moved / "notes.txt").write_text("no source")
    assert hash_sources(moved) == before


@pytest.mark.parametrize("change", ["edit", "rename", "add"])
def test_any_change_of_a_source_changes_the_hash(checkout, change):
    before, noise = hash_sources(checkout), checkout / "federation" / "privacy" / "noise.py"
    if change == "edit":
        noise.write_text("SIGMA = 0\n")
    elif change == "rename":
        noise.rename(noise.with_name("silence.py"))
    else:
        noise.with_name("more.py").write_text("")
    assert hash_sources(checkout) != before


def test_what_promises_is_there():
    assert all((ROOT / name).exists() for name in PROMISING)
    assert len(hash_sources()) == 64
