"""Towards the site: what may be connected to, and what its failures mean.

What lives only here: the rule that a worker connects to nothing that was not judged, and the reading
of mitmproxy's and OpenSSL's error texts as one of our reasons.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container

from appliance.gateway.reach import Reach
from appliance.model.decision import Reason

_CERTIFICATE_MARKS = ("certificate", "self-signed", "hostname mismatch", "ip address mismatch")
_INTERNAL_MARK = "internal address"

FAILURES = {
    Reason.FAULT: "The filter had a fault, so the page stays closed.",
    Reason.DEADLINE: "The filter could not answer in time, so the page stays closed.",
    Reason.OWN_NETWORK: "This name leads into a private network, not to the web.",
    Reason.UPSTREAM_CERTIFICATE: "The site could not prove that it is the site it claims to be.",
    Reason.UPSTREAM_UNREACHABLE: "The site did not answer.",
}
"""What failed, as a sentence for the page and the record."""


def permit(address: tuple[str, int] | None, permitted: Container[tuple[str, int]], reach: Reach) -> str:
    """Return why the worker may not connect to `address`, or an empty text.

    A name is looked up afterwards, by a loop that hands out no internal address; a literal address is
    judged here.
    """
    if address is None or address not in permitted:
        return "this address was not judged"
    try:
        ip = ipaddress.ip_address(address[0])
    except ValueError:
        return ""
    return _INTERNAL_MARK if reach.internal(ip) else ""


def failure_of(message: str) -> Reason:
    """Return the reason that stands for an upstream error's text."""
    text = message.lower()
    if _INTERNAL_MARK in text:
        return Reason.OWN_NETWORK
    if any(mark in text for mark in _CERTIFICATE_MARKS):
        return Reason.UPSTREAM_CERTIFICATE
    return Reason.UPSTREAM_UNREACHABLE
