"""Tests of the seal: what lies in the database opens with its key, for its account, and for nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from appliance.identity.names import IdentityError
from appliance.identity.sealing import Seal


def test_a_copy_of_the_database_alone_opens_nothing(tmp_path: Path) -> None:
    """Another key, another account, and one flipped bit are as if there were no secret."""
    seal = Seal(tmp_path / "keys" / "one.key")
    sealed = seal.close(b"secret", "amy")
    assert seal.open(sealed, "amy") == b"secret"
    assert seal.open(sealed, "bob") is None
    assert seal.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "amy") is None
    assert seal.open(b"", "amy") is None
    assert Seal(tmp_path / "none.key").open(sealed, "amy") is None
    other = Seal(tmp_path / "other.key")
    other.close(b"x", "amy")
    assert other.open(sealed, "amy") is None
    assert stat.S_IMODE((tmp_path / "keys" / "one.key").stat().st_mode) == 0o600


def test_a_key_cut_short_is_told(tmp_path: Path) -> None:
    """A restore that lost half of the file is said, with what to do."""
    (tmp_path / "one.key").write_bytes(b"short")
    with pytest.raises(IdentityError, match="remove it"):
        Seal(tmp_path / "one.key").close(b"x", "amy")
