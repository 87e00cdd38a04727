"""An upload to a blocked site: not one byte of it leaves the school, and the pupil reads why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.lab import BOTH, Got, Lab, Via

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SIZE = 20 << 20
WAYS = {
    "http1": ("--http1.1", "-H", "Expect:"),
    "asking first": ("--http1.1", "-H", "Expect: 100-continue"),
    "chunked": ("--http1.1", "-H", "Expect:", "-H", "Transfer-Encoding: chunked"),
    "chunked, asking first": ("--http1.1", "-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked"),
    "http2": ("--http2",),
}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 20 MB."""
    path = tmp_path_factory.mktemp("film") / "film"
    path.write_bytes(bytes(SIZE))
    return path


@pytest.fixture
def refused(lab: Lab, film: Path) -> Callable[..., Got]:
    """Upload to a blocked site and return what came back; the site must have been left alone."""

    def upload(url: str, way: str, via: Via, method: str) -> Got:
        got = lab.curl(url, *WAYS[way], "-X", method, "--data-binary", f"@{film}", via=via)
        assert lab.origin.packets_to_blocked() == 0, "the blocked site was contacted"
        return got

    return upload


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_byte_of_an_upload_to_a_blocked_site_leaves(
    lab: Lab, refused: Callable[..., Got], scheme: str, way: str, via: Via
) -> None:
    """A picture that a child is pressed to send does not get out while the filter still thinks (H4, H5)."""
    got = refused(f"{scheme}://gambling.example/up", way, via, "POST")
    assert got.status == 403
    row = lab.gateway.record_of(got.reference)
    assert (row["method"], row["action"], row["category"]) == ("POST", "block", "gambling")
    assert row["bytes_received"] == 0
