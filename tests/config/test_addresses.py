"""What a technician writes for an address, as it is understood."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from appliance.config.addresses import HostName, IpText, ListenAddress, NetworkText, Port


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        (ListenAddress, "127.0.0.1:8080", ("127.0.0.1", 8080)),
        (ListenAddress, "[::]:8080", ("::", 8080)),
        (HostName, "Intranet.School.Example", "intranet.school.example"),
        (IpText, "2001:DB8::1", "2001:db8::1"),
        (Port, 65_535, 65_535),
    ],
)
def test_an_address_is_understood(kind: Any, text: object, meant: object) -> None:
    """Whatever spelling a technician uses, the gateway compares one."""
    assert TypeAdapter(kind).validate_python(text) == meant


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (ListenAddress, "8080", "127.0.0.1:8080 or [::]:8080"),
        (ListenAddress, "127.0.0.1:0", "must be an address and a port"),
        (ListenAddress, "127.0.0.1:65536", "must be an address and a port"),
        (ListenAddress, "localhost:8080", "'localhost' is not an IP address"),
        (NetworkText, "10.20.0.5/16", "did you mean 10.20.0.0/16?"),
        (NetworkText, "room 3", "'room 3' is not a network"),
        (HostName, "http://school.example/", "is not a host name"),
        (IpText, "10.0.5", "'10.0.5' is not an IP address"),
        (Port, 65_536, "less than or equal to 65535"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_could(kind: Any, text: object, told: str) -> None:
    """A wrong address says what a right one looks like (the technician is never surprised)."""
    with pytest.raises(ValidationError) as error:
        TypeAdapter(kind).validate_python(text)
    assert told in str(error.value)
