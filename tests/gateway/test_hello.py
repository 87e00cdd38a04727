from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.hello import HELLO_LIMIT, Hello, HelloReader, NoHelloError, read_hello, starts_like_tls


def hello_of(name: str | None) -> bytes:
    """Return what OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


REAL = hello_of("www.site.example")


def sized(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size) + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2) + sized(data, 2)


def named(*names: bytes, kind: int = 0) -> bytes:
    return extension(0, sized(b"".join(bytes([kind]) + sized(name, 2) for name in names), 2))


def made(*extensions: bytes, tail: bytes = b"", bare: bool = False) -> bytes:
    body = b"\x03\x03" + bytes(32) + sized(b"", 1) + sized(b"\x13\x01", 2) + sized(b"\0", 1)
    body += b"" if bare else sized(b"".join(extensions), 2) + tail
    return b"\x01" + sized(body, 3)


def records(message: bytes, size: int = 16384) -> bytes:
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + sized(part, 2) for part in parts)


@pytest.mark.slow
def test_a_browsers_hello_names_its_site() -> None:
    """What OpenSSL sends is read as it is meant; without a name there is none."""
    assert read_hello(REAL) == Hello("www.site.example")
    assert read_hello(hello_of(None)) == Hello(None)
    assert read_hello(records(made(bare=True))) == Hello(None)
    assert starts_like_tls(REAL)
    assert not starts_like_tls(b"GET /")


def test_encrypted_client_hello_is_seen() -> None:
    """A connection in which another name may hide is known as such."""
    data = records(made(named(b"public.example"), extension(0xFE0D, b"\0" * 40)))
    assert read_hello(data) == Hello("public.example", ech=True)


@pytest.mark.slow
@given(st.integers(0, len(REAL)))
def test_any_part_of_a_hello_is_waited_for(end: int) -> None:
    """A hello in as many segments as it has bytes reads the same, and never as another one."""
    assert read_hello(REAL[:end]) == (Hello("www.site.example") if end == len(REAL) else None)


@pytest.mark.slow
@given(st.integers(1, 600))
def test_a_hello_over_many_records_reads_the_same(size: int) -> None:
    """Cutting the name in two, as tools against filters do, hides nothing."""
    assert read_hello(records(REAL[5:], size)) == Hello("www.site.example")


@pytest.mark.parametrize(
    "data",
    [
        b"\x17\x03\x03\x00\x10",
        b"\x16\x02",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        records(b"\x02" + bytes(40)),
        records(b"\x01\xff\xff\xff" + bytes(40)),
        records(made(named(b"a.example"), named(b"b.example"))),
        records(made(named(b"a.example", b"b.example"))),
        records(made(named(b"a.example", kind=1))),
        records(made(named(b""))),
        records(made(named(b"\xff.example"))),
        records(made(extension(0, b"\0\x05\0\0\x09a"))),
        records(made(named(b"a.example"), tail=b"x")),
        records(made(named(b"a.example")) + b"\x01"),
        records(made(extension(0, sized(b"\0" + sized(b"a.example", 2), 2) + b"x"))),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes) -> None:
    """A site must not see another name than the one that was judged."""
    with pytest.raises(NoHelloError):
        read_hello(data)


@pytest.mark.slow
def test_a_hello_without_end_is_refused() -> None:
    """Half-open clients cannot fill the memory."""
    many = b"".join(b"\x16\x03\x01\x00\x01" + bytes([byte]) for byte in b"\x01\x00\xff\xfb" + bytes(20_000))
    assert read_hello(many[:HELLO_LIMIT]) is None
    with pytest.raises(NoHelloError, match="too long"):
        read_hello(many)


def test_a_hello_in_many_pieces_costs_what_it_is_long() -> None:
    """A client that sends one byte at a time does not make the gateway read everything again each time."""
    data, reader = records(REAL[5:], 1), HelloReader()
    found = [reader.read(data[:end]) for end in range(len(data) + 1)]
    assert found[-1] == Hello("www.site.example")
    assert set(found[:-1]) == {None}


MESSAGES: list[Callable[[bytes], bytes]] = [lambda data: data, records, lambda data: records(b"\x01" + data)]


@pytest.mark.slow
@given(st.binary(max_size=300), st.sampled_from(MESSAGES))
def test_nothing_makes_the_reading_fail(data: bytes, made: Callable[[bytes], bytes]) -> None:
    """Whatever arrives is a hello, the beginning of one, or refused."""
    try:
        found = read_hello(made(data))
    except NoHelloError:
        return
    assert found is None or isinstance(found, Hello)


@pytest.mark.slow
@given(st.integers(0, len(REAL) - 1), st.integers(0, 255))
def test_a_damaged_hello_never_crashes(at: int, byte: int) -> None:
    """One flipped byte is read, waited for, or refused."""
    damaged = bytearray(REAL)
    damaged[at] = byte
    try:
        read_hello(damaged)
    except NoHelloError:
        return
