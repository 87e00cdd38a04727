"""TLS towards clients and sites, on mitmproxy's own machinery.

What lives only here: which certificate a client is shown (one for the name it asked for, never a copy
of the site's list of names, so that a browser does not join sites on one connection) and which roots
sites are verified against. Verification cannot be switched off.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
from mitmproxy import certs, tls
from mitmproxy.addons import tlsconfig
from mitmproxy.proxy import context

from appliance.gateway.ca import Authority

SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")


class SchoolTls(tlsconfig.TlsConfig):
    """Shows clients certificates of the school's CA."""

    name = "tlsconfig"

    def __init__(self, authority: Authority, folder: Path) -> None:
        self._authority = authority
        # mitmproxy reads nothing else of its store once `get_cert` is ours.
        dhparams = certs.CertStore.load_dhparam(folder / "dhparam.pem")
        self.certstore = SimpleNamespace(dhparams=dhparams)  # type: ignore[assignment] # one field of it

    def configure(self, updated: set[str]) -> None:
        """Make no CA of mitmproxy's own."""

    def running(self) -> None:
        """Make no CA of mitmproxy's own."""

    def request(self, flow: Any) -> None:
        """Answer no revocation list under a magic path of other people's sites (H34)."""

    def tls_clienthello(self, tls_clienthello: tls.ClientHelloData) -> None:
        """Leave the order of handshakes to our own addon, which comes later in the chain (H13, H15)."""

    def get_cert(self, conn_context: context.Context) -> certs.CertStoreEntry:
        """Return the certificate for the name that the client asked for."""
        name = conn_context.client.sni
        if not name and conn_context.server.address:
            name = conn_context.server.address[0]
        leaf = self._authority.leaf(name or conn_context.client.sockname[0])
        return certs.CertStoreEntry(
            cert=certs.Cert(leaf.certificate),
            privatekey=leaf.key,  # type: ignore[arg-type] # EC keys work; only its annotation says RSA
            chain_file=self._authority.certificate_file,
            chain_certs=[certs.Cert(self._authority.certificate)],
        )


def write_roots(target: Path, extra: Path | None) -> Path:
    """Write the roots that sites are verified against: the system's, and a technician's extra ones.

    Returns `target`. `extra` is a PEM file, for example of an intranet's own CA; OSError if unreadable.
    """
    roots = SYSTEM_ROOTS if SYSTEM_ROOTS.exists() else Path(certifi.where())
    pem = roots.read_bytes() + (b"\n" + extra.read_bytes() if extra is not None else b"")
    if target.exists() and target.read_bytes() == pem:
        return target  # also on a full disk, where nothing could be written
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(f".{os.getpid()}")  # several workers start at the same moment
    try:
        temporary.write_bytes(pem)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
