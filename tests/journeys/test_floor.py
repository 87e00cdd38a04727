"""The statutory lists on the wire: never reached, never repeated, and the gate closes when they are gone."""

from __future__ import annotations

import time

import pytest

from appliance.lists.compiler import compile_lists
from tests.journeys.lab import BOTH, SETS, Lab, Via
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LISTED = "floor-test.example/listed/page.html"
ADDRESSES = (f"http://{LISTED}", f"https://{LISTED}", "https://ctiru-test.example/any")
OPEN = "https://education.example/"


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("url", ADDRESSES)
def test_what_a_statutory_list_names_is_blocked_and_repeated_nowhere(
    rough_lab: Lab, url: str, via: Via
) -> None:
    """Nobody reaches unlawful material, staff included, and no page or log shows where it is (S-18)."""
    for group in SETS["westways"]:
        got = rough_lab.curl(url, via=via, who=group)
        assert got.status == 403
        assert rough_lab.origin.saw("listed") == []
        for word in ("floor-test", "listed/page", "ctiru-test"):
            assert word not in got.body
        row = rough_lab.gateway.record_of(got.reference)
        assert (row["reason"], row["floor"], row["flagged"], row["severity"]) == ("floor", True, True, 4)
        assert (row["url"], row["host"], row["group"]) == (None, "", group)


def test_the_command_says_the_same_of_a_hit_and_repeats_no_address(rough_lab: Lab) -> None:
    """A technician who looks into a block sees the reason and never the address."""
    said = rough_lab.gateway.explain("staff", *ADDRESSES)
    for url, answer in zip(ADDRESSES, said, strict=True):
        got = rough_lab.curl(url, who="staff")
        row = rough_lab.gateway.record_of(got.reference)
        assert answer["url"] is None
        for key in ("action", "reason", "category", "rule", "list", "profile", "floor", "because"):
            assert answer[key] == row[key], key


def test_what_was_hit_stands_in_no_file_that_the_gateway_wrote(rough_lab: Lab) -> None:
    """Whoever reads the disk of a gateway learns no address of a statutory list from it (ILL-1)."""
    assert rough_lab.curl(f"https://{LISTED}").status == 403
    assert rough_lab.curl("http://ctiru-test.example/x").status == 403
    for path in rough_lab.gateway.state.rglob("*"):
        # running.yaml is the technician's own configuration, in which this lab names its sites.
        if path.is_file() and path.name != "running.yaml":
            data = path.read_bytes()
            assert b"listed/page" not in data, path
            assert b"ctiru-test.example" not in data, path
    assert "floor-test" not in rough_lab.gateway.said()


@pytest.mark.parametrize("loss", ["missing", "stale", "unreadable"])
def test_the_gate_closes_while_the_statutory_lists_cannot_be_relied_upon(rough_lab: Lab, loss: str) -> None:
    """A floor that is lost while lessons run closes the web and leaves help open; mended, it opens (S-54)."""
    gateway = rough_lab.gateway
    floor = gateway.state / "lists" / "floor.bin"
    assert rough_lab.curl(OPEN).status == 200
    begun = time.monotonic()
    if loss == "missing":
        floor.unlink()
    elif loss == "unreadable":
        floor.write_bytes(floor.read_bytes()[:-1] + b"x")
    else:
        compile_lists(gateway.folder / "blocklists", gateway.state, time.time() - 49 * 3600)
    until(lambda: rough_lab.curl(OPEN).status == 503, "the gate closes")
    print(f"{loss}: closed after {time.monotonic() - begun:.2f} s")
    for via in BOTH:
        got = rough_lab.curl(OPEN, via=via)
        row = gateway.record_of(got.reference)
        assert (got.status, row["reason"]) == (503, "floor_unavailable")
        assert rough_lab.curl("https://childline.org.uk/", via=via).status == 200
        assert rough_lab.curl("https://samaritans.org/", via=via, who="eyfs").status == 200
        assert rough_lab.curl(f"http://{LISTED}", via=via).status in (403, 503)
    until(lambda: rough_lab.total("gateway_floor_state", state=loss) >= 1, f"the metrics say {loss}")
    assert gateway.ask("lists", "compile").returncode == 0
    until(lambda: rough_lab.curl(OPEN).status == 200, "the gate opens")


@pytest.mark.parametrize("group", [*SETS["westways"], "nobody's room"])
@pytest.mark.parametrize("via", Via)
def test_help_is_open_to_everybody(rough_lab: Lab, via: Via, group: str) -> None:
    """Never block help: no profile, device or protocol stands between a child and Childline (A10)."""
    assert rough_lab.curl("https://childline.org.uk/", via=via, who=group).status == 200
