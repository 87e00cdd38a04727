from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from mitmproxy.addons import tlsconfig
from mitmproxy.connection import Client, Server
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow

from appliance.gateway.ca import Authority, ensure_authority
from appliance.gateway.tls import SYSTEM_ROOTS, SchoolTls, write_roots


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
