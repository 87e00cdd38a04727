"""A site that cannot prove who it is: the gateway's own page, and no way on."""

from __future__ import annotations

import pytest

from tests.journeys.lab import BOTH, Lab, Via
from tests.journeys.origin import BAD, HELLO
from tests.journeys.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.mark.parametrize("via", BOTH)
@pytest.mark.parametrize("client", ["--http1.1", "--http2"])
@pytest.mark.parametrize("host", BAD)
def test_a_site_with_a_bad_certificate_gets_a_page_of_ours(
    lab: Lab, host: str, client: str, via: Via
) -> None:
    """A forged site is not shown, whoever forged it, and no click leads past the warning (H16)."""
    got = lab.curl(f"https://{host}/{via.name}", client, via=via)
    assert (got.code, got.status) == (0, 502)
    assert HELLO not in got.body
    assert lab.origin.saw(host) == []
    row = lab.gateway.record_of(got.reference)
    assert (row["action"], row["reason"], row["host"]) == ("block", "upstream_certificate", host)


def test_what_is_sent_to_a_forged_site_does_not_leave(lab: Lab) -> None:
    """A password typed into a forged page stays here."""
    before = len(lab.origin.uploads())
    got = lab.curl(f"https://{BAD[0]}/up", "-d", "password=swordfish")
    assert got.status == 502
    assert (len(lab.origin.uploads()), lab.origin.saw(BAD[0])) == (before, [])


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("via", BOTH)
def test_a_site_that_does_not_answer_gets_a_page_of_ours(lab: Lab, via: Via, scheme: str) -> None:
    """A site that is down is told apart from one that is blocked."""
    got = lab.curl(f"{scheme}://nobody.education.example/", via=via)
    assert got.status == 502
    row = lab.gateway.record_of(got.reference)
    assert row["reason"] == "upstream_unreachable"


@pytest.mark.parametrize("via", BOTH)
def test_an_attempt_that_no_page_could_answer_is_on_record(lab: Lab, via: Via) -> None:
    """A device without the school's CA sees a warning instead of the page; the attempt counts."""
    before = len(_attempts(lab))
    got = lab.curl("https://casino.example/", via=via, trust=False)
    assert (got.code, got.status) == (60, 0)
    # The device has left: nobody waits for the row, so it may be there a moment later.
    until(lambda: len(_attempts(lab)) > before, "a row of the attempt")
    after = _attempts(lab)
    assert len(after) == before + 1
    assert (after[-1]["action"], after[-1]["category"], after[-1]["flagged"]) == ("block", "gambling", True)
    assert lab.origin.packets_to_blocked() == 0


def _attempts(lab: Lab) -> list[dict[str, object]]:
    return [row for row in lab.gateway.log(flagged=True) if row["host"] == "casino.example"]
