"""`appliance lists import`: what is refused before anything is read, and what is said."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.lists import lists
from appliance.cli.setup import Setup


def _run(where: Setup, *arguments: str) -> Result:
    return CliRunner().invoke(lists, arguments, obj=where)


@pytest.fixture
def bets(tmp_path: Path) -> str:
    path = tmp_path / "bets.txt"
    path.write_text("a-bet.example\nb-bet.example\n")
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("LIST",), "--category"),
        (("LIST", "-c", "gamblng"), "did you mean 'gambling'"),
        (("LIST", "-c", "gambling", "--id", "A B"), "a-b"),
        (("LIST", "-c", "gambling", "--id", "local"), "belongs to the gateway itself"),
        (("LIST", "-c", "gambling", "--id", "demo-gambling"), "belongs to the gateway itself"),
        (("LIST", "-c", "gambling", "--id", "iwf-development"), "belongs to the gateway itself"),
        (("LIST", "-c", "gambling", "--id", "ut1"), "belongs to the gateway itself"),
        (("LIST", "-c", "gambling", "--id", "ut1-adult"), "belongs to the collection 'ut1' itself"),
        (("nowhere.txt", "-c", "gambling"), "nowhere.txt"),
    ],
)
def test_what_cannot_be_imported_is_2_with_a_reason(
    compiled: Setup, bets: str, arguments: tuple[str, ...], said: str
) -> None:
    """Mistakes are told on stderr, change nothing, and exit with 2."""
    done = _run(compiled, "import", *(bets if word == "LIST" else word for word in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert not (compiled.state / "lists/imported").exists()


@pytest.mark.slow
def test_a_second_file_of_the_same_name_takes_no_lists_place(compiled: Setup, bets: str) -> None:
    """A file about something else is another list, whatever it is called: what was imported first stays."""
    assert _run(compiled, "import", bets, "-c", "gambling").exit_code == 0
    done = _run(compiled, "import", bets, "-c", "dating")
    assert done.exit_code == 2
    assert "about gambling, from bets.txt, 2 entries" in done.stderr
    assert "--id bets-2" in done.stderr
    assert "gambling" in _run(compiled, "lookup", "a-bet.example").stdout


@pytest.mark.slow
def test_the_same_list_again_says_whose_place_it_takes(compiled: Setup, bets: str) -> None:
    """A new edition of a list is told apart from a new list, with the way back."""
    assert "bets: a new list" in _run(compiled, "import", bets, "-c", "gambling").stderr
    assert "bets: the same entries" in _run(compiled, "import", bets, "-c", "gambling").stderr
    Path(bets).write_text("c-bet.example\n")
    told = _run(compiled, "import", bets, "-c", "gambling").stderr
    assert "takes the place of the edition of" in told
    assert "2 entries from bets.txt" in told
    assert "appliance lists rollback bets" in told


@pytest.mark.slow
def test_a_list_in_a_statutory_category_says_what_that_means(compiled: Setup, bets: str) -> None:
    """Nobody closes a site beyond recall, or leaves a licensed list readable, without having been told."""
    done = _run(compiled, "import", bets, "-c", "csam")
    assert done.exit_code == 0
    assert "no profile and no `lists add allow` opens it" in done.stderr
    assert "floor:" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("head", [b"", b"7z\xbc\xaf\x27\x1c", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_text_is_refused(compiled: Setup, tmp_path: Path, head: bytes) -> None:
    """A picture or an unknown archive gives no list of stray bytes, but a sentence."""
    path = tmp_path / "list.bin"
    path.write_bytes(head + random.Random(1).randbytes(40_000))
    done = _run(compiled, "import", str(path), "-c", "gambling", "--format", "domains")
    assert done.exit_code == 2
    assert "no text" in done.stderr


@pytest.mark.slow
def test_what_root_imports_the_gateway_can_read(compiled: Setup, bets: str) -> None:
    """Imported with sudo on the gateway's own state, every file still belongs to the gateway's user."""
    if os.geteuid() == 0:
        for path in (compiled.state, *compiled.state.rglob("*")):
            os.chown(path, 12_345, 12_345)
    owner = compiled.state.stat().st_uid
    assert _run(compiled, "import", bets, "-c", "gambling").exit_code == 0
    assert _run(compiled, "add", "block", "x.example", "--because", "a test").exit_code == 0
    assert {path.stat().st_uid for path in compiled.state.rglob("*")} == {owner}
