from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.layers import modes

from appliance.gateway import peers
from appliance.gateway.door import ExplicitDoor, TransparentDoor
from appliance.gateway.translate import Tunnel
from tests.doubles.addon import Bench
from tests.gateway.playbook import client_context
from tests.gateway.test_handler import handler_with


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("schoolexplicit@127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("schoolexplicit@:::8080", ("::", 8080)),
        ("schooltransparent@::1:8443", ("::1", 8443)),
    ],
)
def test_the_modes_are_known_to_mitmproxy(text: str, address: tuple[str, int]) -> None:
    """Both doors open at the address that the configuration names, IPv6 too."""
    mode = mode_specs.ProxyMode.parse(text)
    assert (mode.listen_host(), mode.listen_port()) == address


class Passages:
    """Stands where nobody comes through."""

    def __init__(self) -> None:
        self.waiting: list[object] = []

    def cut_all(self) -> None:
        """Nothing passes."""


@pytest.mark.slow
async def test_no_port_is_opened_where_nobody_judges() -> None:
    """A worker that was put together without its judge serves nobody."""
    opened = ExplicitDoor.__new__(ExplicitDoor)
    opened.manager = Bench().doors
    with pytest.raises(OSError, match="nobody judges"):
        await opened.listen("127.0.0.1", 0)


@pytest.mark.slow
async def test_workers_share_one_port() -> None:
    """Several workers listen on one port, so that one that dies leaves no gap (H20)."""
    host = "127.0.0.1"
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = int(probe.getsockname()[1])
    servers = []
    for _ in range(2):
        opened = ExplicitDoor.__new__(ExplicitDoor)
        opened.manager = SimpleNamespace(passage=Passages(), given=())
        servers += await opened.listen(host, port)
    assert {server.sockets[0].getsockname()[1] for server in servers} == {port}
    for server in servers:
        server.close()


def test_each_door_leads_to_its_own_layer() -> None:
    """A redirected connection is never read as one to a proxy, nor the other way round."""
    with client_context() as context:
        assert type(ExplicitDoor.__new__(ExplicitDoor).make_top_layer(context)) is modes.HttpProxy
        assert (
            type(TransparentDoor.__new__(TransparentDoor).make_top_layer(context)) is modes.TransparentProxy
        )


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (("198.51.100.7", 443), True),
        (("10.20.0.1", 8443), False),
        (OSError("Protocol not available"), False),
    ],
)
def test_only_redirected_connections_are_taken(
    monkeypatch: pytest.MonkeyPatch, wanted: tuple[str, int] | OSError, *, taken: bool
) -> None:
    """Somebody who connects to the transparent port itself is sent away (H26)."""

    def original(_socket: object) -> tuple[str, int]:
        if isinstance(wanted, OSError):
            raise wanted
        return wanted

    monkeypatch.setattr("mitmproxy.platform.original_addr", original)
    came: Any = SimpleNamespace(getsockname=lambda: ("10.20.0.1", 8443, 0, 0))
    if taken:
        assert peers.destination_of(came) == wanted
        return
    with pytest.raises(OSError, match="was not redirected"):
        peers.destination_of(came)


def test_a_handler_is_found_while_its_client_is_there() -> None:
    """The addon can reach a connection to cut it, and finds nothing once it has gone."""
    doors, client = Bench().doors, SimpleNamespace(id="1")
    handler, _ = handler_with(None)
    assert doors.handler_of(client) is None
    with doors.register_connection("1", handler):
        assert doors.handler_of(client) is handler
    assert doors.handler_of(client) is None


def test_the_connections_of_whoever_lost_access_are_cut() -> None:
    """S-60: every open connection of an address or of somebody's credentials ends, and no other."""
    doors = Bench().doors
    cut: list[list[str]] = []
    for number, (address, user) in enumerate(
        (("10.20.0.5", ""), ("::ffff:10.20.0.5", ""), ("10.20.0.6", "amy"), ("10.20.0.7", ""))
    ):
        handler, cuts = handler_with(None)
        handler.client = SimpleNamespace(id=str(number), peername=(address, 1))  # type: ignore[assignment]  # enough
        handler.tunnel = Tunnel(address, user=user)
        doors.connections[str(number)] = handler
        cut.append(cuts)
    gone, _ = handler_with(None)
    gone.client = SimpleNamespace(id="9", peername=None)  # type: ignore[assignment]  # enough
    doors.connections["9"] = gone
    assert doors.cut({"10.20.0.5"}, {"amy"}) == 3
    assert [bool(cuts) for cuts in cut] == [True, True, True, False]
