"""The lists that were imported."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.lists.paths import Paths
from appliance.lists.store import Meta, Store, StoreError


def _commit(store: Store, name: str, text: str) -> Meta:
    draft = store.draft(name)
    draft.keys.write(text)
    sha256, keys = draft.close()
    meta = Meta(
        id=name,
        title=name,
        categories=("games",),
        source="x",
        imported_at=datetime(2026, 11, 23, tzinfo=UTC),
        keys=keys,
        sha256=sha256,
        **dict.fromkeys(("lines", "used", "comments", "skipped", "quarantined"), 1),
        entries=text.count("\n"),
    )
    draft.commit(meta)
    return meta


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Paths(tmp_path))


def test_a_committed_list_is_in_force(store: Store) -> None:
    """Its keys and what is known of it come back; its version is that of its content."""
    meta = _commit(store, "a", "example.a.\n")
    assert store.all() == (meta,)
    assert store.keys_of(meta).read_text() == "example.a.\n"
    assert meta.version == f"sha256:{meta.sha256[:12]}"
    assert meta.info().categories == ("games",)


def test_a_dropped_draft_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """A failed import leaves no folder behind, and the list in force as it was."""
    draft = store.draft("a")
    draft.keys.write("x\n")
    draft.drop()
    assert not list((tmp_path / "lists" / "imported").iterdir())
    meta = _commit(store, "a", "example.a.\n")
    store.draft("a").drop()
    assert store.all() == (meta,)


@pytest.mark.slow
def test_lists_of_an_earlier_version_come_along(store: Store, tmp_path: Path) -> None:
    """After an upgrade every list still names what it named, and so does the edition before it."""
    _commit(store, "a", "gro.old.\n")
    meta = _commit(store, "a", "gro.new.\n")
    folder = tmp_path / "lists" / "imported" / "a"
    for path, key in ((folder / "meta.json", "org.new.\n"), (folder / "last.json", "org.old.\n")):
        as_before = path.read_text("utf-8").replace(".names", ".keys")
        path.write_text(as_before, "utf-8")
        (folder / Meta.model_validate_json(as_before).keys).write_text(key, "ascii")
    for names in folder.glob("*.names"):
        names.unlink()
    store.bring_up()
    last = store.last("a")
    assert last is not None
    assert [store.keys_of(each).read_text() for each in (*store.all(), last)] == ["gro.wen.\n", "gro.dlo.\n"]
    assert store.all()[0].sha256 == meta.sha256
    store.tidy()
    assert not list(folder.glob("*.keys"))


def test_going_back(store: Store) -> None:
    """When the compile fails the last editions are in force again, and new lists are gone."""
    old = _commit(store, "a", "example.a.\n")
    saved = store.saved(["a", "b"])
    _commit(store, "a", "example.b.\n")
    _commit(store, "b", "example.c.\n")
    store.restore(saved)
    assert store.all() == (old,)
    assert store.keys_of(old).read_text() == "example.a.\n"


def test_tidying_keeps_what_is_in_force(store: Store) -> None:
    """Old editions go once the new table stands, all but the last, to which one can go back."""
    _commit(store, "a", "example.a.\n")
    last = _commit(store, "a", "example.b.\n")
    new = _commit(store, "a", "example.c.\n")
    store.tidy()
    assert {path.name for path in store.keys_of(new).parent.glob("*.names")} == {new.keys, last.keys}


def test_going_back_and_forth(store: Store) -> None:
    """The last edition comes into force again, and the one that was rolled back is kept in its place."""
    old = _commit(store, "a", "example.a.\n")
    new = _commit(store, "a", "example.b.\n")
    _commit(store, "a", "example.b.\n")  # the same once more is no new edition
    assert store.last("a") == old
    assert store.roll_back("a") == old
    assert store.all() == (old,)
    store.tidy()
    assert store.roll_back("a").keys == new.keys
    with pytest.raises(StoreError, match="no earlier edition"):
        store.roll_back("b")


@pytest.mark.slow
def test_restoring_brings_back_the_last_edition_as_well(store: Store) -> None:
    """An update that fails late changes neither what is in force nor what one can go back to."""
    old = _commit(store, "a", "example.a.\n")
    now = _commit(store, "a", "example.b.\n")
    saved = store.saved(["a", "new"])
    _commit(store, "a", "example.c.\n")
    _commit(store, "new", "example.d.\n")
    store.restore(saved)
    assert store.all() == (now,)
    assert store.last("a") == old


def test_fingerprint_follows_every_change(store: Store) -> None:
    """A new edition, and a removed one, make another fingerprint."""
    seen = {store.fingerprint()}
    _commit(store, "a", "example.a.\n")
    seen.add(store.fingerprint())
    _commit(store, "a", "example.b.\n")
    seen.add(store.fingerprint())
    assert len(seen) == 3


def test_damage_is_told_with_what_to_do(store: Store) -> None:
    """A list that cannot be read stops the compile instead of vanishing from the table."""
    keys = store.keys_of(_commit(store, "a", "example.a.\n"))
    keys.unlink()
    with pytest.raises(StoreError, match="import or update the list again"):
        store.all()
    (keys.parent / "meta.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        store.all()


@pytest.mark.parametrize("left", [b"", b"example.a.\n", b"example.a.\nexamp", b"\xff\n\n", None])
def test_half_a_list_is_not_in_force_unnoticed(store: Store, left: bytes | None) -> None:
    """Keys that were cut short, overwritten or lost are told, with what to do; they are no list."""
    meta = _commit(store, "a", "example.a.\nexample.b.\n")
    keys = store.keys_of(meta)
    keys.unlink()
    if left is not None:
        keys.write_bytes(left)
    with pytest.raises(StoreError, match="import or update the list again"):
        store.keys_of(meta)


def test_a_dropped_list_comes_back_whole(store: Store) -> None:
    """Dropping deletes nothing; a new list of the same name takes its place for good."""
    old = _commit(store, "a", "example.a.\n")
    store.drop("a")
    assert (store.all(), store.dropped()) == ((), ("a",))
    store.tidy()
    saved = store.saved(["a"])
    new = _commit(store, "a", "example.b.\n")
    assert (store.all(), store.dropped()) == ((new,), ())
    store.restore(saved)  # the compile has failed
    assert (store.all(), store.dropped()) == ((), ("a",))
    assert store.roll_back("a") == old
    assert store.keys_of(old).read_text() == "example.a.\n"


def test_one_damaged_list_does_not_hide_the_others(store: Store) -> None:
    """What mends a list, or is about another one, goes on; what compiles all of them does not."""
    well, bad = _commit(store, "a", "example.a.\n"), _commit(store, "b", "example.b.\n")
    (store.keys_of(bad).parent / "meta.json").write_bytes(b"null")
    assert (store.whole(), store.get("a"), store.get("c")) == ((well,), well, None)
    assert store.ids() == ("a", "b")
    with pytest.raises(StoreError, match="appliance lists drop b"):
        store.get("b")
    store.drop("b")
    assert store.all() == (well,)
