from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.portal.guard import Guard, fields_of


def test_a_token_is_for_one_cookie_and_one_device() -> None:
    """CSRF: a token that another visitor saw, or another device, is worth nothing here."""
    guard = Guard()
    fields = {"token": guard.token("cookie", "10.0.0.1")}
    assert guard.accepts(fields, "cookie", "10.0.0.1", "same-origin")
    assert not guard.accepts(fields, "other", "10.0.0.1", "")
    assert not guard.accepts(fields, "cookie", "10.0.0.2", "")
    assert not guard.accepts(fields, "cookie", "10.0.0.1", "cross-site")
    assert not guard.accepts({"token": guard.token("", "10.0.0.1")}, "", "10.0.0.1", "")
    assert not Guard().accepts(fields, "cookie", "10.0.0.1", "")


def test_unfinished_sign_ins_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of half sign-ins pushes out the oldest, and old ones are worth nothing."""
    monkeypatch.setattr("appliance.portal.guard.STEPS", 20)
    guard = Guard()
    first = guard.begin("amy", "10.0.0.1", 0.0)
    assert guard.whose(first, "10.0.0.1", 1.0) == "amy"
    assert guard.whose(first, "10.0.0.2", 1.0) == ""
    assert guard.whose(first, "10.0.0.1", 601.0) == ""
    for _ in range(20):
        guard.begin("ben", "10.0.0.1", 1.0)
    assert guard.whose(first, "10.0.0.1", 2.0) == ""
    last = guard.begin("cay", "10.0.0.1", 2.0)
    guard.end(last)
    assert guard.whose(last, "10.0.0.1", 2.0) == ""


@given(st.binary(max_size=300))
def test_any_body_is_a_form_or_an_empty_one(body: bytes) -> None:
    """Whatever a client sends, the sign-in reads fields or none, and never fails."""
    assert all(isinstance(value, str) for value in fields_of(body).values())


def test_a_form_with_too_many_fields_is_none_of_ours() -> None:
    """A form made to keep a processor busy is dropped unread."""
    assert fields_of(b"&".join(b"a%d=1" % n for n in range(99))) == {}
    assert fields_of(b"a=1&a=2&b=") == {"a": "1", "b": ""}
