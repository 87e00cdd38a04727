"""Key files of an earlier version."""

from __future__ import annotations

from pathlib import Path

from appliance.lists.entries import key_of
from appliance.lists.rekeyed import rekeyed

OLD = (
    "org.example.www.",
    "org.example./a/b.c",
    "4/1100",
    "=192.0.2.1./x",
    "~ad[0-9]",
    "@@org.example.",
    "@@4/11",
)
NEW = (
    "gro.elpmaxe.www.",
    "gro.elpmaxe./a/b.c",
    "4/1100",
    "=192.0.2.1./x",
    "~ad[0-9]",
    "@@gro.elpmaxe.",
    "@@4/11",
)


def test_every_kind_of_key_comes_along(tmp_path: Path) -> None:
    """An upgrade loses no entry of any kind."""
    old = tmp_path / "0123.keys"
    old.write_text("".join(f"{key}\n" for key in OLD), "ascii")
    assert rekeyed(old).read_text("ascii") == "".join(f"{key}\n" for key in NEW)
    assert NEW[:2] == (key_of("www.example.org"), key_of("example.org/a/b.c"))


def test_an_empty_list_stays_empty(tmp_path: Path) -> None:
    """Nothing is no fault."""
    (tmp_path / "0.keys").touch()
    assert rekeyed(tmp_path / "0.keys").read_bytes() == b""
