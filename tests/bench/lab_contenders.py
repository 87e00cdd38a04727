"""Who is measured in the lab: this gateway, and what a school would use instead.

What lives only here: how each is configured. All of them sit in the middle unasked (transparent), open
what goes to the lessons, pass on what goes to the clinic, and verify the sites' certificates.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.bench import states
from tests.bench.lab import PLAIN_PORT, PORT, UNREAD, Lab
from tests.bench.programs import appliance, configure
from tests.journeys.network import CLIENT, GATEWAY, ORIGIN

type Command = list[object] | None

LISTED = 100_000
"""Made names that the other filters are given to block; they load a million for minutes."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Contender:
    """One program: `make` configures it and returns its command and the CA that its clients meet."""

    make: Callable[[Lab], tuple[Command, Path]]
    opens: bool = True
    """Whether it opens encryption at all."""
    http2: bool = False
    ours: bool = False


def _gateway(workers: int, **more: object) -> Callable[[Lab], tuple[Command, Path]]:
    def make(lab: Lab) -> tuple[Command, Path]:
        folder = lab.folder / "gateway"
        shutil.rmtree(folder, ignore_errors=True)
        # A log and a CA of its own; the lists are what was compiled once (never written to, only replaced).
        shutil.copytree(states.with_names(), folder / "state", copy_function=os.link)
        config = configure(
            folder,
            folder / "state",
            listen=f"{GATEWAY}:{PLAIN_PORT}",
            transparent=f"{GATEWAY}:{PORT}",
            workers=workers,
            reachable=[f"{ORIGIN}/32"],
            extra_roots=str(lab.sites_root),
            **more,
        )
        text = config.read_text(encoding="utf-8").replace("127.0.0.1/32", f"{CLIENT}/32")
        config.write_text(text, encoding="utf-8")
        return [*appliance("run", config=config)], folder / "state" / "ca" / "ca.pem"

    return make


def _straight(lab: Lab) -> tuple[Command, Path]:
    return None, lab.sites_root


def _mitmdump(lab: Lab) -> tuple[Command, Path]:
    folder = lab.folder / "mitmdump"
    folder.mkdir(exist_ok=True)
    root, key = _authority(lab)
    (folder / "mitmproxy-ca.pem").write_bytes(key.read_bytes() + root.read_bytes())
    (folder / "mitmproxy-ca-cert.pem").write_bytes(root.read_bytes())
    options = [f"confdir={folder}", f"ssl_verify_upstream_trusted_ca={lab.sites_root}"]
    options.append(rf"ignore_hosts=^(.+\.)?{UNREAD.replace('.', '[.]')}:")
    sets = [word for option in options for word in ("--set", option)]
    program = Path(sys.executable).parent / "mitmdump"
    return [program, "--mode", f"transparent@{PORT}", "--quiet", *sets], root


def _squid(lab: Lab) -> tuple[Command, Path]:
    folder = lab.folder / "squid"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    root, key = _authority(lab)
    (folder / "ca.pem").write_bytes(root.read_bytes() + key.read_bytes())
    helper = f"/usr/lib/squid/security_file_certgen -s {folder}/db -M 16MB"
    subprocess.run(["/usr/lib/squid/security_file_certgen", "-c", "-s", f"{folder}/db", "-M", "16MB"],
                   check=True, capture_output=True)  # fmt: skip
    bump = f"generate-host-certificates=on dynamic_cert_mem_cache_size=16MB tls-cert={folder}/ca.pem"
    (folder / "squid.conf").write_text(f"""
http_port {GATEWAY}:{PLAIN_PORT}
https_port {PORT} intercept ssl-bump {bump}
sslcrtd_program {helper}
tls_outgoing_options cafile={lab.sites_root}
acl step1 at_step SslBump1
acl listed dstdomain "{_listed(lab)}"
acl listed_name ssl::server_name "{_listed(lab)}"
acl unread ssl::server_name .{UNREAD}
ssl_bump peek step1
ssl_bump terminate listed_name
ssl_bump splice unread
ssl_bump bump all
http_access deny listed
http_access allow all
cache deny all
cache_mem 16 MB
access_log stdio:{folder}/access.log
buffered_logs on
cache_log {folder}/cache.log
pid_filename {folder}/pid
cache_effective_user proxy
shutdown_lifetime 0 seconds
pinger_enable off
dns_nameservers {ORIGIN}
visible_hostname bench
""")
    _give(folder, "proxy")
    return ["squid", "-N", "-f", folder / "squid.conf"], root


def _e2guardian(lab: Lab) -> tuple[Command, Path]:
    folder = lab.folder / "e2guardian"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree("/etc/e2guardian", folder)
    for file in [*folder.rglob("*.conf"), *folder.rglob("*.story"), *(folder / "lists").rglob("*")]:
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
            if "/etc/e2guardian" in text:
                moved = text.replace("/etc/e2guardian", str(folder))
                file.write_text(moved, encoding="utf-8", errors="surrogateescape")
    root, key = _authority(lab)
    private, roots = folder / "private", folder / "roots"
    (private / "generatedcerts").mkdir(parents=True)
    roots.mkdir()
    for source, target in ((root, "ca.pem"), (key, "ca.key"), (lab.folder / "leaf.key", "cert.key")):
        shutil.copy(source, private / target)
    shutil.copy(lab.sites_root, roots / "sites.pem")
    subprocess.run(["openssl", "rehash", str(roots)], check=True, capture_output=True)
    shutil.copy(_listed(lab), folder / "lists" / "bannedsitelist")
    (folder / "lists" / "exceptionsitelist").write_text(f"{UNREAD}\n")
    main, group = folder / "e2guardian.conf", folder / "e2guardianf1.conf"
    text = main.read_text().replace("enablessl = off", "enablessl = on")
    text = text.replace("#sslcertificatepath = ''", f"sslcertificatepath = '{roots}/'")
    now = int(time.time())
    main.write_text(
        f"{text}\ngeneratedcertstart = {now - _DAY}\ngeneratedcertend = {now + 300 * _DAY}\n"
        f"loglocation = '{folder}/access.log'\npidfilename = '{folder}/pid'\nipcfilename = '{folder}/ipc'\n"
    )
    group.write_text(group.read_text().replace("sslmitm = off", "sslmitm = on"))
    (folder / "access.log").touch()
    _give(folder, "e2guardian")
    return ["e2guardian", "-N", "-c", main], root


def _haproxy(lab: Lab) -> tuple[Command, Path]:
    file = lab.folder / "haproxy.cfg"
    file.write_text(f"""
global
  maxconn 4000
  nbthread 2
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option splice-auto
frontend arriving
  bind :{PORT}
  tcp-request inspect-delay 5s
  tcp-request content reject if {{ req.ssl_sni -m str -f {_listed(lab)} }}
  tcp-request content accept if {{ req.ssl_hello_type 1 }}
  default_backend sites
backend sites
  server site 0.0.0.0:0
""")
    return ["haproxy", "-db", "-f", file], lab.sites_root


def _listed(lab: Lab) -> Path:
    target = lab.folder / "listed"
    if not target.exists():
        target.write_text("".join(f"listed{at}.example{at % 97}.net\n" for at in range(LISTED)))
    return target


def _authority(lab: Lab) -> tuple[Path, Path]:
    # RSA, as these programs' own instructions make it; ours makes its own.
    root, key_file, leaf = lab.folder / "ca.pem", lab.folder / "ca.key", lab.folder / "leaf.key"
    if not root.exists():
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench CA")])
        now = datetime.now(UTC)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(99))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        made = made.add_extension(usage, critical=True)
        root.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        for target, each in ((key_file, key), (leaf, rsa.generate_private_key(65537, 2048))):
            target.write_bytes(
                each.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.TraditionalOpenSSL,
                    serialization.NoEncryption(),
                )
            )
    return root, key_file


def _give(folder: Path, user: str) -> None:
    shutil.chown(folder, user, user)
    for entry in folder.rglob("*"):
        shutil.chown(entry, user, user)


OURS, TWO, FULL = "this gateway", "two workers", "the full lane"
SQUID, E2GUARDIAN, HAPROXY, MITMDUMP, STRAIGHT = "squid", "e2guardian", "haproxy", "mitmdump", "straight"
CONTENDERS = {
    STRAIGHT: Contender(_straight, opens=False, http2=True),
    OURS: Contender(_gateway(1), ours=True),
    FULL: Contender(_gateway(1, http2=True, lean_lane=False), http2=True, ours=True),
    TWO: Contender(_gateway(2), ours=True),
    SQUID: Contender(_squid),
    E2GUARDIAN: Contender(_e2guardian),
    HAPROXY: Contender(_haproxy, opens=False),
    MITMDUMP: Contender(_mitmdump, http2=True),
}
