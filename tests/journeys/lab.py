"""A whole school in a box: pupils' devices, the gateway with its firewall, and the internet.

What lives only here: who has which address, and the clients: curl, sockets, WebSockets and Chromium, each
either set to the proxy or knowing nothing of it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, sync_playwright

from tests.journeys.network import GATEWAY, ORIGIN, ORIGIN6, Network, laid_network, run
from tests.journeys.origin import HTTP1, ODD, SOCKETS, Origin, origin_in
from tests.journeys.running import ROOT, Gateway, running, samples

RULES = ROOT / "deploy" / "nftables" / "gateway.nft"
EXPLICIT, TRANSPARENT = (
    int(re.findall(rf"(?m)^define {name}_port = (\d+)", RULES.read_text(encoding="utf-8"))[0])
    for name in ("explicit", "transparent")
)
ENCRYPTED = 8444
"""The proxy's port with encryption, where a journey has one."""
METRICS = 9464
PLACES = {"eyfs": 11, "ks1": 12, "ks2": 13, "ks3": 14, "ks4": 15, "ks5": 16, "staff": 17, "guest": 18}
"""The last part of the address from which somebody of a group comes."""
SETS = {
    "westways": ("eyfs", "ks1", "ks2", "staff", "guest"),
    "west": ("ks2", "ks3", "ks4", "ks5", "staff", "guest"),
}
REFERENCE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b")


PROBES = [
    {"title": "IWF", "address": "http://floor-test.example/listed/page.html", "expect": "statutory"},
    {"title": "Terrorism", "address": "https://ctiru-test.example/", "expect": "statutory"},
    {"title": "Adult content", "category": "pornography"},
    {"title": "Help", "address": "https://www.childline.org.uk/", "expect": "open"},
]
"""What the lab's own gateway is tested with: the lists that ship hold reserved names alone."""


class Via(Enum):
    """How a device's traffic gets to the gateway."""

    PROXY = "proxy"
    WIRE = "wire"
    WIRE6 = "wire, IPv6"


BOTH = (Via.PROXY, Via.WIRE)


def address(who: str, *, six: bool = False) -> str:
    """Return the address of somebody's device; whoever is in no group has one as well."""
    return f"{'fd77::' if six else '10.77.0.'}{PLACES.get(who, 99)}"


@dataclass(frozen=True)
class Got:
    """What curl got: `code` is curl's own exit status, `tunnel` the answer to CONNECT."""

    code: int
    status: int
    body: str
    version: str
    tunnel: int
    sent: int
    headers: dict[str, list[str]]

    @property
    def reference(self) -> str:
        """The reference on a page."""
        found = REFERENCE.search(self.body)
        assert found, f"no reference on this page ({self.status}): {self.body[:500]}"
        return found[0]


@dataclass
class Lab:
    """The school in a box."""

    network: Network
    origin: Origin
    gateway: Gateway

    def curl(
        self, url: str, *more: str, who: str = "ks2", via: Via = Via.PROXY, to: str = "", trust: bool = True
    ) -> Got:
        """Fetch with curl from somebody's device, which believes that the site is at `to`."""
        six = via is Via.WIRE6
        options = ["-s", "-m", "40", "--interface", address(who, six=six)]
        options += ["--cacert", str(self.gateway.ca)] if trust else []
        if via is Via.PROXY:
            options += ["-x", f"http://{GATEWAY}:{EXPLICIT}"]
        else:
            options += ["--connect-to", f"::[{ORIGIN6}]:" if six else f"::{to or ORIGIN}:"]
        report = ["-w", "%{stderr}%{json}\n%{header_json}"]
        command = ["ip", "netns", "exec", self.network.client, "curl", *options, *report, *more, url]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        told, _, headers = done.stderr.decode().partition("\n")
        facts = json.loads(told)
        return Got(
            done.returncode,
            facts["response_code"],
            done.stdout.decode("utf-8", "replace"),
            facts["http_version"],
            facts["http_connect"],
            facts["size_upload"],
            json.loads(headers),
        )

    def dial(self, who: str = "ks2", via: Via = Via.PROXY, *, to: str = "", port: int = 80) -> socket.socket:
        """Connect from somebody's device, to the proxy or to where it believes the site to be."""
        six = via is Via.WIRE6
        target = (GATEWAY, EXPLICIT) if via is Via.PROXY else (to or (ORIGIN6 if six else ORIGIN), port)
        with self.network.inside(self.network.client):
            return socket.create_connection(target, timeout=20, source_address=(address(who, six=six), 0))

    def raw(
        self, data: bytes, who: str = "ks2", via: Via = Via.PROXY, *, to: str = "", port: int = 80
    ) -> bytes:
        """Send bytes as they are, and return what comes back until the gateway ends or falls silent."""
        with self.dial(who, via, to=to, port=port) as wire:
            with contextlib.suppress(OSError):  # the gateway may refuse before all is sent
                wire.sendall(data)
            return drain(wire)

    def trusting(self, *alpn: str) -> ssl.SSLContext:
        """Return how a device of the school checks certificates."""
        context = ssl.create_default_context(cafile=str(self.gateway.ca))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return what Prometheus would read now."""
        url = f"http://{GATEWAY}:{METRICS}/metrics"
        with self.network.inside(self.network.gateway), urllib.request.urlopen(url, timeout=60) as answer:
            return samples(answer.read().decode())

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over everything that carries these labels."""
        wanted = labels.items()
        return sum(value for have, value in self.metrics().get(name, []) if wanted <= have.items())

    def explain(self, group: str, url: str) -> dict[str, Any]:
        """Return what `appliance explain` says of one address."""
        return self.gateway.explain(group, url)[0]

    @contextlib.contextmanager
    def chromium(
        self, folder: Path, via: Via = Via.PROXY, account: tuple[str, str] | None = None
    ) -> Iterator[Browser]:
        """Start a browser on a device that trusts the school's CA.

        With an account it gives name and password to the proxy, under encryption, when it is asked.
        """
        started = folder / "chromium"
        started.write_text(f'#!/bin/sh\nexec ip netns exec {self.network.client} /usr/bin/chromium "$@"\n')
        started.chmod(0o755)
        flags = [
            "--headless",
            "--no-sandbox",  # root in a container, where Chromium's own sandbox does not start
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--ignore-certificate-errors-spki-list={_key_hash(self.gateway.ca)}",
        ]
        told: dict[str, Any] = {}
        if account is not None:
            server = f"https://{GATEWAY}:{ENCRYPTED}"
            told = {"proxy": {"server": server, "username": account[0], "password": account[1]}}
        elif via is Via.PROXY:
            flags.append(f"--proxy-server=http://{GATEWAY}:{EXPLICIT}")
        else:
            flags.append(f"--host-resolver-rules=MAP * {ORIGIN}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(started), args=flags, **told)
            yield browser
            browser.close()

    def sit_at(self, who: str) -> None:
        """Let the client's machine be somebody's device, for programs that cannot choose an address."""
        place, source = self.network.client, address(who)
        run(f"ip -n {place} route replace {GATEWAY}/32 dev eth0 src {source}")
        run(f"ip -n {place} route replace default via {GATEWAY} src {source}")


def drain(wire: socket.socket, first: float = 10.0, silence: float = 1.0) -> bytes:
    """Return what comes: wait `first` seconds for it to begin, and then until it ends or falls silent."""
    wire.settimeout(first)
    got = b""
    with contextlib.suppress(OSError):
        while chunk := wire.recv(65536):
            got += chunk
            wire.settimeout(silence)
    return got


def _key_hash(certificate: Path) -> str:
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return base64.b64encode(digest).decode()


def settings(origin: Origin, set_id: str) -> dict[str, Any]:
    """Return the configuration of the lab's gateway."""
    hosts = [ORIGIN, HTTP1, ODD, SOCKETS, "203.0.113.20"]
    networks = [
        {
            "network": f"{address(group, six=six)}/{128 if six else 32}",
            "group": group,
            "name": f"Room {group}",
        }
        for group in SETS[set_id]
        for six in (False, True)
    ]
    return {
        "school": {"name": "Hill School", "set": set_id},
        "gateway": {
            "listen": f"{GATEWAY}:{EXPLICIT}",
            "transparent": f"[::]:{TRANSPARENT}",
            "workers": 2,
            "floor_hits": {"hits": 0},  # one device here asks for what a school sees in years
            # Addresses for documentation count as private; here they are the internet.
            "reachable": [*(f"{host}/32" for host in hosts), f"{ORIGIN6}/128", "2001:db8:77::20/128"],
            "static_hosts": origin.hosts(),
            "extra_roots": str(origin.root_file),
        },
        "identity": {"networks": networks},
        "overrides": {"typed_for_others": True},
        "selftest": {"probes": PROBES},
        "metrics": {"listen": f"{GATEWAY}:{METRICS}"},
    }


def _rules(folder: Path, gateway: dict[str, Any]) -> Path:
    # As the comment in the file says: with a port for encryption, the firewall opens both.
    if "listen_tls" not in gateway:
        return RULES
    one, two = f"explicit_port = {EXPLICIT} ", f"explicit_port = {{ {EXPLICIT}, {ENCRYPTED} }} "
    text = RULES.read_text(encoding="utf-8")
    assert one in text
    rules = folder / RULES.name
    rules.write_text(text.replace(one, two), encoding="utf-8")
    return rules


@contextlib.contextmanager
def built(
    folder: Path,
    set_id: str = "westways",
    *,
    identity: dict[str, Any] | None = None,
    rule: dict[str, Any] | None = None,
    **gateway: Any,
) -> Iterator[Lab]:
    """Build a school with its gateway running, hand it out, and take everything away again.

    `identity` adds to that section; with it, one must sign in on the pupils' and staff's networks, or `rule`
    says what holds there.
    """
    with laid_network(f"j{time.monotonic_ns() % 100_000:05}") as network:
        for place in (*PLACES.values(), 99):
            run(f"ip -n {network.client} address add 10.77.0.{place}/24 dev eth0")
            run(f"ip -n {network.client} address add fd77::{place}/64 dev eth0 nodad")
        network.load(_rules(folder, gateway))
        with origin_in(network, folder / "origin") as origin:
            home = folder / "gateway"
            home.mkdir()
            machine = Gateway(network.gateway, home)
            wanted = settings(origin, set_id)
            # Both lanes are travelled: where one signs in as shipped, else with HTTP/2 as well.
            wanted["gateway"]["http2"] = identity is None
            if identity is not None:
                networks = [
                    network | ((rule or {"sign_in": True}) if network["group"] != "guest" else {})
                    for network in wanted["identity"]["networks"]
                ]
                wanted["identity"] = identity | {"networks": networks}
            machine.settle(wanted | {"gateway": wanted["gateway"] | gateway})
            with running(machine):
                yield Lab(network, origin, machine)
