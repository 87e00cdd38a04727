"""Addresses as a technician writes them: a port to listen on, a network, a host name, a number.

What lives only here: how each is read, and what is said of one that cannot be meant.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from appliance.model.url import UrlRefusedError, parse_host

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_PORT = 65_535
_DIGITS = re.compile(r"[0-9]{1,5}")
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


def _address(text: object) -> tuple[str, int]:
    host, colon, port = str(text).rpartition(":")
    if not colon or not _DIGITS.fullmatch(port) or not 0 < int(port) <= MAX_PORT:
        raise ValueError("must be an address and a port, such as 127.0.0.1:8080 or [::]:8080")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"'{host}' is not an IP address; write one such as 127.0.0.1 or 0.0.0.0") from None
    return host, int(port)


def _network(text: object) -> Network:
    try:
        return ipaddress.ip_network(str(text))
    except ValueError:
        pass
    try:
        suggestion = ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        raise ValueError(f"'{text}' is not a network; write one such as 10.20.0.0/16 or fd00::/8") from None
    raise ValueError(f"'{text}' is an address within a network; did you mean {suggestion}?")


def _host(text: object) -> str:
    try:
        return parse_host(str(text)).host
    except UrlRefusedError:
        raise ValueError(f"'{text}' is not a host name; write one such as intranet.school.example") from None


def _ip(text: object) -> str:
    try:
        return str(ipaddress.ip_address(str(text)))
    except ValueError:
        raise ValueError(f"'{text}' is not an IP address; write one such as 10.0.5.20") from None


def _mail(text: str) -> str:
    if not _MAIL.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is no mail address; write one such as dsl@school.example, without a name")
    return text


def _written(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_ADDRESS_SCHEMA = {"type": "string", "examples": ["127.0.0.1:8080", "[::]:8080"]}
type ListenAddress = Annotated[
    tuple[str, int],
    BeforeValidator(_address),
    PlainSerializer(_written),
    WithJsonSchema(_ADDRESS_SCHEMA, mode="validation"),
]
type HostName = Annotated[str, BeforeValidator(_host)]
type IpText = Annotated[str, BeforeValidator(_ip)]
type MailText = Annotated[str, AfterValidator(_mail)]
type NetworkText = Annotated[Network, BeforeValidator(_network)]
type Port = Annotated[int, Field(strict=True, ge=1, le=MAX_PORT)]
