"""The site that the benchmark asks for: nginx on an address of its own of this machine, and its CA.

What lives only here: how that site is set up, and how plain mitmproxy, as it ships, is started beside it.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.bench.measure import give_up
from tests.bench.programs import answers, started, until
from tests.doubles.running import free_port

HOST, ADDRESS = "lessons.bench-origin.example", "127.0.0.90"
SIZES = {"/1k": 1024, "/32k": 32_768}
"""Pages of the site, and their sizes in bytes."""

_NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 1024; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 10000000; keepalive_timeout 600; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen {address}:{port} ssl http2; server_name {host}; root {folder}/pages; ssl_session_cache off;
    ssl_certificate {folder}/site.pem; ssl_certificate_key {folder}/site.pem;
  }}
}}
"""
# Plain mitmproxy asks the system for addresses. The site's name is not known there, and making it known would
# change the machine; so this one name is answered within the process, in the place where the system would.
_MITMDUMP = """
import socket, sys
from mitmproxy.tools.main import mitmdump
system, (host, address) = socket.getaddrinfo, sys.argv[1:3]
found = {host: address, host.encode(): address}
socket.getaddrinfo = lambda name, *rest, **more: system(found.get(name, name), *rest, **more)
mitmdump(sys.argv[3:])
"""


@dataclass(frozen=True, slots=True)
class Site:
    """The site: its port at `ADDRESS`, and the file with the CA that a client of it trusts."""

    port: int
    root: Path


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Site]:
    """Serve the site, and end it."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        give_up("nginx is missing; deploy/bin/system-packages installs it")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pages").mkdir(parents=True)
    for name, size in SIZES.items():
        (folder / f"pages{name}").write_bytes(b"a lesson about rivers and hills\n" * (size // 32))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "root.pem"))
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(folder / "site.pem"))
    port = free_port(ADDRESS)
    user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
    text = _NGINX.format(folder=folder, user=user, address=ADDRESS, port=port, host=HOST)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    said = folder / "nginx.log"
    with started([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")], said) as process:
        until(lambda: answers((ADDRESS, port)), process, said, "nginx listens")
        yield Site(port, folder / "root.pem")


@contextlib.contextmanager
def plain_mitmproxy(folder: Path, site: Site) -> Iterator[tuple[int, int, Path]]:
    """Run mitmdump as it ships, with no addon of ours; yield its process id, port and CA file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port, said = free_port(), folder / "mitmdump.log"
    options = [f"confdir={folder}", f"ssl_verify_upstream_trusted_ca={site.root}"]
    command = [sys.executable, "-c", _MITMDUMP, HOST, ADDRESS, "--quiet", "--listen-host", "127.0.0.1"]
    command += ["--listen-port", str(port), *(word for option in options for word in ("--set", option))]
    with started(command, said) as process:
        until(lambda: answers(("127.0.0.1", port)), process, said, "mitmdump listens")
        yield process.pid, port, folder / "mitmproxy-ca-cert.pem"
