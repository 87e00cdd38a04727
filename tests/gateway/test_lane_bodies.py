from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.gateway.lane_bodies import LAST_CHUNK, BadBodyError, Chunked, Sized, UntilClose, chunk


def read(data: bytes, step: int) -> tuple[bytes, bytes, bool]:
    """Feed a chunked body in steps; return content, rest and whether it ended."""
    body, content, place = Chunked(), b"", 0
    while place < len(data) and not body.done:
        part, rest = body.feed(data[place : place + step])
        content += part
        place += step
        if body.done:
            return content, rest + data[place:], True
    return content, b"", body.done


def test_a_sized_body_ends_where_it_says() -> None:
    """What comes after the last byte is the next message, and is not lost."""
    body = Sized(5)
    assert body.feed(b"hel") == (b"hel", b"")
    assert not body.done
    assert body.feed(b"loGET") == (b"lo", b"GET")
    assert body.done
    assert Sized(0).done


def test_a_body_without_an_end_takes_all() -> None:
    """Only the end of the connection ends it."""
    body = UntilClose()
    assert body.feed(b"x") == (b"x", b"")
    assert not body.done


@pytest.mark.slow
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 60), st.binary(max_size=9))
@settings(max_examples=50)
def test_chunks_are_read_alike_in_whatever_pieces_they_come(
    parts: list[bytes], step: int, after: bytes
) -> None:
    """The wire cuts where it likes; content and end are the same."""
    data = b"".join(map(chunk, parts)) + LAST_CHUNK + after
    assert read(data, step) == (b"".join(parts), after, True)


@pytest.mark.parametrize(
    "data",
    [
        b"5;ext=1\r\nhello\r\n0\r\n\r\nrest",
        b"05 \r\nhello\r\n00;a\r\nX-T: 1\r\nY: 2\r\n\r\nrest",
    ],
)
@pytest.mark.parametrize("step", [1, 2, 100])
def test_extensions_and_trailers_are_read_and_dropped(data: bytes, step: int) -> None:
    """What an intermediary need not keep is not kept, and hangs nothing (RFC 9110 6.5.1, H29)."""
    assert read(data, step) == (b"hello", b"rest", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\n",
        b" 5\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n",
        b"5\r\nhello\r\r",
        b"11111111111111111\r\n",
        b"5;\x00\r\nhello\r\n",
        b"5;a\rb\r\n",
        b"0\r\nno field\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\n" + b"A: b\r\n" * 5000,
        b"5;" + b"a" * 5000,
    ],
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_body_that_breaks_the_rules_of_chunks_is_seen(data: bytes, step: int) -> None:
    """Request smuggling within a body: an odd size or line end is refused, not guessed (H31)."""
    with pytest.raises(BadBodyError):
        read(data, step)


def test_content_is_written_as_a_chunk() -> None:
    """No content makes no chunk, for that would end the body."""
    assert chunk(b"hello") == b"5\r\nhello\r\n"
    assert chunk(b"") == b""
