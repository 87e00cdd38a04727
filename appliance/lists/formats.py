"""What one line of a list means, in each of the formats that lists come in.

What lives only here: the syntax of list formats. A reader takes one stripped, non-empty line
and returns the names, networks or URLs that it lists (a leading `@@` marks an exception, a
leading `~` a regular expression), `None` for a comment or other furniture, or a `Skip` that
says why a gateway cannot use the line.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from appliance.config.problems import InWordsError
from appliance.lists.formats_adblock import adblock
from appliance.lists.formats_csv import csv_reader
from appliance.lists.formats_line import EXPRESSION, Meaning, Skip, names_in, without_comment

__all__ = ["EXPRESSION", "READERS", "Format", "Meaning", "Skip", "reader_of", "refuse_binary", "sniff"]

SAMPLE = 400
"""Meaningful lines that sniffing looks at."""
_LOOKED_AT = 20_000
_ODD_SHARE = 10
"""No text has more than one control character in so many."""


class Format(StrEnum):
    """The formats by name, as the catalogue and `--format` spell them."""

    AUTO = "auto"
    DOMAINS = "domains"  # names, wildcards, IP addresses and networks, with or without comments
    HOSTS = "hosts"
    DNSMASQ = "dnsmasq"
    UNBOUND = "unbound"
    RPZ = "rpz"
    ADBLOCK = "adblock"
    URLS = "urls"
    CSV = "csv"  # a table; `column` says where its addresses stand
    E2GUARDIAN = "e2guardian"  # a folder of its lists
    EXPRESSIONS = "expressions"  # squidGuard's regular expressions over a whole address


_OWN_NAMES = frozenset(
    [
        *("localhost", "localhost.localdomain", "local", "broadcasthost", "0.0.0.0"),  # noqa: S104 - a word in a file
        *("ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix"),
        *("ip6-allnodes", "ip6-allrouters", "ip6-allhosts"),
    ]
)
_SINKS = frozenset(["", "#", "0.0.0.0", "127.0.0.1", "::", "::1"])  # noqa: S104 - listed, not bound
_DNSMASQ = re.compile(r"(address|server|local)=/(.+)/(\S*)")
_UNBOUND_ZONE = re.compile(r"local-zone:\s*\"?([^\s\"]+)\"?\s+(\S+)")
_UNBOUND_DATA = re.compile(r"local-data:\s*[\"']([^\s\"']+)\s+(?:\d+\s+)?(?:IN\s+)?(A|AAAA)\s+([^\s\"']+)")
_RPZ = re.compile(r"(\S+)\s+(?:\d+\s+)?(?:IN\s+)?(CNAME|A|AAAA|TXT|NS|SOA)\s+(\S+)", re.IGNORECASE)
_UNBOUND_OPEN = frozenset(["transparent", "typetransparent", "always_transparent"])
_HTML = re.compile(r"<(!doctype|html|head|body|\?xml)\b", re.IGNORECASE)


def domains(line: str) -> Meaning:
    """Read `example.org`, `*.example.org`, `.example.org`, `192.0.2.0/24`, `example.org/page`."""
    if line[0] in "#;!":
        return None
    text = without_comment(line)
    if " " in text or "\t" in text:
        return Skip("more than one word on the line")
    return (text.removeprefix("*.").removeprefix("."),)


def hosts(line: str) -> Meaning:
    """Read `0.0.0.0 example.org www.example.org  # comment`."""
    if line[0] == "#":
        return None
    address, *names = without_comment(line).split()
    if not names:
        return domains(line)  # hosts files often carry a few bare names
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return Skip("does not begin with an IP address")
    if not (ip.is_loopback or ip.is_unspecified):
        return Skip("sends the name to another address instead of blocking it")
    wanted = tuple(name for name in names if name.lower() not in _OWN_NAMES)
    return wanted or Skip("the machine's own name")


def dnsmasq(line: str) -> Meaning:
    """Read `address=/example.org/#`, `server=/example.org/`, `local=/example.org/`."""
    if line[0] == "#":
        return None
    match = _DNSMASQ.fullmatch(without_comment(line))
    if not match:
        return Skip("a dnsmasq setting that names no blocked host")
    if match[3] not in _SINKS:
        return Skip("sends the name to another address instead of blocking it")
    return names_in(match[2].split("/"))


def unbound(line: str) -> Meaning:
    """Read `local-zone: "example.org." always_nxdomain` and `local-data: "example.org A 0.0.0.0"`."""
    if line[0] == "#" or line == "server:":
        return None
    if match := _UNBOUND_ZONE.match(line):
        return Skip("a transparent zone") if match[2] in _UNBOUND_OPEN else (match[1],)
    if match := _UNBOUND_DATA.match(line):
        if match[3] in _SINKS:
            return (match[1],)
        return Skip("sends the name to another address instead of blocking it")
    return Skip("an unbound setting that names no blocked host")


def rpz(line: str) -> Meaning:
    """Read the response policy zone records `example.org CNAME .` and `*.example.org CNAME .`."""
    if line[0] in ";$@":
        return None
    match = _RPZ.match(line)
    if not match:
        return Skip("not a record that a policy zone uses")
    name, kind, target = match[1].removeprefix("*."), match[2].upper(), match[3]
    if ".rpz-" in name:
        return Skip("a trigger other than a name")
    if kind == "CNAME" and target.lower() == "rpz-passthru.":
        return (f"@@{name}",)
    if (kind == "CNAME" and target in {".", "*.", "rpz-drop."}) or target in _SINKS:
        return (name,)
    return Skip("sends the name elsewhere instead of blocking it")


def urls(line: str) -> Meaning:
    """Read `example.org/page`, `http://example.org/page`, one a line."""
    if line[0] in "#;":
        return None
    text = line.split(maxsplit=1)[0]
    if "://" in text:
        return (text,) if text.lower().startswith(("http", "ws")) else Skip("not a web address")
    return (f"http://{text}",)


def expressions(line: str) -> Meaning:
    """Read one regular expression of squidGuard's `expressions` files."""
    return None if line[0] == "#" else (EXPRESSION + line,)


READERS: dict[Format, Callable[[str], Meaning]] = {
    Format.DOMAINS: domains,
    Format.HOSTS: hosts,
    Format.DNSMASQ: dnsmasq,
    Format.UNBOUND: unbound,
    Format.RPZ: rpz,
    Format.ADBLOCK: adblock,
    Format.URLS: urls,
    Format.EXPRESSIONS: expressions,
}


def reader_of(chosen: Format, column: str = "") -> Callable[[str], Meaning]:
    """Return a reader for one file; `column` says where the addresses of a table stand.

    A file of e2guardian's on its own is read as names: only its folder says more.
    """
    return csv_reader(column) if chosen is Format.CSV else READERS.get(chosen, domains)


class _Mark(NamedTuple):
    format: Format
    pattern: re.Pattern[str]


_MARKS = (
    _Mark(Format.HOSTS, re.compile(r"(0\.0\.0\.0|127\.\d+\.\d+\.\d+|::1?)\s+[\w.-]+")),
    _Mark(Format.DNSMASQ, re.compile(r"(address|server|local)=/")),
    _Mark(Format.UNBOUND, re.compile(r"local-(zone|data):|server:$")),
    _Mark(Format.RPZ, re.compile(r"\S+\s+(\d+\s+)?(IN\s+)?CNAME\s+\S+$|\$TTL\b|@\s.*\bSOA\b", re.IGNORECASE)),
    _Mark(Format.ADBLOCK, re.compile(r"\|\||@@|.*#[@?$%]?#|\[Adblock|!|.*\^(\$|$)", re.IGNORECASE)),
    _Mark(Format.URLS, re.compile(r"(https?://)?[^\s/|]+/(?!\d{1,3}(\s|$))\S", re.IGNORECASE)),
    _Mark(Format.URLS, re.compile(r"https?://", re.IGNORECASE)),
)


class NotAListError(InWordsError):
    """The text is no list at all (a web page, say)."""


def refuse_binary(lines: Iterable[str]) -> None:
    """Raise `NotAListError` where the first lines are no text: a picture, a program, an unknown archive."""
    text = "".join(itertools.islice(lines, SAMPLE))[:_LOOKED_AT]
    odd = sum(not mark.isprintable() and mark != "\t" for mark in text)
    if odd * _ODD_SHARE > len(text):
        raise NotAListError(
            "this is no text, and no archive that is known (gzip, bzip2, xz, zstd, zip, tar); unpack it first"
        )


def sniff(lines: Iterable[str]) -> Format:
    """Return the format which most of the first lines are written in; names, where none stands out.

    Raises `NotAListError` for a web page, which is what a server sends when a list has moved.
    """
    votes: Counter[Format] = Counter()
    for line in lines:
        if _HTML.match(line):
            raise NotAListError("this is a web page, not a list")
        if line.lower().startswith(("[adblock", "[adguard")):
            return Format.ADBLOCK
        if line[0] != "#" or line.startswith("##"):
            mark = next((mark.format for mark in _MARKS if mark.pattern.match(line)), Format.DOMAINS)
            votes[mark] += 1
    # A few comments or title lines must not outvote the entries; a tie goes to the plain names.
    return max(Format, key=lambda candidate: (votes[candidate], candidate is Format.DOMAINS))
