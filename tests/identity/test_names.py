from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity.names import IdentityError, key, neat


@pytest.mark.parametrize("name", ["amy.smith", "Zoë Ó Briain", "Жанна", "李小龍", "محمد", "Class 1B"])
def test_a_name_may_be_in_any_script(name: str) -> None:
    """S-04: a child signs in with the own name, however it is written."""
    assert neat(f"  {name} ") == name


@pytest.mark.parametrize(
    ("one", "other"), [("Amy", "aMY"), ("ＡＭＹ", "amy"), ("Zoe\u0308", "Zoë"), ("a  b", "A b")]
)
def test_spellings_of_one_name_are_one(one: str, other: str) -> None:
    """Nobody can have an account that looks like somebody else's but is another."""
    assert key(one) == key(other)


@pytest.mark.parametrize("name", ["", "   ", "a:b", "a\u202eb", "a\nb" * 2 + "\x00", "x" * 65])
def test_what_can_be_no_name_is_told(name: str) -> None:
    """A name with a colon could not be sent as proxy credentials, and an invisible sign would deceive."""
    with pytest.raises(IdentityError):
        neat(name)


@pytest.mark.slow
@given(st.text(max_size=80))
def test_a_key_is_its_own_key(text: str) -> None:
    """Comparing names twice never changes the answer, whatever was typed."""
    assert key(key(text)) == key(text)
