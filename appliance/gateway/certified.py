"""Encryption for a server of the gateway's own: certificates of the school's CA, made anew before they end.

What lives only here: the TLS context for one name. Keys are in memory alone.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.gateway.ca import Authority, Leaf


def load(context: ssl.SSLContext, leaf: Leaf, authority: x509.Certificate) -> None:
    """Give a context a certificate and its key."""
    pem = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for certificate in (leaf.certificate, authority):
        pem += certificate.public_bytes(serialization.Encoding.PEM)
    # Python reads them from a file only; this one is in memory, and the key never comes to a disk.
    handle = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(handle), "wb") as file:
            file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


class Certified:
    """The encryption of a server that people call by `name`, a host name or an address."""

    def __init__(self, authority: Authority, name: str) -> None:
        self._authority = authority
        self._name = name
        self._kept: tuple[Leaf, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a server listens with; no handshake gets a certificate that has ended."""
        context = self._fresh()
        context.sni_callback = self._choose
        return context

    def _choose(self, wire: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        wire.context = self._fresh()

    def _fresh(self) -> ssl.SSLContext:
        leaf = self._authority.leaf(self._name)
        if self._kept is not None and self._kept[0] is leaf:
            return self._kept[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        load(context, leaf, self._authority.certificate)
        self._kept = leaf, context
        return context
