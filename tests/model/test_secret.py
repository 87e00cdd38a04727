"""Secrets."""

from __future__ import annotations

import json
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.secret import REDACTED, Secret

HIDDEN = "https://floor-test.example/never/shown"


@pytest.mark.slow
@given(st.text(min_size=12))
def test_no_text_form_holds_the_value(value: str) -> None:
    """Whatever prints a secret (log, f-string, traceback) prints a placeholder."""
    secret = Secret(value)
    forms = (str(secret), repr(secret), f"{secret}", f"{secret!r:>60}", f"{[secret]}", f"{secret}")
    assert all(value not in form and REDACTED in form for form in forms)


def test_a_secret_reaches_no_file(caplog: pytest.LogCaptureFixture) -> None:
    """Logging, JSON and pickle are ways onto a disk; none of them carries the value."""
    secret = Secret(HIDDEN)
    logging.getLogger("test").warning("matched %s", secret)
    assert HIDDEN not in caplog.text
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"url": secret})


def test_reveal_is_the_one_way_in() -> None:
    """The value is there for the one who has to use it, and secrets compare by value."""
    assert Secret(HIDDEN).reveal() == HIDDEN
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
