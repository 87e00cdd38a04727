"""Tests of the settings of the self-test."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.reports.options_tests import Probe, SelfTestSettings


def test_what_the_standard_names_is_tested_unless_a_school_says_otherwise() -> None:
    """DFE-V5: illegal images, terrorist content and adult content, and that help stays open."""
    expected = [probe.expect for probe in SelfTestSettings().probes]
    assert expected == ["statutory", "statutory", "blocked", "open"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "x"},
        {"title": "x", "address": "http://a.example/", "category": "gambling"},
        {"title": "x", "address": "a.example"},
        {"title": "x", "address": "http://name:word@a.example/"},
        {"title": "x", "address": "http://a b.example/"},
        {"title": "x", "address": "ftp://a.example/"},
        {"title": "x", "category": "gambling", "expect": "statutory"},
        {"title": "x", "category": "gambling", "expect": "closed"},
    ],
)
def test_a_slip_is_a_problem(wrong: dict[str, str]) -> None:
    """`check` names what could never be tested."""
    with pytest.raises(ValidationError):
        Probe.model_validate(wrong)
    with pytest.raises(ValidationError):
        SelfTestSettings(probes=())
