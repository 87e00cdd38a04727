"""What the journeys share: schools in a box, built when first needed and taken away at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.slapd import Slapd, prepared
from tests.journeys.lab import Lab, built


def _school(folder: pytest.TempPathFactory, set_id: str = "westways") -> Iterator[Lab]:
    with built(folder.mktemp("lab"), set_id) as made:
        yield made
        assert made.origin.packets_to_blocked() == 0, "a blocked site was contacted"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary school with its gateway running, for all tests that leave it as they found it."""
    yield from _school(tmp_path_factory)


@pytest.fixture(scope="session")
def rough_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary school to be broken while it runs; each test mends what it broke."""
    yield from _school(tmp_path_factory)


@pytest.fixture(scope="module")
def brief_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A primary school whose gateway a test may end, and start again."""
    yield from _school(tmp_path_factory)


@pytest.fixture(scope="module")
def trust_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A school of the trust, with its key stages up to the sixth form."""
    yield from _school(tmp_path_factory, "west")


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A real directory with the doubles' people, which each module starts and stops as it needs."""
    made = prepared(tmp_path_factory.mktemp("slapd"))
    try:
        yield made
    finally:
        made.stop()
