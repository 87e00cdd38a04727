"""A network of its own for a journey: a client, the gateway and the internet, each in a network namespace.

What lives only here: namespaces, cables between them, and sockets opened in them. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

GATEWAY, GATEWAY6 = "10.77.0.1", "fd77::1"
"""The gateway's addresses on the school's side."""
OUTSIDE = "203.0.113.1"
"""The gateway's address on the internet's side."""
ORIGIN, ORIGIN6 = "203.0.113.10", "2001:db8:77::10"
"""A site's addresses."""
CLIENT = "10.77.0.2"
"""A pupil's address."""

SOON = 0.5
"""Seconds; between namespaces of one machine an answer takes less than a millisecond."""


def run(command: str) -> str:
    """Run a command that must succeed, and return what it printed; its complaint is the test's."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@dataclass
class Network:
    """The three namespaces, by name, and the sockets opened in them."""

    client: str
    gateway: str
    internet: str
    opened: contextlib.ExitStack[bool | None] = field(default_factory=contextlib.ExitStack)

    @contextlib.contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """Let this thread be in `place`: every socket that it opens meanwhile belongs there for good."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{place}", os.O_RDONLY)
        try:
            os.setns(there, os.CLONE_NEWNET)
            yield
        finally:
            os.setns(home, os.CLONE_NEWNET)
            os.close(home)
            os.close(there)

    def open(self, place: str, kind: socket.SocketKind, family: int = socket.AF_INET) -> socket.socket:
        """Open a socket that belongs to `place`, wherever this thread is."""
        with self.inside(place):
            made = socket.socket(family, kind)
        made.settimeout(SOON)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return self.opened.enter_context(made)

    def listen(self, place: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Listen at every address of `place`, v4 and v6."""
        listener = self.open(place, kind, socket.AF_INET6)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", port))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        return listener

    def call(
        self, place: str, host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM
    ) -> socket.socket:
        """Connect from `place`; over UDP a first datagram is sent as well."""
        caller = self.open(place, kind, socket.AF_INET6 if ":" in host else socket.AF_INET)
        caller.connect((host, port))
        if kind == socket.SOCK_DGRAM:
            caller.send(b"?")
        return caller

    def refused(self, place: str, host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
        """True when the gateway says no at once; a silence or an answer is False."""
        try:
            self.call(place, host, port, kind).recv(1)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False

    def load(self, rules: Path) -> None:
        """Load a file of firewall rules in the gateway."""
        run(f"ip netns exec {self.gateway} nft -f {rules}")


def lay_cables(network: Network) -> None:
    """Join the three: addresses, routes and forwarding as on a school's router before any rule is there."""
    client, gateway, internet = network.client, network.gateway, network.internet
    run(f"ip link add eth0 netns {client} type veth peer name lan0 netns {gateway}")
    run(f"ip link add eth0 netns {internet} type veth peer name wan0 netns {gateway}")
    for place, link, address, address6 in (
        (client, "eth0", CLIENT, "fd77::2"),
        (gateway, "lan0", GATEWAY, GATEWAY6),
        (gateway, "wan0", OUTSIDE, "2001:db8:77::1"),
        (internet, "eth0", ORIGIN, ORIGIN6),
    ):
        run(f"ip -n {place} address add {address}/24 dev {link}")
        run(f"ip -n {place} address add {address6}/64 dev {link} nodad")
        run(f"ip -n {place} link set {link} up")
        run(f"ip -n {place} link set lo up")
    for place, via, via6 in ((client, GATEWAY, GATEWAY6), (internet, OUTSIDE, "2001:db8:77::1")):
        run(f"ip -n {place} route add default via {via}")
        run(f"ip -n {place} -6 route add default via {via6}")
    forwarding = "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
    patience = (
        "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0"  # many refusals a second are the test's doing
    )
    run(f"ip netns exec {gateway} sysctl -q -w {forwarding} {patience}")


@contextlib.contextmanager
def laid_network(name: str) -> Iterator[Network]:
    """Lay a network, hand it out, and take it away again; `name` tells it from another test's."""
    names = [f"{name}-{os.getpid()}-{place}" for place in ("client", "gateway", "internet")]
    network = Network(client=names[0], gateway=names[1], internet=names[2])
    with contextlib.ExitStack() as made:
        for place in names:
            run(f"ip netns add {place}")
            made.callback(run, f"ip netns delete {place}")
        lay_cables(network)
        with network.opened:  # IPv6 takes a moment to find its neighbours
            reached = (network.refused(network.client, ORIGIN6, 9) for _ in range(20))
            assert any(reached), "the origin cannot be reached over IPv6"
        yield network
