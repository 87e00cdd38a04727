"""The internet of a journey: nginx with certificates good and bad, WebSockets, and a site that answers oddly.

What lives only here: what the sites of the journeys serve, and what they saw. A site that is to be blocked
is served as well, at addresses of its own whose packets the kernel counts: so "not contacted" means not one
packet.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from websockets.sync.server import Server, ServerConnection, serve

from tests.journeys.network import ORIGIN, ORIGIN6, Network, run

HTTP1, ODD, SOCKETS = "203.0.113.11", "203.0.113.12", "203.0.113.13"
"""Addresses of sites that speak HTTP/1.1 alone, that answer oddly, and that speak WebSocket over TLS."""
ELSEWHERE = "203.0.113.14"
"""An address that no name of the journeys leads to; a forger's own server stands there."""
BLOCKED, BLOCKED6 = "203.0.113.20", "2001:db8:77::20"
"""Where the sites stand that no test may ever reach."""

HELLO = "this came from the origin"
"""Stands in every ordinary answer of a site: where it is seen, something was let through."""

GOOD = {
    "education.example": [ORIGIN, ORIGIN6],
    "www.education.example": [ORIGIN],
    "six.education.example": [ORIGIN6],
    "h1.education.example": [HTTP1],
    "odd.education.example": [ODD],
    "socket.education.example": [SOCKETS],
    "children.example": [ORIGIN],
    "news.example": [ORIGIN],
    "search.example": [ORIGIN],
    "html.duckduckgo.example": [ORIGIN],
    "unlisted.example": [ORIGIN],
    "parts.example": [ORIGIN],
    "others.example": [ORIGIN],
    "opened-later.example": [ORIGIN],
    "closed-later.example": [ORIGIN],
    "www.bbc.co.uk": [ORIGIN],
    "xn--bcher-kva.example": [ORIGIN],
    "bank.example": [ORIGIN],
    "floor-test.example": [ORIGIN],
    "childline.org.uk": [ORIGIN, ORIGIN6],
    "www.childline.org.uk": [ORIGIN],
    "samaritans.org": [ORIGIN],
}
BAD = ("untrusted.education.example", "expired.education.example", "wrong.education.example")
INWARD = {
    "loopback.education.example": ["127.0.0.1", "::1"],
    "lan.education.example": ["10.77.0.1"],
    "own.education.example": ["203.0.113.1"],
}
CLOSED = (
    "gambling.example",
    "www.gambling.example",
    "casino.example",
    "social.example",
    "games.example",
    "pornography.example",
    "self-harm.example",
    "extremism.example",
    "proxy.example",
    "video.example",
    "drugs.example",
    "weapons.example",
    "ctiru-test.example",
)
"""Names that some profile closes."""

_SERVER = """
  server {
    %(listen)s
    server_name %(names)s;
    ssl_certificate %(certificate)s;
    ssl_certificate_key %(certificate)s;
    location / { default_type text/plain; return 200 "$host: %(hello)s\\n"; }
    location = /page { default_type text/html; return 200 "<!doctype html><title>T</title><p>%(hello)s</p>"; }
    location = /junk { add_header Content-Encoding gzip; return 200 "no gzip, %(hello)s"; }
    location = /alt { add_header Alt-Svc 'h3=":443"'; default_type text/plain; return 200 "%(hello)s"; }
    location /files/ {
      alias %(folder)s/files/; add_header Access-Control-Allow-Origin "*"; gzip on; gzip_min_length 1;
      types { text/html html; text/css css; image/png png; font/ttf ttf; video/webm webm; }
    }
    location = /big { alias %(folder)s/big; }
    location = /slow { alias %(folder)s/slow; limit_rate 128k; }
    location = /up { client_max_body_size 0; client_body_in_file_only on; proxy_pass http://127.0.0.1:9000; }
    location = /socket {
      proxy_pass http://127.0.0.1:9001; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }
  }
"""
_NGINX = """
user root; worker_processes 1; daemon off; pid %(folder)s/nginx.pid; error_log %(folder)s/error.log;
events { worker_connections 4096; }
http {
  log_format seen escape=json '{"host":"$host","sni":"$ssl_server_name","method":"$request_method",'
    '"uri":"$request_uri","protocol":"$server_protocol","length":$request_length,"at":"$server_addr",'
    '"from":"$remote_addr","connection":$connection}';
  access_log %(folder)s/access.log seen;
  client_body_temp_path %(folder)s/bodies; proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
  large_client_header_buffers 8 64k; keepalive_requests 100000;
  server { listen 127.0.0.1:9000; client_max_body_size 0; access_log off; return 200 "%(hello)s"; }
  %(servers)s
}
"""


@dataclass
class Origin:
    """All sites. `root` is the CA which the gateway trusts; `answers` are the odd site's, by path."""

    network: Network
    folder: Path
    root: trustme.CA = field(default_factory=trustme.CA)
    answers: dict[str, bytes] = field(default_factory=dict)
    heard: list[bytes] = field(default_factory=list)
    """Every request head, with what of the body came along, that the odd site and the forger's server got."""

    @property
    def root_file(self) -> Path:
        """The PEM file of the CA that the gateway trusts."""
        return self.folder / "root.pem"

    @property
    def seen(self) -> list[dict[str, Any]]:
        """Every request that nginx has finished with, in order."""
        time.sleep(0.05)  # nginx writes the line after the answer
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]

    def saw(self, text: str) -> list[dict[str, Any]]:
        """Return the finished requests whose address or host holds `text`."""
        return [one for one in self.seen if text in one["uri"] or text in one["host"]]

    def uploads(self) -> list[Path]:
        """Return the bodies that nginx received and kept."""
        return sorted(path for path in (self.folder / "bodies").rglob("*") if path.is_file())

    def packets_to_blocked(self) -> int:
        """Return how many packets ever reached an address where only blocked sites stand."""
        table = json.loads(run(f"ip netns exec {self.network.internet} nft -j list table inet seen"))
        rules = [item["rule"] for item in table["nftables"] if "rule" in item]
        counters = [part["counter"] for rule in rules for part in rule["expr"] if "counter" in part]
        assert len(counters) == 2
        return sum(int(counter["packets"]) for counter in counters)

    def hosts(self) -> dict[str, list[str]]:
        """Return every name with its addresses, for the gateway's `static_hosts`."""
        bad = {name: [ORIGIN] for name in BAD}
        closed = {name: [BLOCKED, BLOCKED6] for name in CLOSED}
        return GOOD | INWARD | bad | closed


@contextlib.contextmanager
def origin_in(network: Network, folder: Path) -> Iterator[Origin]:
    """Serve all sites in the network's internet, and end them."""
    folder.mkdir(parents=True)
    origin = Origin(network, folder)
    origin.root.cert_pem.write_to_path(str(origin.root_file))
    place = network.internet
    for address in (HTTP1, ODD, SOCKETS, ELSEWHERE, BLOCKED):
        run(f"ip -n {place} address add {address}/24 dev eth0")
    run(f"ip -n {place} address add {BLOCKED6}/64 dev eth0 nodad")
    _count_blocked(network, folder)
    for name, size in (("big", 64 << 20), ("slow", 4 << 20)):
        (folder / name).write_bytes(b"")
        with (folder / name).open("r+b") as file:
            file.truncate(size)
    _write_config(origin)
    with contextlib.ExitStack() as running:
        running.enter_context(_nginx(origin))
        certificate = origin.root.issue_cert("socket.education.example")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        running.enter_context(_sockets(_listener(network, "127.0.0.1", 9001), None))
        running.enter_context(_sockets(_listener(network, SOCKETS, 443), context))
        for address, port in ((ODD, 80), (ODD, 8080), (ELSEWHERE, 80), (ELSEWHERE, 443)):
            running.enter_context(_odd(origin, _listener(network, address, port)))
        yield origin


def _count_blocked(network: Network, folder: Path) -> None:
    rules = folder / "seen.nft"
    rules.write_text(
        "table inet seen { chain arriving { type filter hook input priority raw; policy accept;\n"
        f"ip daddr {BLOCKED} counter accept\n"
        f"ip6 daddr {BLOCKED6} meta l4proto tcp counter accept\n}}\n}}\n"
    )
    run(f"ip netns exec {network.internet} nft -f {rules}")


def _write_config(origin: Origin) -> None:
    folder, names = origin.folder, [*GOOD, *CLOSED]
    ended = datetime.now(UTC) - timedelta(days=1)
    certificates = {
        " ".join(["_", *names]): origin.root.issue_cert(*names),
        BAD[0]: trustme.CA().issue_cert(BAD[0]),
        BAD[1]: origin.root.issue_cert(BAD[1], not_after=ended),
        BAD[2]: origin.root.issue_cert("another.education.example"),
    }
    everywhere = [f"{ORIGIN}:80", f"{ORIGIN}:443 ssl http2", f"[{ORIGIN6}]:80", f"[{ORIGIN6}]:443 ssl http2"]
    everywhere += [f"{BLOCKED}:80", f"{BLOCKED}:443 ssl http2", f"[{BLOCKED6}]:80", f"{HTTP1}:80"]
    everywhere += [f"[{BLOCKED6}]:443 ssl http2", f"{HTTP1}:443 ssl", f"{ORIGIN}:8443 ssl http2"]
    servers = ""
    for number, (server_names, certificate) in enumerate(certificates.items()):
        file = folder / f"site{number}.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(str(file))
        servers += _SERVER % {
            "listen": " ".join(f"listen {each};" for each in everywhere),
            "names": server_names,
            "certificate": file,
            "folder": folder,
            "hello": HELLO,
        }
    (folder / "nginx.conf").write_text(_NGINX % {"folder": folder, "servers": servers, "hello": HELLO})


@contextlib.contextmanager
def _nginx(origin: Origin) -> Iterator[None]:
    folder, place = origin.folder, origin.network.internet
    command = ["ip", "netns", "exec", place, "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), origin.network.opened:
                    origin.network.call(place, ORIGIN, 443)
                    break
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def _listener(network: Network, address: str, port: int) -> socket.socket:
    with network.inside(network.internet):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener


@contextlib.contextmanager
def _sockets(listener: socket.socket, context: ssl.SSLContext | None) -> Iterator[Server]:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, sock=listener, ssl=context, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def _odd(origin: Origin, listener: socket.socket) -> Iterator[None]:
    stopping = threading.Event()
    listener.settimeout(0.1)

    def answer() -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    _answer_oddly(origin, connection)

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    stopping.set()
    thread.join()
    listener.close()


def _answer_oddly(origin: Origin, connection: socket.socket) -> None:
    connection.settimeout(0.5)
    head = b""
    while b"\r\n\r\n" not in head:
        got = connection.recv(65536)
        head += got
        if not got:
            break
    with contextlib.suppress(TimeoutError):
        while (
            b"chunked" in head.lower()
            and not head.endswith(b"\r\n\r\n0\r\n\r\n")
            and b"\r\n0\r\n" not in head
        ):
            head += connection.recv(65536)
    origin.heard.append(head)
    path = [*head.split(b" "), b"", b""][1].decode("latin-1")
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        len(HELLO),
        HELLO.encode(),
    )
    connection.sendall(origin.answers.get(path, plain))
