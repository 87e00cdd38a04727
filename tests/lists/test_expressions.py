"""Host-suffix and path-prefix expressions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lists.expressions import (
    MOST_FOLDERS,
    covering,
    covering_before,
    host_suffixes,
    listed,
    path_prefixes,
    queried,
    safe_browsing,
)
from appliance.model.url import parse_typed, parse_url


def test_specification_example_with_query() -> None:
    """The first worked example of the Safe Browsing specification comes out as printed there."""
    assert set(safe_browsing(parse_url("http://a.b.c/1/2.html?param=1"))) == {
        *("a.b.c/1/2.html?param=1", "a.b.c/1/2.html", "a.b.c/", "a.b.c/1/"),
        *("b.c/1/2.html?param=1", "b.c/1/2.html", "b.c/", "b.c/1/"),
    }


def test_specification_example_with_many_labels() -> None:
    """Of a long host name only the last five labels give parents, as the specification says."""
    assert set(safe_browsing(parse_url("http://a.b.c.d.e.f.g/1.html"))) == {
        f"{host}{path}"
        for host in ("a.b.c.d.e.f.g", "c.d.e.f.g", "d.e.f.g", "e.f.g", "f.g")
        for path in ("/1.html", "/")
    }


def test_specification_example_with_address() -> None:
    """An IP address has no parents: 4.3 is not a site."""
    assert set(safe_browsing(parse_url("http://1.2.3.4/1/"))) == {"1.2.3.4/1/", "1.2.3.4/"}


def test_specification_limits_folders() -> None:
    """No more than four folders from the root, and the whole path with and without its query."""
    assert path_prefixes(parse_url("http://x.test/a/b/c/d/e.html?q=1"), 4) == (
        *("/a/b/c/d/e.html?q=1", "/a/b/c/d/e.html"),
        *("/", "/a/", "/a/b/", "/a/b/c/"),
    )


def test_a_deep_folder_is_still_found() -> None:
    """A listed folder six levels down covers what lies in it, beyond the specification's limits (IWF-3)."""
    url = parse_url("http://x.test/1/2/3/4/5/6/image.jpg")
    assert "x.test/1/2/3/4/5/6" in set(covering("x.test", url))
    assert "x.test/1/2/3/4/5/6/" in set(covering_before("x.test", url))


def test_slash_at_the_end_is_no_way_round() -> None:
    """A server that answers /page and /page/ alike does not let a listed page through."""
    assert "x.test/page" in set(covering("x.test", parse_url("http://x.test/page/")))
    assert "x.test/page/" in set(covering_before("x.test", parse_url("http://x.test/page?x=1")))


def test_work_is_bounded() -> None:
    """A path of thousands of folders costs no more than a path of a few dozen."""
    url = parse_url("http://x.test/" + "a/" * 5000)
    assert len(list(covering("x.test", url))) <= MOST_FOLDERS + 2
    assert (
        len(list(covering_before("x.test", parse_url("http://x.test/" + "A;" * 5000))))
        <= 4 * MOST_FOLDERS + 8
    )
    assert len(list(queried("x.test", url))) <= MOST_FOLDERS + 2


@pytest.mark.parametrize(
    ("entry", "expression", "beginnings"),
    [
        ("http://X.test/", "x.test/", ()),
        ("http://x.test/A/Page.php", "x.test/a/page.php", ()),
        ("http://x.test/folder/?", "x.test/folder", ()),
        (
            "http://x.test/q?b=2&A=1&&b=2",
            "x.test/q?a=1&b=2",
            ("x.test/q?", "x.test/q?a=1", "x.test/q?a=1&b=2"),
        ),
        ("http://x.test/q?a+b;c", "x.test/q?a%20b&c", ("x.test/q?", "x.test/q?a%20b", "x.test/q?a%20b&c")),
    ],
)
def test_an_entry_is_kept_in_one_form(entry: str, expression: str, beginnings: tuple[str, ...]) -> None:
    """Letter case, order and repetition of what is listed do not matter."""
    assert listed(parse_url(entry)) == (expression, beginnings)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a", "bc", "x-1"]), min_size=1, max_size=8))
def test_every_parent_of_a_host_is_tried(labels: list[str]) -> None:
    """Each suffix of at least two labels is among the hosts, and the host itself first."""
    host = ".".join([*labels, "test"])
    found = host_suffixes(parse_typed(host))
    assert found[0] == host
    assert set(found) >= {".".join((host.split("."))[i:]) for i in range(host.count("."))}
