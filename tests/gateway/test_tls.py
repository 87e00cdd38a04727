from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from mitmproxy import ctx, tls
from mitmproxy.addons import tlsconfig
from mitmproxy.connection import Client, Server
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons, tflow
from OpenSSL import SSL

from appliance.gateway.ca import Authority, ensure_authority
from appliance.gateway.tls import RESUMED_SECONDS, SYSTEM_ROOTS, SchoolTls, _Kept, resumed, write_roots


@pytest.fixture(scope="module")
def school_tls(tmp_path_factory: pytest.TempPathFactory) -> SchoolTls:
    folder = tmp_path_factory.mktemp("tls")
    ensure_authority(folder, "Westways")
    return SchoolTls(Authority(folder), folder)


def context(sni: str | None, address: tuple[str, int] | None = None) -> Context:
    client = Client(
        peername=("10.20.0.5", 50_000),
        sockname=("10.20.0.1", 8080),
        timestamp_start=0.0,
        proxy_mode=ProxyMode.parse("regular"),
        sni=sni,
    )
    made = Context(client, Options())
    made.server = Server(address=address)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sni", "address", "shown"),
    [
        ("www.example.org", ("198.51.100.7", 443), "www.example.org"),
        (None, ("www.example.org", 443), "www.example.org"),
        (None, ("198.51.100.7", 443), "198.51.100.7"),
        (None, None, "10.20.0.1"),
    ],
)
def test_the_certificate_is_for_the_one_name_that_was_asked_for(
    school_tls: SchoolTls, sni: str | None, address: tuple[str, int] | None, shown: str
) -> None:
    """A browser never gets a list of names on which it could join two sites in one connection."""
    entry = school_tls.get_cert(context(sni, address))
    certificate = entry.cert.to_cryptography()
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in found] == [shown]
    assert entry.privatekey.public_key() == certificate.public_key()
    assert [cert.to_cryptography() for cert in entry.chain_certs] == [school_tls._authority.certificate]


def test_no_ca_of_mitmproxy_is_made(
    school_tls: SchoolTls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second CA, readable by whoever runs the gateway, never comes into being (H22, H34)."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with taddons.context(school_tls) as running:
        running.options.update(confdir=str(tmp_path / "conf"))
        running.configure(school_tls)
        school_tls.running()
    assert not (tmp_path / "conf").exists()
    assert not (tmp_path / ".mitmproxy").exists()


def test_no_magic_path_of_other_sites_is_answered(school_tls: SchoolTls) -> None:
    """No request is answered by mitmproxy's own revocation list, past the filter (H34)."""
    flow = tflow.tflow()
    flow.request.path = "/mitmproxy-1.crl"
    school_tls.request(flow)
    assert flow.response is None


def test_every_hook_of_the_parent_is_known() -> None:
    """A new hook in a newer mitmproxy would act without our knowledge; this list makes it be looked at."""
    hooks = {name for name in vars(tlsconfig.TlsConfig) if not name.startswith("_")}
    assert hooks == {
        "certstore",
        "configure",
        "crl_path",
        "get_cert",
        "load",
        "quic_start_client",
        "quic_start_server",
        "request",
        "running",
        "tls_clienthello",
        "tls_start_client",
        "tls_start_server",
    }


def test_the_order_of_handshakes_is_left_to_the_filter(school_tls: SchoolTls) -> None:
    """Nothing but our own judgement makes the worker contact a site before its request (H13, H15)."""
    assert school_tls.tls_clienthello(None) is None  # type: ignore[arg-type,func-returns-value]  # reads nothing


def test_roots_are_the_system_s_and_the_technician_s(tmp_path: Path) -> None:
    """An intranet's own CA can be trusted without switching verification off (H16)."""
    extra = tmp_path / "intranet.pem"
    pem = trustme.CA().cert_pem.bytes()
    extra.write_bytes(pem)
    target = write_roots(tmp_path / "made" / "roots.pem", extra)
    content = target.read_bytes()
    assert content.endswith(b"\n" + pem)
    assert content.startswith(SYSTEM_ROOTS.read_bytes() if SYSTEM_ROOTS.exists() else b"")
    assert pem not in write_roots(target, None).read_bytes()


def test_roots_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    """A typing error in extra_roots is found at the start, not in a lesson; the old file stays whole."""
    target = write_roots(tmp_path / "roots.pem", None)
    before = target.read_bytes()
    with pytest.raises(OSError, match="intranet"):
        write_roots(target, tmp_path / "intranet.pem")
    assert target.read_bytes() == before


def test_two_workers_write_the_roots_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that start at the same moment do not take each other's half-written file away."""
    target, write = tmp_path / "roots.pem", Path.write_bytes
    workers = iter((101, 102))

    def write_while_another_worker_does_the_same(to: Path, data: bytes) -> int:
        monkeypatch.setattr(Path, "write_bytes", write)
        write_roots(target, None)
        return write(to, data)

    monkeypatch.setattr(os, "getpid", lambda: next(workers))
    monkeypatch.setattr(Path, "write_bytes", write_while_another_worker_does_the_same)
    assert write_roots(target, None).read_bytes()
    assert list(tmp_path.iterdir()) == [target]


def test_roots_that_are_there_already_need_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that starts on a full disk serves (F4); where the roots are new, it says why it cannot."""
    target = write_roots(tmp_path / "roots.pem", None)

    def full(_to: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert write_roots(target, None) == target
    target.write_text("other")
    with pytest.raises(OSError, match="No space left"):
        write_roots(target, None)
    assert list(tmp_path.iterdir()) == [target]


# --- handshakes ---


class Site:
    """A site that speaks TLS in this process, without a socket."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        found = authority.issue_cert(name)
        key = found.private_key_pem.bytes()
        chain = found.cert_chain_pems[0].bytes()
        self.context.use_privatekey(serialization.load_pem_private_key(key, None))  # type: ignore[arg-type]  # of the kind that it takes
        self.context.use_certificate(x509.load_pem_x509_certificate(chain))

    def accepts(self) -> SSL.Connection:
        """Return the site's end of one connection."""
        made = SSL.Connection(self.context)
        made.set_accept_state()
        return made


def shake(client: SSL.Connection, server: SSL.Connection) -> None:
    """Let both ends of a handshake talk until neither has anything to say; SSL.Error as they raise it."""
    for _ in range(6):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
                one.recv(1)
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65_536))


class Time:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def sites(tmp_path: Path) -> Iterator[tuple[SchoolTls, Time, trustme.CA]]:
    """Give TLS that trusts the sites of one CA, and its clock."""
    ensure_authority(tmp_path, "Westways")
    roots, clock = trustme.CA(), Time()
    roots.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    made = SchoolTls(Authority(tmp_path), tmp_path, clock)
    with taddons.context(made) as running:
        running.options.update(ssl_verify_upstream_trusted_ca=str(tmp_path / "roots.pem"))
        yield made, clock, roots


def visit(made: SchoolTls, site: Site, name: str = "site.example") -> bool:
    """Connect to a site as the layers do, and leave; return whether the handshake was spared."""
    conn_context = context("site.example", (name, 443))
    conn_context.server.sni = name
    data = tls.TlsData(conn_context.server, conn_context)
    made.tls_start_server(data)
    assert data.ssl_conn is not None
    shake(data.ssl_conn, site.accepts())
    made.tls_established_server(data)
    made.server_disconnected(ServerConnectionHookData(conn_context.server, conn_context.client))
    return resumed(data.ssl_conn)


@pytest.mark.slow
def test_a_site_that_proved_itself_is_not_asked_again_within_the_hour(tmp_path: Path) -> None:
    """A page's many connections to one site cost one proof, and an hour later the site proves itself anew."""
    with sites(tmp_path) as (made, clock, roots):
        site = Site(roots, "site.example")
        assert not visit(made, site)
        assert visit(made, site)
        clock.now += RESUMED_SECONDS / 2
        assert visit(made, site)
        clock.now += RESUMED_SECONDS / 2
        assert not visit(made, site)


@pytest.mark.slow
def test_what_one_site_proved_says_nothing_of_another(tmp_path: Path) -> None:
    """A session is good for the name that was verified, and for no other at the same address (H16)."""
    with sites(tmp_path) as (made, _, roots):
        site = Site(roots, "site.example")
        visit(made, site)
        with pytest.raises(SSL.Error):
            visit(made, site, "bank.example")


@pytest.mark.slow
def test_a_connection_that_never_got_through_leaves_nothing_behind(tmp_path: Path) -> None:
    """Only a site that proved itself is ever resumed, and forgotten connections do not pile up."""
    with sites(tmp_path) as (made, _, _roots):
        stranger = Site(trustme.CA(), "site.example")
        with pytest.raises(SSL.Error):
            visit(made, stranger)
        found = context("site.example", ("site.example", 443))
        made.server_disconnected(ServerConnectionHookData(found.server, found.client))
        made.tls_established_server(tls.TlsData(found.server, found))
        assert made._open == {}


_BOTH = [b"h2", b"http/1.1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("http2", "offers", "spoken"),
    [
        (True, _BOTH, b"h2"),
        (False, _BOTH, b"http/1.1"),
        (False, [b"h2"], b"h2"),
        (True, _BOTH[1:], b"http/1.1"),
    ],
)
def test_a_client_is_shown_its_site_and_offered_what_the_school_chose(
    tmp_path: Path, *, http2: bool, offers: list[bytes], spoken: bytes
) -> None:
    """The handshake itself, from end to end: the one name, under the school's CA, and the protocol."""
    with sites(tmp_path) as (made, _, _roots):
        ctx.options.update(http2=http2)
        for name in ("one.example", "two.example", "one.example"):
            found = context(name)
            found.client.alpn_offers = offers
            data = tls.TlsData(found.client, found)
            made.tls_start_client(data)
            asking = SSL.Context(SSL.TLS_CLIENT_METHOD)
            asking.load_verify_locations(str(tmp_path / "ca.pem"))
            asking.set_verify(SSL.VERIFY_PEER)
            asking.set_alpn_protos(offers)
            browser = SSL.Connection(asking)
            browser.set_connect_state()
            browser.set_tlsext_host_name(name.encode())
            assert data.ssl_conn is not None
            shake(browser, data.ssl_conn)
            shown = browser.get_peer_certificate(as_cryptography=True)
            assert shown is not None
            names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.DNSName) == [name]
            assert browser.get_alpn_proto_negotiated() == spoken
            shown_by = [one.to_cryptography() for one in browser.get_peer_cert_chain() or ()]
            assert shown_by == [shown, made._authority.certificate]


def test_only_the_newest_few_are_kept() -> None:
    """A device that asks for a thousand names does not fill the memory."""
    kept: _Kept[int, int] = _Kept(2)
    for number in (1, 2, 1, 3):
        kept.put(number, number)
    assert [kept.get(number) for number in (1, 2, 3)] == [1, None, 3]
