"""Taking lists in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.lists.catalogue import load_catalogue
from appliance.lists.compiler import CompileError
from appliance.lists.formats import Format
from appliance.lists.importer import (
    Imported,
    ImportRefusedError,
    Wanted,
    import_list,
    import_tree,
    list_id_of,
    survey_of,
)
from appliance.lists.store import Store

if TYPE_CHECKING:
    from tests.lists.conftest import School

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
TREE = {
    "blacklists/adult/domains": "a.example\n192.0.2.1\ncom\n",
    "blacklists/adult/urls": "b.example/x\n192.0.2.9/24\n",
    "blacklists/adult/expressions": "(a|b)dult\n(x)\\1\n",
    "blacklists/adult/usage": "black\n# porn\n",
    "blacklists/blog/domains": "blogspot.com\n",
    "blacklists/blog/usage": "black\nwhite\n",
    "blacklists/old/domains": "c.example\n",
    "blacklists/strange/domains": "d.example\n",
    "blacklists/global_usage": "NAME: adult\n",
}


MINE = Wanted("mine", "mine", ("dating",))


def _import(school: School, path: Path, wanted: Wanted | None = None) -> Imported:
    return import_list(path, wanted or MINE, school.paths, now=NOW, compile_all=school.compile)


def _import_tree(school: School, path: Path) -> Imported:
    catalogue = load_catalogue(school.blocklists)
    return import_tree(path, survey_of(path), catalogue, school.paths, now=NOW, compile_all=school.compile)


@pytest.mark.slow
def test_an_imported_list_is_in_force(school: School, tmp_path: Path) -> None:
    """One call and its sites are known, with source, counts and version."""
    path = tmp_path / "hosts.txt"
    path.write_bytes(b"# mine\r\n0.0.0.0 a.example\r\n0.0.0.0 com\r\n")
    meta = _import(school, path).lists[0]
    assert (meta.source, meta.format, meta.entries, meta.quarantined) == ("hosts.txt", "hosts", 1, 1)
    assert school.listed("www.a.example") == {"mine"}
    assert (
        (school.paths.imported / "mine" / "problems.txt").read_text().startswith("hosts.txt:3: quarantined")
    )


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "# nothing\n", "<!DOCTYPE html>\n<html>", "com\nnet\n", "\0\0\0"])
def test_a_broken_list_never_replaces_the_good_one(school: School, tmp_path: Path, content: str) -> None:
    """Empty, a web page, poison or rubbish: refused with a reason; the last edition stays."""
    path = tmp_path / "list.txt"
    path.write_text("a.example\n")
    _import(school, path)
    path.write_text(content)
    with pytest.raises(ImportRefusedError):
        _import(school, path)
    assert school.listed("a.example") == {"mine"}
    assert not list(school.paths.imported.glob("*/.*"))


def test_a_missing_file_says_so(school: School, tmp_path: Path) -> None:
    """The reason names the file."""
    with pytest.raises(ImportRefusedError, match=r"gone\.txt"):
        _import(school, tmp_path / "gone.txt")
    with pytest.raises(ImportRefusedError, match=r"gone\.txt"):
        survey_of(tmp_path / "gone.txt")


@pytest.mark.slow
def test_a_failed_compile_goes_back(school: School, tmp_path: Path) -> None:
    """Disk full while the table is built: list and table are as before, and the next compile works."""
    path = tmp_path / "list.txt"
    path.write_text("a.example\n")
    _import(school, path)

    def fail() -> object:
        raise CompileError("No space left on device")

    path.write_text("b.example\n")
    with pytest.raises(CompileError, match="No space"):
        import_list(path, MINE, school.paths, now=NOW, compile_all=fail)
    school.compile()
    assert school.listed("a.example") == {"mine"}
    assert school.listed("b.example") == set()


@pytest.mark.slow
def test_a_new_edition_replaces_the_old(school: School, tmp_path: Path) -> None:
    """The same id again means the newer file."""
    path = tmp_path / "list.txt"
    for name in ("a.example", "b.example"):
        path.write_text(f"{name}\n")
        _import(school, path)
    assert school.listed("a.example") == set()
    assert school.listed("b.example") == {"mine"}
    assert len(list(school.paths.imported.glob("mine/*.names"))) == 2  # the last one too, to go back to


@pytest.mark.slow
def test_a_list_may_block_or_allow(school: School, tmp_path: Path) -> None:
    """A list of the school's own decisions has no category and is told as what it is."""
    path = tmp_path / "list.txt"
    path.write_text("a.example\n")
    _import(school, path, Wanted("ours", "Ours", (), use="allow", format=Format.DOMAINS))
    assert [match.use for match in school.lookup("a.example").matches] == ["allow"]


@pytest.mark.slow
def test_a_tree_is_taken_whole(school: School, tree: Callable[[dict[str, str]], Path]) -> None:
    """Domains, URLs, expressions, usages and aliases of every mapped folder; the others with a reason."""
    root = tree(TREE)
    (root / "blacklists" / "porn").symlink_to("adult")
    done = _import_tree(school, root)
    adult, blog = done.lists
    assert (adult.id, adult.categories, adult.usage, adult.aliases) == (
        "ut1-adult",
        ("pornography",),
        ("black",),
        ("porn",),
    )
    assert (adult.lines, adult.entries, adult.quarantined) == (7, 5, 2)
    assert blog.usage == ("black", "white")
    assert done.left_out == {"old": "it is old", "strange": "the catalogue does not say what it is about"}
    for address in (
        "a.example",
        "http://192.0.2.1/x",
        "b.example/x/y",
        "http://192.0.2.9/24",
        "z.example/adult",
    ):
        assert "ut1-adult" in school.listed(address), address
    assert school.listed("me.blogspot.com") == {"ut1-blog"}
    assert school.listed("b.example") == set()


@pytest.mark.slow
def test_an_unknown_tree_is_refused(school: School, tree: Callable[[dict[str, str]], Path]) -> None:
    """A collection whose folders nobody mapped is not guessed at."""
    with pytest.raises(ImportRefusedError, match="foreign"):
        _import_tree(school, tree({"foreign/domains": "a.example\n"}))


@pytest.mark.slow
def test_an_empty_folder_keeps_the_last_edition(
    school: School, tree: Callable[[dict[str, str]], Path]
) -> None:
    """One folder of a download that came empty does not open what it had closed."""
    _import_tree(school, tree(TREE))
    done = _import_tree(school, tree({**TREE, **dict.fromkeys(["blacklists/blog/domains"], "")}))
    assert done.left_out["blog"] == "holds no usable entry"
    assert school.listed("me.blogspot.com") == {"ut1-blog"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Blocked-Hosts.txt.xz", "blocked-hosts"), ("a b.c", "a-b"), ("...", "list"), ("ü.txt", "list")],
)
def test_ids_are_made_from_names(name: str, expected: str) -> None:
    """What a file is called becomes an id that is safe as a folder name."""
    assert list_id_of(Path(name)) == expected


@pytest.mark.slow
def test_store_and_table_agree(school: School, tmp_path: Path) -> None:
    """What the store holds is what the table was made from."""
    path = tmp_path / "list.txt"
    path.write_text("a.example\n")
    _import(school, path)
    metas = {meta.id: meta.version for meta in Store(school.paths).all()}
    told = {item.id: item.version for item in school.open().status().lists}
    assert metas.items() <= told.items()
