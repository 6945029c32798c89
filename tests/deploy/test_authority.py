"""The offline key is never one that others know, and its public half is never another's."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.sign_session import open_authority
from device_home import read_key, write_key


def test_the_key_is_made_once_with_its_public_half_beside_it(tmp_path):
    key = open_authority(tmp_path / "authority.key")
    assert read_key(tmp_path / "authority.pub") == key.public_key().public_bytes_raw()
    assert open_authority(tmp_path / "authority.key").private_bytes_raw() == key.private_bytes_raw()


def test_a_public_half_is_no_key(tmp_path):
    """All devices hold it: whoever signs with it signs for everybody."""
    open_authority(tmp_path / "authority.key")
    public = (tmp_path / "authority.pub").read_bytes()
    for name in ("authority.pub", "new.pub"):
        with pytest.raises(ValueError, match="a public half"):
            open_authority(tmp_path / name)
    assert (tmp_path / "authority.pub").read_bytes() == public
    assert not (tmp_path / "new.pub").exists()


def test_another_keys_public_half_is_not_written_over(tmp_path):
    open_authority(tmp_path / "authority.key")
    public = (tmp_path / "authority.pub").read_bytes()
    (tmp_path / "authority.key").unlink()
    write_key(tmp_path / "authority.key", Ed25519PrivateKey.generate())
    with pytest.raises(ValueError, match="another one"):
        open_authority(tmp_path / "authority.key")
    assert (tmp_path / "authority.pub").read_bytes() == public
