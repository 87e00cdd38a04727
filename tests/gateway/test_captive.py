from __future__ import annotations

from appliance.gateway.captive import PROBES, free, is_probe, sent_to


def test_each_system_hears_what_its_maker_would_say() -> None:
    """A tablet under a strict profile must not believe that there is no internet."""
    assert free("connectivitycheck.gstatic.com", "/generate_204").status == 204
    assert b"<TITLE>Success</TITLE>" in free("captive.apple.com", "/hotspot-detect.html").body
    assert free("www.msftconnecttest.com", "/connecttest.txt").body == b"Microsoft Connect Test"
    assert free("detectportal.firefox.com", "/success.txt").body == b"success\n"
    assert not is_probe("captive.apple.com", "/other")
    assert all(dict(free(*probe).headers)["cache-control"] == "no-store" for probe in PROBES)


def test_who_must_sign_in_is_led_there() -> None:
    """RFC 8910: the device follows one redirect to the sign-in, and keeps it nowhere."""
    answer = sent_to("https://filter.internal/sign-in")
    assert (answer.status, dict(answer.headers)["location"]) == (302, "https://filter.internal/sign-in")
