from __future__ import annotations

import ipaddress

import pytest

from appliance.gateway.reach import Reach
from appliance.gateway.upstream import failure_of, permit
from appliance.model.decision import Reason

JUDGED = {("site.example", 443), ("192.0.2.9", 443), ("10.0.5.20", 80), ("::1", 443), ("fe80::1%eth0", 443)}
REACH = Reach([ipaddress.ip_network("10.0.5.20/32")])


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (("site.example", 443), ""),
        (("10.0.5.20", 80), ""),
        (("site.example", 80), "not judged"),
        (("SITE.example", 443), "not judged"),
        (("other.example", 443), "not judged"),
        (None, "not judged"),
        (("192.0.2.9", 443), "internal address"),
        (("::1", 443), "internal address"),
        (("fe80::1%eth0", 443), "internal address"),
    ],
)
def test_a_worker_connects_only_to_what_was_judged(address: tuple[str, int] | None, said: str) -> None:
    """Nothing that mitmproxy or a client makes up is contacted, and nothing inside even when judged (H27)."""
    found = permit(address, JUDGED, REACH)
    assert said in found
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("b'x' leads only to internal addresses", Reason.OWN_NETWORK),
        ("Connection killed: internal address", Reason.OWN_NETWORK),
        ("Certificate verify failed: self-signed certificate in chain", Reason.UPSTREAM_CERTIFICATE),
        ("certificate has expired", Reason.UPSTREAM_CERTIFICATE),
        ("Certificate verify failed: hostname mismatch", Reason.UPSTREAM_CERTIFICATE),
        ("IP address mismatch", Reason.UPSTREAM_CERTIFICATE),
        ("[Errno 111] Connect call failed ('192.0.2.9', 443)", Reason.UPSTREAM_UNREACHABLE),
        ("server closed connection", Reason.UPSTREAM_UNREACHABLE),
        ("", Reason.UPSTREAM_UNREACHABLE),
    ],
)
def test_the_page_says_what_is_wrong_with_the_site(message: str, reason: Reason) -> None:
    """A forged certificate is not shown as a site that is merely down, and a rebinding name as neither."""
    assert failure_of(message) is reason
