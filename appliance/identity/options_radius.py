"""The part of the configuration that says who tells of network log-ins (RADIUS accounting, 802.1X).

What lives only here: the keys of `identity.radius`, and what in them contradicts itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from appliance.config.typed import Section
from appliance.identity.names import IdentityError
from appliance.identity.options_directory import Wrong
from appliance.identity.secret_files import read_secret
from appliance.model.person import Kind

SHORTEST = 16
"""Fewest characters of a shared secret (RFC 2865, 3)."""

_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+):([0-9]{1,5})")
_LAST_PORT = 65_535


def _listen(value: object) -> tuple[str, int]:
    found = _LISTEN.fullmatch(str(value))
    if found is not None and 0 < int(found[2]) <= _LAST_PORT:
        with suppress(ValueError):
            return str(ipaddress.ip_address(found[1].strip("[]"))), int(found[2])
    raise ValueError(f"'{value}' is no address and port; write one such as [::]:1813")


def _network(value: object) -> str:
    try:
        return str(ipaddress.ip_network(str(value)))
    except ValueError:
        raise ValueError(f"'{value}' is no address and no network; write one such as 10.0.0.5") from None


def _written(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


type Listening = Annotated[
    tuple[str, int],
    BeforeValidator(_listen),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string", "examples": ["[::]:1813"]}, mode="validation"),
]
type Where = Annotated[str, BeforeValidator(_network)]


class RadiusClientSettings(Section):
    """One switch, access point or RADIUS server that tells of network log-ins."""

    address: Where = Field(description="Where it is: an address, or a network of them.")
    secret_file: Path = Field(description="File with the secret that it shares with the gateway.")
    name: str = Field(min_length=1, description="What staff call it.")


class ClassSettings(Section):
    """What a Class attribute means here."""

    value: str = Field(min_length=1, max_length=253, description="The Class that the RADIUS server sends.")
    group: str = Field(description="The profile that counts for whoever has it.")
    kind: Kind = Field(Kind.INDIVIDUAL, description="What sort of log-in they have.")


class RadiusSettings(Section):
    """Network log-ins."""

    listen: Listening = Field(("::", 1813), description="Where accounting packets (UDP) are taken.")
    clients: tuple[RadiusClientSettings, ...] = Field(min_length=1, description="Who may tell.")
    window_seconds: float = Field(
        300.0, ge=10, le=3600, description="How far the clock of a client may be from ours."
    )
    silence_minutes: float = Field(
        25.0, ge=2, le=1440, description="A log-in of which nothing was heard for so long has ended."
    )
    classes: tuple[ClassSettings, ...] = Field(
        (), description="What a Class means, for people without account."
    )

    def located(self, place: Callable[[Path], Path]) -> Self:
        """Return the same with each path put where it lies."""
        clients = [each.model_copy(update={"secret_file": place(each.secret_file)}) for each in self.clients]
        return self.model_copy(update={"clients": tuple(clients)})

    def groups_named(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield each group of ours that is named here, by the key that names it."""
        for index, each in enumerate(self.classes):
            yield ("classes", index, "group"), each.group

    def wrong(self) -> Iterator[Wrong]:
        """Yield what is well formed and cannot be meant."""
        taken: dict[str, int] = {}
        for index, client in enumerate(self.clients):
            if client.address in taken:
                yield ("clients", index, "address"), f"{client.address} stands here already"
            taken.setdefault(client.address, index)
            try:
                short = len(read_secret(client.secret_file).reveal()) < SHORTEST
            except IdentityError as error:
                yield ("clients", index, "secret_file"), str(error)
            else:
                if short:
                    text = f"{client.secret_file} holds a secret of fewer than {SHORTEST} characters"
                    yield ("clients", index, "secret_file"), text
        for index, each in enumerate(self.classes):
            if each.kind not in (Kind.INDIVIDUAL, Kind.STAFF):
                yield ("classes", index, "kind"), "whoever logs in to the network is 'individual' or 'staff'"
