"""Keys: everything that covers an address is a prefix of the address's own key."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.entries import (
    EntryRefusedError,
    _key_of_other,
    _key_of_plain,
    base_key,
    covers,
    host_key,
    key_of,
    listed_path,
    shown,
)
from appliance.model.url import parse_typed, parse_url

LABEL = st.text("ab0-", min_size=1, max_size=6).filter(lambda label: label.strip("-") == label)
HOSTS = st.lists(LABEL, min_size=1, max_size=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("example.org", "gro.elpmaxe."),
        ("EXAMPLE.Org.", "gro.elpmaxe."),
        ("www.example.org", "gro.elpmaxe.www."),
        ("http://example.org/", "gro.elpmaxe."),
        ("http://user:pass@example.org:8080", "gro.elpmaxe."),
        ("example.org:8080", "gro.elpmaxe."),
        ("example.org/a/b/", "gro.elpmaxe./a/b"),
        ("https://example.org/A%62c?Q=1", "gro.elpmaxe./abc?q=1"),
        ("münchen.example", "elpmaxe.ay3-nehcnm--nx."),
        ("192.0.2.1", "4/11000000000000000000001000000001"),
        ("0300.0.2.1", "4/11000000000000000000001000000001"),
        ("192.0.2.0/24", "4/110000000000000000000010"),
        ("192.0.2.77/24", "4/110000000000000000000010"),
        ("http://192.0.2.1/x", "=192.0.2.1./x"),
        ("2001:db8::/32", "6/" + f"{0x20010DB8:032b}"),
        ("cafe.de/12", "ed.efac./12"),
    ],
)
def test_each_kind_of_entry_has_its_key(text: str, key: str) -> None:
    """Names, URLs, addresses and networks become the one form in which they are looked up."""
    assert key_of(text) == key


ODD = st.sampled_from(
    ["a", "B", "xn--", "-", "_", ".", "..", "/", "//", "/.", "?", "%41", ":8", "192.0.2.1", "256", "~"]
)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.sampled_from(["", "http://", "https://"]),
    st.one_of(
        HOSTS.map(lambda labels: ".".join([*labels, "example"])),
        st.lists(st.integers(0, 300), min_size=4, max_size=4).map(lambda octets: ".".join(map(str, octets))),
    ),
    st.lists(ODD, max_size=5).map("".join),
)
def test_the_quick_way_is_the_long_way(scheme: str, host: str, rest: str) -> None:
    """A plain entry gets the very key that the parser of addresses would give it, so no spelling is lost."""
    text = scheme + host + rest
    if quick := _key_of_plain(text):
        assert quick == _key_of_other(text)


@pytest.mark.parametrize(
    "text",
    ["", "a b.example", "exa<mple.org", "ftp://example.org/x", "0.0.0.0/0", "::/0", "http://", "x\0.example"],
)
def test_what_is_no_entry_is_refused_without_repeating_it(text: str) -> None:
    """A bad line gives a reason, and the reason does not carry the line (it may be a floor entry)."""
    with pytest.raises(EntryRefusedError) as caught:
        key_of(text)
    assert len(text) < 4 or text not in str(caught.value)


@pytest.mark.slow
@settings(max_examples=40)
@given(HOSTS)
def test_a_name_is_shown_as_it_was_written(labels: list[str]) -> None:
    """What status and reasons print is the entry itself."""
    name = ".".join([*labels, "example"])
    if "xn--" not in name:
        assert shown(key_of(name)) == name


@pytest.mark.parametrize(
    "entry", ["example.org/a/b", "192.0.2.0/24", "192.0.2.7", "192.0.2.7/x", "2001:db8::/32"]
)
def test_other_entries_are_shown_as_written(entry: str) -> None:
    """URLs, addresses and networks come back from their keys."""
    assert shown(key_of(entry)) == entry


@pytest.mark.slow
@settings(max_examples=40)
@given(HOSTS, HOSTS)
def test_parent_is_prefix_and_neighbour_is_not(parent: list[str], child: list[str]) -> None:
    """example.org covers www.example.org, and never notexample.org."""
    name = ".".join([*parent, "example"])
    below = parse_typed(".".join([*child, name]))
    beside = parse_typed(f"x{name}")
    assert host_key(below).startswith(host_key(parse_typed(name)))
    assert not host_key(beside).startswith(host_key(parse_typed(name)))


@pytest.mark.parametrize(
    ("address", "covered"),
    [
        ("http://x.test/pay", True),
        ("http://x.test/pay/", True),
        ("http://x.test/pay/now", True),
        ("http://x.test/pay?now", True),
        ("http://x.test/payroll", False),
        ("http://x.test/%70ay", True),
        ("http://x.test/a/../pay", True),
        ("http://x.test//PAY", True),
    ],
)
def test_a_path_ends_at_a_boundary(address: str, *, covered: bool) -> None:
    """/pay covers all below it and every spelling of it, but not /payroll."""
    url, entry = parse_url(address), key_of("x.test/pay")
    key = base_key(url) + listed_path(url)
    assert (key.startswith(entry) and covers(entry, key)) is covered


@pytest.mark.parametrize("text", ["a..b.example", "http://a..b.example/x", "*.a.example", "a*b.example/x"])
def test_a_slip_of_the_pen_is_no_entry(text: str) -> None:
    """What was mistyped is told with its reason, and never kept as a name that nothing matches."""
    with pytest.raises(EntryRefusedError, match=r"two dots|a \*"):
        key_of(text)
    assert shown(key_of("a.example/b..c*")) == "a.example/b..c*"
