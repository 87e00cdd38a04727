"""TLS towards clients and sites, on mitmproxy's own machinery.

What lives only here: which certificate a client is shown (one for the name it asked for, never a copy
of the site's list of names, so that a browser does not join sites on one connection) and which roots
sites are verified against. Verification cannot be switched off. What is made for a handshake is made
once: the context, the keys, each certificate in OpenSSL's form; and a site that was verified within the
hour is asked to go on where it left off (session resumption), which saves it and us the dear half.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
from mitmproxy import certs, connection, ctx, tls
from mitmproxy.addons import tlsconfig
from mitmproxy.net import tls as net_tls
from mitmproxy.proxy import context, server_hooks
from OpenSSL import SSL, crypto

from appliance.gateway.ca import Authority, Leaf

SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")


RESUMED_SECONDS = 3600.0
"""How long a site is taken for the site that it once proved to be."""
_KEPT = 2000
_BOTH_WAYS = 3  # SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN


def speaks_http2(offers: Sequence[bytes], *, offered: bool) -> bool:
    """Tell whether a client with these ALPN offers (RFC 7301) is answered with HTTP/2.

    That is so where the school offers it, and to a program that speaks nothing else (gRPC): it would
    otherwise fail, and HTTP/2 is judged as strictly as everything.
    """
    return b"h2" in offers and (offered or not {b"http/1.1", b"http/1.0"} & {*offers})


class _Kept[K, V]:
    """The newest few of what was made, by key."""

    def __init__(self, limit: int = _KEPT) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)


class SchoolTls(tlsconfig.TlsConfig):
    """Shows clients certificates of the school's CA."""

    name = "tlsconfig"

    def __init__(
        self, authority: Authority, folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._context: SSL.Context | None = None
        self._shown: _Kept[str, tuple[Leaf, crypto.X509]] = _Kept()
        self._sessions: _Kept[_Site, tuple[float, SSL.Session]] = _Kept()
        self._open: dict[str, tuple[_Site, float, SSL.Connection]] = {}
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

    def tls_start_client(self, tls_start: tls.TlsData) -> None:
        """Begin a handshake with a client, under the certificate for the name that it asked for."""
        client, server = tls_start.conn, tls_start.context.server
        ssl_conn = SSL.Connection(self._client_context())
        # pyOpenSSL's own way would turn the certificate into OpenSSL's form for each connection.
        used = SSL._lib.SSL_use_certificate(ssl_conn._ssl, self._certificate(tls_start.context)._x509)  # type: ignore[attr-defined] # noqa: SLF001 - as mitmproxy does
        SSL._openssl_assert(used == 1)  # noqa: SLF001 - as above
        ssl_conn.set_app_data(
            tlsconfig.AppData(
                client_alpn=client.alpn,
                server_alpn=server.alpn,
                http2=speaks_http2(client.alpn_offers, offered=ctx.options.http2),
            )
        )
        ssl_conn.set_accept_state()
        tls_start.ssl_conn = ssl_conn

    def tls_start_server(self, tls_start: tls.TlsData) -> None:
        """Begin a handshake with a site, from where the last one with it left off if that is fresh."""
        offers = tls_start.context.client.alpn_offers
        if not tls_start.conn.alpn_offers and speaks_http2(offers, offered=ctx.options.http2):
            tls_start.conn.alpn_offers = tuple(offers)
        super().tls_start_server(tls_start)
        kept = self._sessions.get(_site(tls_start.conn))
        if kept is not None and kept[0] > self._clock() and tls_start.ssl_conn is not None:
            tls_start.ssl_conn.set_session(kept[1])

    def tls_established_server(self, data: tls.TlsData) -> None:
        """Remember a connection whose site has proved itself, now or within the hour."""
        if data.ssl_conn is None:
            return
        site = _site(data.conn)
        until = self._clock() + RESUMED_SECONDS
        kept = self._sessions.get(site)
        if kept is not None and resumed(data.ssl_conn):
            until = kept[0]  # counted from the proof, not from the last time that it was spared
        self._open[data.conn.id] = site, until, data.ssl_conn

    def server_disconnected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Keep the session of a connection that has ended."""
        ended = self._open.pop(data.server.id, None)
        if ended is None:
            return
        site, until, ssl_conn = ended
        # OpenSSL would take a connection that ended without a word for a broken one, and its session, too.
        ssl_conn.set_shutdown(_BOTH_WAYS)
        if (session := ssl_conn.get_session()) is not None:
            self._sessions.put(site, (until, session))

    def _client_context(self) -> SSL.Context:
        if self._context is None:
            minimum = net_tls.Version[ctx.options.tls_version_client_min]
            self._context = net_tls.create_client_proxy_context(
                method=net_tls.Method.TLS_SERVER_METHOD,
                min_version=minimum,
                max_version=net_tls.Version[ctx.options.tls_version_client_max],
                cipher_list=tlsconfig._default_ciphers(minimum),  # noqa: SLF001 - mitmproxy's own choice
                ecdh_curve=None,
                chain_file=None,  # a file would make OpenSSL build and check the same chain for each client
                request_client_cert=False,
                alpn_select_callback=tlsconfig.alpn_select_callback,
                extra_chain_certs=(certs.Cert(self._authority.certificate),),
                dhparams=self.certstore.dhparams,
            )
            self._context.use_privatekey(self._authority.leaf_key)
        return self._context

    def _certificate(self, conn_context: context.Context) -> crypto.X509:
        name = _name(conn_context)
        leaf = self._authority.leaf(name)
        kept = self._shown.get(name)
        if kept is not None and kept[0] is leaf:
            return kept[1]
        shown = crypto.X509.from_cryptography(leaf.certificate)
        self._shown.put(name, (leaf, shown))
        return shown

    def get_cert(self, conn_context: context.Context) -> certs.CertStoreEntry:
        """Return the certificate for the name that the client asked for."""
        leaf = self._authority.leaf(_name(conn_context))
        return certs.CertStoreEntry(
            cert=certs.Cert(leaf.certificate),
            privatekey=leaf.key,  # type: ignore[arg-type] # EC keys work; only its annotation says RSA
            chain_file=self._authority.certificate_file,
            chain_certs=[certs.Cert(self._authority.certificate)],
        )


type _Site = tuple[str | None, tuple[str, int] | None, tuple[bytes, ...]]
"""What a session is good for: the name that was verified, the address, and the protocols offered."""


def resumed(ssl_conn: SSL.Connection) -> bool:
    """Tell whether a handshake went on from an earlier one."""
    return bool(SSL._lib.SSL_session_reused(ssl_conn._ssl))  # type: ignore[attr-defined] # noqa: SLF001 - pyOpenSSL has no name for it


def _site(conn: connection.Connection) -> _Site:
    return conn.sni, getattr(conn, "address", None), tuple(conn.alpn_offers)


def _name(conn_context: context.Context) -> str:
    name = conn_context.client.sni
    if not name and conn_context.server.address:
        name = conn_context.server.address[0]
    return name or conn_context.client.sockname[0]


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
