"""A device that sends exactly the bytes it is told to, one request a connection.

What lives only here: that small client. Browsers and curl tidy up an address before they send it; whoever
wants to get round a filter does not.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from tests.journeys.lab import REFERENCE, Lab, Via


@dataclass(frozen=True)
class Answer:
    """What came back: the status (of the tunnel, where there was no more) and the body."""

    status: int
    body: bytes

    @property
    def reference(self) -> str:
        """The reference in a page or a small answer, or an empty text."""
        found = REFERENCE.search(self.body.decode("utf-8", "replace"))
        return found[0] if found else ""


class NoAnswerError(OSError):
    """The connection ended without an answer."""


_CARELESS = ssl.create_default_context()
_CARELESS.check_hostname = False
_CARELESS.verify_mode = ssl.CERT_NONE


def ask(
    lab: Lab, scheme: str, authority: str, path: str, *, who: str = "ks2", via: Via = Via.PROXY, sni: str = ""
) -> Answer:
    """Ask for one address, spelled as given; `sni` names another site in the encryption. NoAnswerError."""
    secure = scheme == "https"
    host, _, port = (
        authority.rpartition(":") if authority[-1:].isdigit() and ":" in authority else (authority, "", "")
    )
    host = host or authority
    number = int(port or (443 if secure else 80))
    try:
        with lab.dial(who, via, port=number) as wire:
            if not secure:
                target = f"http://{authority}{path}" if via is Via.PROXY else path
                return _exchange(wire, f"GET {target} HTTP/1.1\r\nHost: {authority}")
            if via is Via.PROXY:
                tunnel = _exchange(
                    wire, f"CONNECT {host}:{number} HTTP/1.1\r\nHost: {host}:{number}", "CONNECT"
                )
                if tunnel.status != 200:
                    return tunnel
            with _CARELESS.wrap_socket(wire, server_hostname=sni or host.strip("[]")) as inner:
                return _exchange(inner, f"GET {path} HTTP/1.1\r\nHost: {authority}")
    except (OSError, HTTPException) as error:
        raise NoAnswerError(f"{scheme}://{authority}{path}: {error!r}") from error


def _exchange(wire: socket.socket, head: str, method: str = "GET") -> Answer:
    wire.sendall(f"{head}\r\n\r\n".encode())
    with HTTPResponse(wire, method=method) as response:
        response.begin()
        done = method == "CONNECT" and response.status == 200
        return Answer(response.status, b"" if done else response.read())
