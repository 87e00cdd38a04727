"""The gateway's bench: pupils' devices, a machine in between, and the sites, each in a network namespace.

What lives only here: the sites with their names and certificates, and one contender at a time in the middle,
to which the firewall redirects whatever goes to port 443. Needs root. What was started ends with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.bench.made import CLINICS
from tests.bench.measure import give_up
from tests.bench.programs import cpu_seconds, end, started, until
from tests.journeys.network import ORIGIN, Network, laid_network, run

OPENED, (UNREAD,) = "bench-origin.example", CLINICS
"""Sites whose encryption is opened, and sites whose is not (about health: nobody's business)."""
LESSONS = f"lessons.{OPENED}"
CLINIC = f"clinic.{UNREAD}"
SIZES = {"1k": 1 << 10, "32k.html": 32_700, "60k": 60 << 10, "100m": 100 << 20}
PORT, PLAIN_PORT = 8443, 8080
"""Where a contender takes redirected connections, and where it would be a proxy that is spoken to."""
_PATIENCE, _IDLE, _LOOKS = 30.0, 0.05, 8
"""For a contender to come to rest, in s: longest wait; CPU time in half a second; and how often in a row."""
_KERNEL = (  # thousands of connections a second leave as many behind that wait to be forgotten
    "net.ipv4.ip_local_port_range=1024 65535",
    "net.ipv4.tcp_tw_reuse=1",
    "net.core.somaxconn=4096",
)

_NGINX = """
daemon off; worker_processes 2; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600;
  types {{ text/html html; }} default_type application/octet-stream; client_body_temp_path {folder}/b;
  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen {address}:443 ssl http2 backlog=4096; root {folder}/pages; ssl_session_cache off;
    ssl_certificate {folder}/site.pem; ssl_certificate_key {folder}/site.pem;
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Running:
    """One contender that runs: its process, and the file with the CA that its clients must trust."""

    name: str
    process: subprocess.Popen[bytes] | None
    root: Path

    @property
    def pid(self) -> int | None:
        """The process at the top of the contender's tree; None for the straight way."""
        return None if self.process is None else self.process.pid


@dataclass
class Lab:
    """The three namespaces with the sites running; `trusted` holds every CA a client may meet."""

    network: Network
    folder: Path
    sites: trustme.CA = field(default_factory=trustme.CA)
    ours: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """The lab's own programs that still run: the sites and their name server."""

    @property
    def sites_root(self) -> Path:
        """The PEM file of the CA that the sites' certificates come from."""
        return self.folder / "sites-ca.pem"

    def command(self, place: str, *words: object) -> list[str]:
        """Return the command line that runs a program in a namespace."""
        return ["ip", "netns", "exec", place, *map(str, words)]

    def client(self, *words: object, seconds: float = 120) -> str:
        """Run a load tool where the pupils are, and return what it printed."""
        done = subprocess.run(
            self.command(self.network.client, *words),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return done.stdout + done.stderr

    def connect(self, name: str = LESSONS) -> socket.socket:
        """Open a connection from a pupil's device to a site (all of them stand at one address)."""
        assert name.endswith((OPENED, UNREAD))
        with self.network.inside(self.network.client):
            wire = socket.create_connection((ORIGIN, 443), 30)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return wire

    @contextlib.contextmanager
    def contender(self, name: str, command: Sequence[object] | None, root: Path) -> Iterator[Running]:
        """Start a contender in the middle and redirect to it; None for the straight way."""
        run(f"ip netns exec {self.network.gateway} nft flush ruleset")
        if command is None:
            yield Running(name, None, self.sites_root)
            return
        rules = self.folder / "redirect.nft"
        rules.write_text(
            "table ip bench { chain arriving { type nat hook prerouting priority dstnat; "
            f'iifname "lan0" tcp dport 443 redirect to :{PORT}\n}}\n}}\n'
        )
        said = self.folder / f"{name}.log"
        line = self.command(self.network.gateway, *command)
        with started(line, said, env=os.environ | {"HOME": str(self.folder)}) as process:
            try:
                self.network.load(rules)
                # Through the redirect: Squid stops accepting after a connection that came straight to it.
                until(self._answers, process, said, f"{name} takes connections")
                _settle(process.pid)
                yield Running(name, process, root)
            finally:
                end(process)
                _end_all(self.network.gateway)  # and whatever it left behind
                run(f"ip netns exec {self.network.gateway} nft flush ruleset")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), self.connect():
            return True
        time.sleep(0.1)
        return False


@contextlib.contextmanager
def built(folder: Path) -> Iterator[Lab]:
    """Build the lab, hand it out, and take everything away again."""
    if os.geteuid() != 0:
        give_up("needs root, for network namespaces")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, _leave)
    with laid_network("bench") as network, contextlib.ExitStack() as made:
        lab = Lab(network, folder)
        for place in (network.client, network.gateway, network.internet):
            made.callback(_end_all, place)
            made.enter_context(_resolver(place))
            for setting in _KERNEL:
                _set(place, setting)
        _make_sites(lab)
        made.enter_context(_sites(lab))
        yield lab


def _leave(*_: object) -> None:
    raise SystemExit(143)


def _set(place: str, setting: str) -> None:
    command = ["ip", "netns", "exec", place, "sysctl", "-q", "-w", setting]
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def _resolver(place: str) -> Iterator[None]:
    # `ip netns exec` puts this file in the place of /etc/resolv.conf.
    target = Path("/etc/netns") / place
    target.mkdir(parents=True, exist_ok=True)
    (target / "resolv.conf").write_text(f"nameserver {ORIGIN}\n")
    try:
        yield
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _make_sites(lab: Lab) -> None:
    lab.sites.cert_pem.write_to_path(str(lab.sites_root))
    names = [f"{star}{domain}" for domain in (OPENED, UNREAD) for star in ("", "*.", "*.new.")]
    certificate = lab.sites.issue_cert(*names)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(lab.folder / "site.pem"))
    pages = lab.folder / "pages"
    pages.mkdir()
    words = b"school library lesson reading science history river mountain music garden window paper number "
    for name, size in SIZES.items():
        html = name.endswith("html")
        whole = b"<!doctype html><title>Lesson</title><p>" + words * 400 if html else os.urandom(1 << 20)
        with (pages / name).open("wb") as file:
            for start in range(0, size, len(whole)):
                file.write(whole[: size - start])
    text = _NGINX.format(folder=lab.folder, address=ORIGIN)
    (lab.folder / "nginx.conf").write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _sites(lab: Lab) -> Iterator[None]:
    place, folder = lab.network.internet, lab.folder
    nginx = lab.command(place, "nginx", "-p", folder, "-c", folder / "nginx.conf")
    names = [f"--address=/{domain}/{ORIGIN}" for domain in (OPENED, UNREAD)]
    dnsmasq = lab.command(place, "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", *names)
    dnsmasq += [f"--listen-address={ORIGIN}", "--bind-interfaces", "--local-ttl=3600", "--pid-file="]
    with (
        started(nginx, folder / "nginx.log") as one,
        started([*dnsmasq, "--user=root"], folder / "dnsmasq.log") as two,
    ):
        until(lab._answers, one, folder / "nginx.log", "the sites answer")
        lab.ours += [one, two]
        yield
        lab.ours.clear()


def _settle(pid: int) -> None:
    # What a program still does for itself after its start is nobody's request: ours starts its keeper of
    # alerts three seconds later than the rest, which costs half a second, or 600 of its connections.
    finish, last, rests = time.monotonic() + _PATIENCE, cpu_of_tree(pid), 0
    while rests < _LOOKS and time.monotonic() < finish:
        time.sleep(0.5)
        now = cpu_of_tree(pid)
        rests = rests + 1 if now - last < _IDLE else 0
        last = now


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds that a process and all that descend from it have used so far."""
    used = 0.0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            used += cpu_seconds(one)
    return used


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            fields = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _end_all(place: str) -> None:
    # Only what was started in a namespace that was made here: nobody else is in it.
    for pid in run(f"ip netns pids {place}").split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
