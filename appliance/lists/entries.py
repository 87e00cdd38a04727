"""The one form in which an entry is stored, sorted and looked up.

What lives only here: the key of an entry. Keys are ASCII text, made so that everything that
covers an address is a prefix of the address's own key, and one walk down a trie finds it all:

    name       example.org          gro.elpmaxe.          (written backwards, closed with a dot)
    URL        example.org/a        gro.elpmaxe./a        (host key, canonical path, lower case)
    network    192.0.2.0/24         4/110000000000000000000010      (the bits of the prefix)
    URL on IP  192.0.2.1/a          =192.0.2.1./a

Backwards letter by letter, and not label by label, because that costs a tenth for each of millions.
"""

from __future__ import annotations

import ipaddress
import re

from appliance.model.url import Address, Url, UrlRefusedError, canonical_path, parse_host, parse_url

BOUNDARIES = "/?&;"
"""A listed path ends where the address's path has one of these, so `/pay` does not cover `/payroll`."""

LONGEST_NAME = 253
"""Characters of a host name (RFC 1035)."""
PLAIN = r"(?:(?!xn--)[a-z0-9_-]{1,63}+\.)++(?!xn--)[a-z][a-z0-9-]{1,62}+"
"""A name that a browser takes as it stands, unless it is too long; nearly every line of a list is one."""
_PLAIN_NAME = re.compile(PLAIN)
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_ADDRESS = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
_PART = "[A-Za-z0-9_~!$&()*+,;=:@-]"
_PLAIN_URL = re.compile(rf"(?:https?://)?({PLAIN})((?:/{_PART}[A-Za-z0-9_~!$&()*+,;=:@.-]*+)*+/?+)")
"""A URL without anything that its canonical form would change but for letters' case."""
_LONGEST_PLAIN = 2000
_BITS = tuple(f"{octet:08b}" for octet in range(256))

_HOST_END = re.compile(r"[/?#]")
_NETWORK = re.compile(r"[0-9a-fA-F:.]+/\d{1,3}")
_BROADEST = {4: 8, 6: 16}
_KINDS: dict[int, type[ipaddress.IPv4Address | ipaddress.IPv6Address]] = {
    4: ipaddress.IPv4Address,
    6: ipaddress.IPv6Address,
}

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class EntryRefusedError(ValueError):
    """The text cannot be an entry; the message says why and never repeats the text."""


def key_of(text: str) -> str:
    """Return the key of a name, IP address, network or URL as it stands in a list.

    A listed name covers its sub-domains. Raises `EntryRefusedError`.
    """
    # Plain ones first, so that millions of lines do not cost a URL parse each.
    if key := _key_of_plain(text):
        return key
    try:
        return _key_of_other(text)
    except UrlRefusedError as error:
        raise EntryRefusedError(str(error)) from None


def key_of_url(url: Url) -> str:
    """Return the key of a URL entry; one that names only the root stands for the whole host."""
    path = listed_path(url).removesuffix("/")  # `/folder/` covers `/folder`, and the root everything
    return base_key(url) + path if path else host_key(url)


def host_key(url: Url) -> str:
    """Return the key under which the host itself would stand on a list."""
    if url.ip is not None:
        return f"{url.ip.version}/{_bits(url.ip)}"
    return url.host[::-1] + "."


def base_key(url: Url) -> str:
    """Return what comes before the path in the keys of URLs on this host."""
    return f"={url.host}." if url.ip is not None else host_key(url)


def listed_path(url: Url) -> str:
    """Return the canonical path in the lower case in which URL entries are kept."""
    if url.path == "/" and not url.query:
        return "/"  # most look-ups before a connection are about a host alone
    return canonical_path(url).lower()


def covers(entry: str, key: str) -> bool:
    """Tell whether a URL entry that is a prefix of `key` ends at a boundary of it."""
    return len(entry) == len(key) or key[len(entry)] in BOUNDARIES or entry[-1] in "/=?"


def shown(key: str) -> str:
    """Return an entry as a person writes it: `example.org/a`, `192.0.2.0/24`."""
    base, slash, path = key.partition("/")
    if base in {"4", "6"}:
        return _network_of(int(base), path)
    if base.startswith("="):
        return base[1:-1] + slash + path
    return base[-2::-1] + slash + path


def _key_of_plain(text: str) -> str:
    """Return the key of a text that is written as nearly all are, else an empty text."""
    if len(text) <= LONGEST_NAME and _PLAIN_NAME.fullmatch(text):
        return text[::-1] + "."
    if found := _PLAIN_ADDRESS.fullmatch(text):
        return "4/" + "".join([_BITS[int(octet)] for octet in found.groups()])
    if len(text) <= _LONGEST_PLAIN and (found := _PLAIN_URL.fullmatch(text)):
        host, path = found.groups()
        if len(host) <= LONGEST_NAME:
            return f"{host[::-1]}.{path.removesuffix('/').lower()}"
    return ""


def _key_of_other(text: str) -> str:
    host = text.partition("://")[2] or text
    host = _HOST_END.split(host, maxsplit=1)[0]
    if ".." in host:  # a typing mistake: nobody has such a name
        raise EntryRefusedError("two dots in a row: a part of the name is missing")
    if "*" in host:
        raise EntryRefusedError("a * within the name; example.org alone covers all names below it")
    if "://" in text:
        return key_of_url(parse_url(text))
    if _NETWORK.fullmatch(text) and (network := _network(text)):
        return _key_of_network(network)
    if "/" in text or text.count(":") == 1:  # a path, or a port: the port is not looked at
        return key_of_url(parse_url(f"http://{text}"))
    return host_key(parse_host(text))


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None  # `cafe.de/12` looks like one


def _key_of_network(network: Network) -> str:
    if network.prefixlen < _BROADEST[network.version]:
        raise EntryRefusedError("a network so large that it covers much of the internet")
    return f"{network.version}/{_bits(network.network_address)[: network.prefixlen]}"


def _bits(ip: Address) -> str:
    return f"{int(ip):0{ip.max_prefixlen}b}"


def _network_of(version: int, bits: str) -> str:
    kind = _KINDS[version]
    width = kind(0).max_prefixlen
    address = kind(int(bits.ljust(width, "0"), 2))
    return str(address) if len(bits) == width else f"{address}/{len(bits)}"
