from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mitmproxy.coretypes.multidict import MultiDict
from mitmproxy.http import Headers

from appliance.gateway.fields import contains, get, get_all, without

NAMES = st.sampled_from([b"Host", b"host", b"HOST", b"Accept", b"x-\xff", b"X-\xc3\xa9", b""])
VALUES = st.binary(max_size=6)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)


def theirs(headers: Headers, name: str | bytes) -> list[str]:
    """What mitmproxy's own code finds, by the way it goes."""
    key = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name
    return [value.decode("utf-8", "surrogateescape") for value in MultiDict.get_all(headers, key)]


@pytest.mark.slow
@given(FIELDS, NAMES)
@example(((b"Host", b"a.example"), (b"hOST", b"\xff")), b"host")
@settings(max_examples=30)
def test_what_is_found_is_what_mitmproxy_would_find(
    fields: tuple[tuple[bytes, bytes], ...], name: bytes
) -> None:
    """The filter must not overlook a second Host header, however it is spelt (H24)."""
    headers = Headers(fields)
    for asked in (name, name.decode("utf-8", "surrogateescape")):
        found = theirs(headers, asked)
        assert get_all(headers, asked) == headers.get_all(asked) == found
        assert get(headers, asked) == headers.get(asked) == (", ".join(found) if found else None)
        assert contains(headers, asked) is (asked in headers) is bool(found)
        assert headers.get(asked, "other") == (", ".join(found) if found else "other")


@pytest.mark.slow
@given(FIELDS)
@settings(max_examples=20)
def test_what_is_taken_away_is_gone_in_every_spelling(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    """A site hears nothing of what was said to the proxy itself."""
    headers = Headers(fields)
    without(headers, frozenset({b"host", b"x-\xff"}))
    assert "host" not in headers
    assert headers.fields == tuple(one for one in fields if one[0].lower() not in (b"host", b"x-\xff"))


@pytest.mark.parametrize("change", [lambda h: h.pop("host"), lambda h: h.__delitem__("host")])
def test_fields_can_still_be_changed(change: Callable[[Headers], Any]) -> None:
    """What goes on to the site is written by mitmproxy's own functions, over what is found here."""
    headers = Headers(((b"Host", b"a.example"), (b"A", b"b")))
    change(headers)
    assert headers.fields == ((b"A", b"b"),)
    headers["HOST"] = "c.example"
    assert (headers["host"], headers.setdefault("a", "x")) == ("c.example", "b")


def test_no_name_is_no_field() -> None:
    """A mistake in our own code is told, and does not read as a field that is missing."""
    with pytest.raises(TypeError):
        _ = 1 in Headers(((b"1", b""),))
