from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from appliance.identity.ldap_link import Entry, Servers
from appliance.identity.outside import NotKnownError, UnreachableError
from appliance.model.secret import Secret
from tests.doubles.slapd import PEOPLE, WORD, Slapd, directory

JONES = f"uid=ms.jones,{PEOPLE}"
RIGHT = Secret(WORD)


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with directory(tmp_path_factory.mktemp("slapd")) as made:
        yield made


def asked(servers: Servers, word: Secret = RIGHT) -> str:
    """Bind as Ms Jones, and return the name in her own entry."""
    with servers.bound(JONES, word) as bound:
        entry = bound.read(JONES, "(objectClass=*)", ("uid",))
        assert bound.one_below(PEOPLE, "(uid=*)", ("uid",)) is None
    return entry.first("UID") if entry else ""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_certificate_that_does_not_fit_gets_no_password(scheme: str, slapd: Slapd, tmp_path: Path) -> None:
    """A false directory, of another CA or another name, hears nothing of what was typed."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    port = slapd.plain if scheme == "ldap" else slapd.encrypted
    assert asked(Servers([f"{scheme}://localhost:{port}"], slapd.ca, 2)) == "ms.jones"
    for server, ca in ((f"{scheme}://localhost:{port}", other), (f"{scheme}://127.0.0.1:{port}", slapd.ca)):
        with pytest.raises(UnreachableError) as error:
            asked(Servers([server], ca, 2))
        assert "CERTIFICATE_VERIFY_FAILED" in error.value.detail
        assert WORD not in error.value.detail


@pytest.mark.slow
def test_a_server_without_encryption_gets_no_password(slapd: Slapd) -> None:
    """Whoever strips STARTTLS on the way learns nothing: without it there is no bind."""
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        port = listening.getsockname()[1]
        servers = Servers([f"ldap://localhost:{port}"], slapd.ca, 1)
        with pytest.raises(UnreachableError):
            asked(servers)
        taken, _ = listening.accept()
        with taken:
            heard += taken.recv(4096)
    assert b"1.3.6.1.4.1.1466.20037" in heard
    assert WORD.encode() not in heard
    assert b"ms.jones" not in heard


@pytest.mark.slow
def test_servers_are_asked_in_their_order_and_one_that_is_down_rests(slapd: Slapd) -> None:
    """A directory with a server down goes on; one whose servers are all down is told at once, never open."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = f"ldaps://localhost:{silent.getsockname()[1]}"
        servers = Servers([dead, slapd.ldap], slapd.ca, 1)
        assert asked(servers) == "ms.jones"
        began = time.monotonic()
        assert asked(servers) == "ms.jones"
        with pytest.raises(NotKnownError):
            asked(servers, Secret("Wrong-kettle-42"))
        assert time.monotonic() - began < 0.9
        now = [0.0]
        down = Servers([dead], slapd.ca, 1, lambda: now[0])
        for later, said in ((0.0, "timed out"), (4.9, "a moment ago"), (5.0, "timed out")):
            now[0] = later
            with pytest.raises(UnreachableError) as error:
                asked(down)
            assert said in error.value.detail


@pytest.mark.slow
def test_a_bind_without_a_password_is_never_sent() -> None:
    """RFC 4513 5.1.2: a server would call it a success, and mean nobody."""
    servers = Servers(["ldap://192.0.2.1"], None, 1)
    for user, word in ((JONES, ""), ("", WORD)):
        with pytest.raises(NotKnownError), servers.bound(user, Secret(word)):
            pass


def test_an_attribute_is_found_however_it_is_written() -> None:
    """Directories write the names of attributes as they like."""
    assert Entry("x", {"memberof": ("a", "b")}).first("memberOf") == "a"
    assert Entry("x").first("uid") == ""
