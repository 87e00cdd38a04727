from __future__ import annotations

import socket

import pytest

from appliance.gateway import listen
from appliance.gateway.listen import Listen, at, listening


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("0.0.0.0", ["0.0.0.0"]),  # noqa: S104 - what a technician writes
        ("[::1]", ["::1"]),
        ("::1", ["::1"]),
        ("::", ["0.0.0.0", "::"]),  # noqa: S104 - the same
        ("[::]", ["0.0.0.0", "::"]),  # noqa: S104 - the same
    ],
)
def test_every_address_means_both_families(text: str, addresses: list[str]) -> None:
    """A school that listens on [::] serves its IPv4 devices as well."""
    assert listen.addresses(text) == addresses


def test_every_address_to_bind_is_named() -> None:
    """Whoever opens the ports for the workers opens those of both doors, in both families."""
    both = Listen(("[::]", 8080), ("10.0.0.1", 8443))
    assert both.addresses == (("0.0.0.0", 8080), ("::", 8080), ("10.0.0.1", 8443))  # noqa: S104 - the same
    assert Listen(None, None).addresses == ()


def test_several_can_listen_at_one_address_and_are_found_by_it() -> None:
    """Workers share a port, and each finds what was opened for it."""
    first = listening("127.0.0.1", 0)
    address = first.getsockname()
    second, third = listening(*address), listening("::1", 0)
    assert at([first, second, third], *address) == [first, second]
    for each in (first, second, third):
        each.close()


def test_an_address_that_is_not_here_leaves_nothing_open() -> None:
    """A port that cannot be opened is an error, and no half-open socket."""
    with pytest.raises(OSError, match="assign requested address"):
        listening("192.0.2.1", 8080)
    assert socket.has_ipv6
