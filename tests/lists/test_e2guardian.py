"""e2guardian's list folders."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.lists.e2guardian import list_files
from appliance.lists.formats import Format
from appliance.lists.importer import Wanted, import_list
from appliance.lists.reading import Account, Reader

if TYPE_CHECKING:
    from tests.lists.conftest import School

FILES = {
    "bannedsitelist": '# sites\n#listcategory: "x"\na.example\n**\n*ip\n#time: 9 0 17 0 01234\n'
    ".Include</etc/e2guardian/lists/more/ads/domains>\n.Include</etc/e2guardian/lists/gone>\n",
    "bannedurllist": "b.example/page\n",
    "bannedregexpurllist": "(Variants/AVTest)\n",
    "bannedphraselist": "< word >\n",
    "bannedextensionlist": ".exe\n",
    "exceptionsitelist": "good.example\n",
    "more/ads/domains": "ads.example\n.Include</etc/e2guardian/lists/more/deep>\n",
    "more/deep": "deep.example\n.Include</etc/e2guardian/lists/more/ads/domains>\n",
    "more/other": "other.example\n",
}


def _read(path: Path, use: str) -> tuple[set[str], Account, str]:
    keys, problems = io.StringIO(), io.StringIO()
    reader = Reader(keys, problems)
    for member, meaning_of in list_files(path, use):
        reader.read_as(member.name, member.lines, meaning_of)
    return set(keys.getvalue().split()), reader.account, problems.getvalue()


def test_what_is_banned_with_all_it_includes(tree: Callable[[dict[str, str]], Path]) -> None:
    """Sites, URLs, expressions, and files two includes deep, once each, though they go in a circle."""
    keys, account, problems = _read(tree(FILES), "block")
    assert keys == {
        "elpmaxe.a.",
        "elpmaxe.b./page",
        "~(Variants/AVTest)",
        "elpmaxe.sda.",
        "elpmaxe.peed.",
    }
    assert account.balanced
    assert account.skipped == 3
    assert "bannedsitelist:6: skipped: applies at certain times only" in problems


def test_exceptions_are_another_list(tree: Callable[[dict[str, str]], Path]) -> None:
    """What is opened and what is barred never end up in one list."""
    assert _read(tree(FILES), "allow")[0] == {"elpmaxe.doog."}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["block", "category"])
def test_an_import_takes_the_folder(
    school: School, tree: Callable[[dict[str, str]], Path], kind: str
) -> None:
    """The folder becomes one list, compiled and in force."""
    wanted = Wanted("old", "Old", ("gambling",), use=kind, format=Format.E2GUARDIAN)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    done = import_list(tree(FILES), wanted, school.paths, now=now, compile_all=school.compile)
    assert done.lists[0].format == "e2guardian"
    assert school.listed("www.deep.example") == {"old"}
    assert school.listed("good.example") == set()
