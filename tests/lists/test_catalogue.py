"""The catalogue and the help lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.config.problems import ProblemsError
from appliance.lists.catalogue import load_catalogue, load_categories, load_help
from appliance.lists.compiler import compile_lists, help_addresses
from appliance.lists.suffixes import public_suffixes

if TYPE_CHECKING:
    from tests.lists.conftest import School

SHIPPED = Path(__file__).resolve().parents[2] / "blocklists"
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


@pytest.mark.slow
def test_shipped_catalogue_is_sound() -> None:
    """Every category exists and every file that is named is there."""
    catalogue = load_catalogue(SHIPPED)
    assert {entry.category for entry in catalogue.floor} == {"csam", "terrorism"}
    assert all(entry.use == "category" for entry in catalogue.lists)


@pytest.mark.slow
def test_every_folder_of_ut1_is_mapped() -> None:
    """Importing UT1 whole leaves no folder out by oversight."""
    table = (SHARED / "data" / "README.md").read_text("utf-8").partition("| category | domains |")[2]
    rows = [
        line.split("|")[1].strip() for line in table.partition("\n\n")[0].splitlines() if line.count("|") > 4
    ]
    folders = {row for row in rows if row and set(row) != {"-"}}
    assert len(folders) > 60
    mapped = set(load_catalogue(SHIPPED).trees[0].folders)
    assert folders - mapped == set()


@pytest.mark.slow
def test_the_main_categories_have_a_list() -> None:
    """The demonstration works with no network: what schools rate is fed by something that ships."""
    fed = {name for entry in load_catalogue(SHIPPED).lists for name in entry.categories}
    assert fed >= {
        *("gambling", "pornography", "social_media", "video_streaming", "generative_ai", "shopping"),
        *("games_noneducational", "games_educational", "education", "search_engines", "filter_bypass"),
        *("malware", "drugs", "self_harm", "hate_speech", "weapons", "dating", "webmail", "file_sharing"),
    }
    assert fed <= load_categories(SHIPPED)


@pytest.mark.slow
def test_every_line_that_ships_is_used(tmp_path: Path) -> None:
    """Our own lists have no mistakes: nothing of them is skipped or quarantined."""
    lists = compile_lists(SHIPPED, tmp_path, 0.0).contents.lists
    assert [info.id for info in lists if info.skipped or info.quarantined or not info.entries] == []


@pytest.mark.slow
def test_help_lines_hold_the_ones_that_children_are_told_of() -> None:
    """Childline, CEOP, Report Remove and the like are open (law: never block help)."""
    addresses = [url for _, url in help_addresses(SHIPPED)]
    hosts = {url.host for url in addresses}
    assert hosts >= {
        *(
            "childline.org.uk",
            "ceop.police.uk",
            "reportremove.iwf.org.uk",
            "samaritans.org",
            "giveusashout.org",
        ),
        *("nspcc.org.uk", "kooth.com", "themix.org.uk", "papyrus-uk.org", "beateatingdisorders.org.uk"),
        *(
            "talktofrank.com",
            "refuge.org.uk",
            "report.iwf.org.uk",
            "actionfraud.police.uk",
            "youngminds.org.uk",
        ),
        *("reportharmfulcontent.com", "victimsupport.org.uk", "111.nhs.uk", "stopitnow.org.uk"),
        *("runawayhelpline.org.uk", "myh.org.uk", "switchboard.lgbt"),
    }
    assert not [url for url in addresses if url.path == "/" and url.host in public_suffixes()]


@pytest.mark.slow
def test_development_floor_names_reserved_names_alone() -> None:
    """What ships as a floor points at nothing real."""
    for entry in load_catalogue(SHIPPED).floor:
        assert entry.source
        lines = (SHIPPED / entry.source).read_text("utf-8").splitlines()
        entries = [line for line in lines if line and line[0] != "#"]
        assert entries
        assert all(".example" in line or line == "192.0.2.66" for line in entries)
        assert "not compliance" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gambling]", "gamblng]", "gamblng"),
        ("bets.txt", "none.txt", "none.txt"),
        ("id: ctiru,", "id: iwf,", "iwf"),
        ("category: csam", "category: csm", "csm"),
        ("use: block", "use: blok", "block"),
        ("categories: [gambling], ", "", "category"),
        ("use: skip, because: it is old", "use: skip", "because"),
    ],
)
def test_a_wrong_catalogue_says_where_and_what(school: School, old: str, new: str, said: str) -> None:
    """Each mistake is told with file and line, and with what was meant."""
    text = (school.blocklists / "catalogue.yaml").read_text()
    assert old in text
    school.write("catalogue.yaml", text.replace(old, new))
    with pytest.raises(ProblemsError) as caught:
        load_catalogue(school.blocklists)
    assert said in str(caught.value)
    assert "catalogue.yaml:" in str(caught.value)


def test_help_without_an_address_is_a_problem(school: School) -> None:
    """A help line that cannot be reached is a mistake to be told."""
    school.write("help.yaml", "lines:\n  - {id: x, name: X, addresses: []}\n")
    with pytest.raises(ProblemsError):
        load_help(school.blocklists)


@pytest.mark.slow
@pytest.mark.parametrize("entry", ["http://[", "www.gov uk"])
def test_a_site_to_be_kept_open_is_an_address(school: School, entry: str) -> None:
    """A slip in `keep_open` would leave a site without its guard, unnoticed."""
    catalogue = school.blocklists / "catalogue.yaml"
    catalogue.write_text(f"{catalogue.read_text('utf-8')}keep_open:\n  - '{entry}'\n", "utf-8")
    with pytest.raises(ProblemsError, match=r"catalogue.yaml:\d+:5: .* write a host such as www.nhs.uk"):
        load_catalogue(school.blocklists)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "# moved away\n\n"])
def test_an_emptied_list_is_told(school: School, text: str) -> None:
    """A list that was emptied by a slip would open every site on it; the old table stays instead."""
    school.write("bets.txt", text)
    with pytest.raises(ProblemsError, match=r"catalogue.yaml:\d+:\d+: .*bets.txt holds no entry"):
        load_catalogue(school.blocklists)


def test_help_lines_cannot_be_emptied(school: School) -> None:
    """No edit leaves children without any way to help (A10)."""
    school.write("help.yaml", "lines: []\n")
    with pytest.raises(ProblemsError, match="'lines' must not be empty"):
        load_help(school.blocklists)
