from __future__ import annotations

import asyncio
import threading

import pytest

from appliance.gateway import visitor as module
from appliance.gateway.credentials import Check, Credentials
from appliance.gateway.hello import ALERT_CLOSE
from appliance.gateway.visitor import NEITHER, SSH, TO_PROXY
from appliance.identity.networks import ProxySignIn
from appliance.identity.signing_in import RefusedError
from appliance.model.person import Person, Standing
from appliance.model.secret import Secret
from tests.gateway.test_entrance import WANTED, Door, opened
from tests.gateway.test_hello import hello_of
from tests.gateway.test_passage import PUSH

CONNECT = f"CONNECT {PUSH}:443 HTTP/1.1\r\nHost: {PUSH}:443\r\n"
SHOWS = "Proxy-Authorization: Basic YW15Ong=\r\n"  # amy:x


@pytest.mark.slow
async def test_a_spliced_connection_passes_from_its_first_byte() -> None:
    """The site gets the hello that was judged, byte for byte, however it was split."""
    hello = hello_of(PUSH)
    async with opened() as door:
        _, writer = await door.say(hello[:1], hello[1:50], hello[50:])
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().sock_recv(door.stand.site, 9000) == hello
        writer.close()
    assert door.stand.asked == [(PUSH, 443)]
    assert door.stand.metrics.connections == 1


@pytest.mark.slow
async def test_an_inspected_connection_goes_on_with_all_its_bytes() -> None:
    """Mitmproxy reads the same hello, and knows where the connection was going."""
    hello = hello_of("site.example")
    async with opened() as door:
        await door.answer(hello[:100], hello[100:])
    assert [(first, tunnel.connect, wanted) for first, tunnel, wanted in door.served] == [
        (hello, None, WANTED)
    ]


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"\r\nGET", b"S", b"SEARCH / HTTP/1.1\r\n"])
async def test_http_goes_to_where_it_is_read(first: bytes) -> None:
    """A request in the clear is for the HTTP layers, also on the port of encryption."""
    async with opened() as door:
        await door.answer(*([first] if first != b"S" else [b"S", b"E"]))
    assert door.served[0][0] in (first, b"SE")


@pytest.mark.parametrize(
    ("parts", "because", "answer"),
    [
        ((b"SSH-2.0-x\r\n",), SSH, b""),
        ((b"SS", b"H-2.0-x\r\n"), SSH, b""),
        ((b"\x00\x01",), NEITHER, b""),
        ((b"\x16\x02",), "The connection cannot be read: this is no version of TLS.", ALERT_CLOSE),
    ],
)
async def test_what_is_no_web_is_refused_and_recorded(
    parts: tuple[bytes, ...], because: str, answer: bytes
) -> None:
    """Another protocol on the web's port gets nowhere, and the log says what it was."""
    async with opened() as door:
        assert await door.answer(*parts) == answer
        assert door.because == [because]
        assert door.served == []


@pytest.mark.slow
async def test_a_tunnel_is_opened_and_what_is_in_it_is_judged() -> None:
    """A client that knows the proxy gets the same splice, without mitmproxy."""
    hello = hello_of(PUSH)
    async with opened(transparent=False) as door:
        head = f"CONNECT {PUSH}:443 HTTP/1.1\r\nHost: {PUSH}:443\r\nUser-Agent: x\r\n\r\n".encode()
        reader, writer = await door.say(head[:20], head[20:])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(hello)
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().sock_recv(door.stand.site, 9000) == hello
        writer.close()
    assert door.stand.metrics.connections == 1


@pytest.mark.slow
async def test_what_is_to_be_read_in_a_tunnel_keeps_its_target() -> None:
    """Mitmproxy knows under which name the tunnel was opened, so that both names are judged."""
    hello = hello_of("site.example")
    async with opened(transparent=False) as door:
        await door.answer(b"CONNECT other.example:443 HTTP/1.1\r\n\r\n" + hello)
    ((first, tunnel, wanted),) = door.served
    assert (first, wanted) == (hello, ("other.example", 443))
    assert tunnel is not None
    assert tunnel.connect is not None
    assert (tunnel.connect.host, tunnel.port) == ("other.example", 443)


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        b"GET http://site.example/ HTTP/1.1\r\n\r\n",
        b"CONNECT push.example:25 HTTP/1.1\r\n\r\n",
        b"CONNECT printer.example:443 HTTP/1.1\r\n\r\n",
        b"CONNECT push.example:443 HTTP/1.1\r\nHost: other.example\r\n\r\n",
        b"CONNECT push.example:443 HTTP/1.1\r\nHost: push.example\r\nHost: push.example\r\n\r\n",
        b"CONNECT push.example:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"CONNECT push.example:443 HTTP/1.1\r\ntransfer-encoding : chunked\r\n\r\n",
        b"CONNECT push.example:443 HTTP/1.1\r\n folded: x\r\n\r\n",
        b"CONNECT push.example:443 HTTP/2.0\r\n\r\n",
        b"CONNECT push.example:443  HTTP/1.1\r\n\r\n",
        b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n",
        b"CONNECT 0x7f.1:99999 HTTP/1.1\r\n\r\n",
        b"CONNECT " + b"a" * 9000,
        b"\xff\xfe",
    ],
)
async def test_whatever_is_out_of_the_ordinary_goes_on_whole(head: bytes) -> None:
    """The stricter reader judges it anew, with its own answers and pages."""
    async with opened(transparent=False) as door:
        await door.answer(head)
    assert [(first, tunnel.connect, wanted) for first, tunnel, wanted in door.served] == [(head, None, None)]


@pytest.mark.slow
async def test_tls_to_the_proxys_own_port_is_refused() -> None:
    """A browser that is set to an HTTPS proxy is told at once, and the log says what to change."""
    async with opened(transparent=False) as door:
        assert await door.answer(hello_of("proxy.example")) == ALERT_CLOSE
        assert door.because == [TO_PROXY]


async def test_who_never_says_what_it_wants_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-open connections end, and those that began are recorded."""
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.01)
    async with opened() as door:
        assert await door.answer(b"\x16\x03\x01") == ALERT_CLOSE
        assert "in time" in door.because[0]
        door.stand.passage.idle = 0.01
        assert await door.answer() == b""
        assert len(door.because) == 1
        assert door.entrance.visitors == set()


def asking(door: Door, check: Check, rule: ProxySignIn = ProxySignIn.REQUIRED) -> None:
    """Let the door read credentials, in the clear."""
    door.stand.passage.credentials = Credentials(check, lambda _name: "hash", lambda _at: rule, plain=True)


async def test_a_tunnel_is_the_persons_whose_credentials_opened_it() -> None:
    """What is in it is judged and recorded as theirs, and it ends with their access."""
    async with opened(transparent=False) as door:
        asking(door, lambda name, _word, _at: name)
        reader, writer = await door.say(f"{CONNECT}{SHOWS}\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        (visitor,) = door.entrance.visitors
        assert visitor.tunnel.user == "amy"
        door.entrance.cut((), {"bob"})
        assert door.entrance.visitors == {visitor}
        door.entrance.cut((), {"amy"})
        assert await reader.read() == b""
        writer.close()
        # Known by now, so that the next one is not held up; nothing of the header goes on.
        reader, writer = await door.say(f"{CONNECT}{SHOWS}\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize("shown", ["", SHOWS, SHOWS + SHOWS, "Proxy-Authorization: Basic !!\r\n"])
async def test_who_is_not_known_gets_no_tunnel(shown: str) -> None:
    """None, wrong, twice, rubbish: mitmproxy asks, and nothing of the tunnel is left over."""

    def refuse(_name: str, _word: Secret, _at: str) -> str:
        raise RefusedError("no")

    async with opened(transparent=False) as door:
        asking(door, refuse)
        signed_out = Person("ks2", "network Room", standing=Standing.SIGNED_OUT)
        door.stand.identity.person = signed_out
        head = f"{CONNECT}{shown}\r\n".encode()
        await door.answer(head)
        ((first, tunnel, wanted),) = door.served
        assert (first, tunnel.connect, tunnel.port, tunnel.user, wanted) == (head, None, None, "", None)


async def test_who_is_sent_away_during_the_comparison_stays_away() -> None:
    """S-60: a freeze does not wait for a hash, and whoever it cut does not come in afterwards."""
    go_on = threading.Event()

    def slowly(name: str, _word: Secret, _at: str) -> str:
        go_on.wait(5)
        return name

    async with opened(transparent=False) as door:
        asking(door, slowly)
        reader, writer = await door.say(f"{CONNECT}{SHOWS}\r\n".encode())
        while not door.entrance.visitors:  # noqa: ASYNC110 - the entrance tells nobody
            await asyncio.sleep(0)
        door.entrance.cut({"127.0.0.1"})
        go_on.set()
        assert await reader.read() == b""
        writer.close()
    assert door.served == []
