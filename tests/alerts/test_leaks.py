"""Nothing personal leaves: searched for in everything that can leave, after it was planted in everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.planted import forms, search


def test_the_search_finds_what_is_there() -> None:
    """A search that cannot find anything would prove nothing."""
    assert all(form in f"x {form} y" for form in forms("абвгдежзик"))
    assert len(set(forms("абвгдежзик"))) == 4


@pytest.mark.slow
def test_no_planted_word_comes_out_in_any_form(tmp_path: Path) -> None:
    """Names, hosts and search terms of every script, with HTML and headers in them: none leaks (W:422)."""
    found = search(tmp_path, 4_000)
    assert found.rendered >= 4_000
    assert found.leaks == ()
