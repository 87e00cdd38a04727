"""One request as the filter sees it: no flow, no socket, no library's type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.model.url import Url


class Wants(StrEnum):
    """What the browser will do with the answer, so that a refusal fits it."""

    PAGE = "page"
    IMAGE = "image"
    SCRIPT = "script"
    STYLE = "style"
    DATA = "data"
    SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class Load:
    """What a browser says of a request that a page makes, by its own account: evidence, and no proof.

    `dest`, `mode` and `site` are its Sec-Fetch fields; `referer` and `origin` the hosts that it names, empty
    where it names none, and "?" where what is there cannot be read. `document` tells that it takes a page
    for an answer, or was asked for by hand; `sends` that it carries a body, or wants another protocol.
    """

    dest: str = ""
    mode: str = ""
    site: str = ""
    referer: str = ""
    origin: str = ""
    document: bool = True
    sends: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """One request to be judged.

    `names` are the other addresses under which it presents itself (the SNI, the CONNECT target);
    all are judged, and any blocked means blocked. `destination` is the network address that the
    client chose, where it chose one: it counts if a list names it.
    `user` is the account whose proxy credentials this connection has shown.
    `refused` says why it cannot be judged at all (two Hosts, a malformed URL); it then blocks.
    `load` is read only while overrides are in force that open what their pages need.
    """

    url: Url
    names: tuple[Url, ...] = ()
    method: str = "GET"
    client: str = ""
    destination: Url | None = None
    wants: Wants = Wants.PAGE
    refused: str = ""
    user: str = ""
    load: Load | None = None
