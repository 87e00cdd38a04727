"""Search terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.inspection.search import MAX_TERM, search_term
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
