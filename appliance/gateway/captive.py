"""What devices ask to find out whether they must sign in, and what they expect to hear when they need not.

What lives only here: the probe addresses of the systems that schools have, all over plain HTTP. Who is
signed out is sent to the sign-in like any page; who is not gets here what the system's maker would say, so
that a strict profile does not make a tablet believe that there is no internet.
"""

from __future__ import annotations

from appliance.gateway.answers import Answer

_APPLE = b"<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>\n"
_FIREFOX = b'<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'
_HTML, _TEXT = "text/html", "text/plain"
PROBES: dict[tuple[str, str], tuple[int, str, bytes]] = {
    ("captive.apple.com", "/hotspot-detect.html"): (200, _HTML, _APPLE),
    ("captive.apple.com", "/"): (200, _HTML, _APPLE),
    ("www.apple.com", "/library/test/success.html"): (200, _HTML, _APPLE),
    ("connectivitycheck.gstatic.com", "/generate_204"): (204, _TEXT, b""),
    ("connectivitycheck.android.com", "/generate_204"): (204, _TEXT, b""),
    ("clients3.google.com", "/generate_204"): (204, _TEXT, b""),
    ("www.gstatic.com", "/generate_204"): (204, _TEXT, b""),
    ("www.msftconnecttest.com", "/connecttest.txt"): (200, _TEXT, b"Microsoft Connect Test"),
    ("ipv6.msftconnecttest.com", "/connecttest.txt"): (200, _TEXT, b"Microsoft Connect Test"),
    ("www.msftncsi.com", "/ncsi.txt"): (200, _TEXT, b"Microsoft NCSI"),
    ("detectportal.firefox.com", "/success.txt"): (200, _TEXT, b"success\n"),
    ("detectportal.firefox.com", "/canonical.html"): (200, _HTML, _FIREFOX),
}
"""Host and path, and the answer of a network that asks for nothing."""


def is_probe(host: str, path: str) -> bool:
    """Return whether an address is one by which a device looks for a sign-in."""
    return (host, path) in PROBES


def free(host: str, path: str) -> Answer:
    """Return what the device expects where it need not sign in."""
    status, mime, body = PROBES[host, path]
    return Answer(status, (("content-type", mime), ("cache-control", "no-store")), body)


def sent_to(url: str) -> Answer:
    """Return the answer that leads a device, or a browser without encryption, to the sign-in."""
    headers = (("location", url), ("cache-control", "no-store"), ("content-length", "0"))
    return Answer(302, headers, b"")
