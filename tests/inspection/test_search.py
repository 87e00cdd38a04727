"""Search terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.inspection.search import MAX_READ, MAX_TERM, may_hold_term, posted_term, search_term
from appliance.model.url import parse_url


@pytest.mark.parametrize(
    ("address", "term"),
    [
        ("https://www.google.com/search?q=roman+roads&ie=UTF-8", "roman roads"),
        ("https://www.google.co.uk/search?q=caf%C3%A9", "café"),
        ("https://www.bing.com/search?q=volcano", "volcano"),
        ("https://duckduckgo.com/?t=h_&q=owls", "owls"),
        ("https://uk.search.yahoo.com/search?p=planets", "planets"),
        ("https://www.youtube.com/results?search_query=how+to+draw", "how to draw"),
        ("https://en.wikipedia.org/w/index.php?search=Thames", "Thames"),
        ("https://www.google.com/search?q=first&q=second", "first"),
        ("https://www.google.com/search?q=", ""),
        ("https://www.google.com/maps", ""),
        ("https://example.org/?q=not+a+search+engine", ""),
        ("https://google.example.org/?q=not+google", ""),
    ],
)
def test_terms_are_found(address: str, term: str) -> None:
    """What a pupil searched for is what the safeguarding lead needs to see (DFE-F10)."""
    assert search_term(parse_url(address)) == term


def test_a_term_is_cut() -> None:
    """A term of a megabyte does not fill the log."""
    assert len(search_term(parse_url(f"https://www.google.com/search?q={'a' * 5000}"))) == MAX_TERM


@pytest.mark.slow
@given(st.text(max_size=80))
def test_no_query_breaks_it(query: str) -> None:
    """A query in any script, with any bytes, gives a term or none."""
    search_term(parse_url(f"https://www.google.com/search?q={query}"))


_FORM = "application/x-www-form-urlencoded; charset=UTF-8"


@pytest.mark.parametrize(
    ("host", "kind", "body", "term"),
    [
        ("html.duckduckgo.com", _FORM, b"q=roman+roads&b=&kl=uk-en", "roman roads"),
        ("www.startpage.com", _FORM.upper(), "query=café&cat=web".encode(), "café"),
        ("www.startpage.com", _FORM, b"query=caf%C3%A9", "café"),
        ("duckduckgo.com", _FORM, b"\xff\xfeq=1&q=owls\x00", "owls\x00"),
        ("duckduckgo.com", "text/plain", b"q=owls", ""),
        ("duckduckgo.com", "", b"q=owls", ""),
        ("duckduckgo.com", _FORM, b"", ""),
        ("duckduckgo.com", _FORM, b"user=amy&password=secret", ""),
        ("bank.example", _FORM, b"q=secret", ""),
        ("duckduckgo.com", _FORM, b"pad=" + b"x" * MAX_READ + b"&q=too-far", ""),
    ],
)
def test_terms_are_found_in_forms(host: str, kind: str, body: bytes, term: str) -> None:
    """An engine that keeps words out of addresses hides them from nobody; nothing else is read (S-40)."""
    url = parse_url(f"https://{host}/search")
    assert posted_term(url, kind, body) == term
    assert may_hold_term(url, "POST") is (host != "bank.example")
    assert not may_hold_term(url, "GET")


@given(st.binary(max_size=300))
def test_no_form_breaks_it(body: bytes) -> None:
    """A form in any script, with any bytes, gives a term of bounded length or none."""
    assert len(posted_term(parse_url("https://duckduckgo.com/"), _FORM, b"q=" + body)) <= MAX_TERM
