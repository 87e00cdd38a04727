from __future__ import annotations

import datetime as dt
import ipaddress
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from appliance.gateway import ca
from appliance.gateway.ca import LEAF_DAYS, Authority, AuthorityError, ensure_authority, renew

PEM = serialization.Encoding.PEM
LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority") / "ca"
    assert ensure_authority(folder, "Westways Primary School")
    return folder


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


def names(certificate: x509.Certificate) -> x509.Extension[x509.SubjectAlternativeName]:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize("name", ["example.org", "xn--mnchen-3ya.example", LONGEST])
def test_a_site_certificate_verifies_for_its_name_and_no_other(authority: Authority, name: str) -> None:
    """A browser that trusts the school's CA accepts exactly the site that was asked for."""
    assert len(LONGEST) == 253
    builder = PolicyBuilder().store(Store([authority.certificate]))
    leaf = authority.leaf(name).certificate
    builder.build_server_verifier(x509.DNSName(name)).verify(leaf, [])
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("other.example")).verify(leaf, [])


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_a_site_called_by_number_gets_a_certificate_for_the_number(
    authority: Authority, address: str
) -> None:
    """The block page of an address without a name shows no certificate warning."""
    leaf = authority.leaf(address).certificate
    assert names(leaf).value.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(address)]
    verifier = PolicyBuilder().store(Store([authority.certificate]))
    verifier.build_server_verifier(x509.IPAddress(ipaddress.ip_address(address))).verify(leaf, [])


@pytest.mark.parametrize(
    "name", ["exa_mple.com", "*.example.org", "a", "UPPER.example", "fe80::1%eth0", "_dmarc.a.b"]
)
def test_an_odd_name_still_gets_a_certificate(authority: Authority, name: str) -> None:
    """Names that real sites use against the rules, such as with an underscore, get a page and no error."""
    assert authority.leaf(name).certificate.issuer == authority.certificate.subject


@pytest.mark.slow
def test_the_chain_satisfies_openssl_to_the_letter(
    folder: Path, authority: Authority, tmp_path: Path
) -> None:
    """Clients that check more strictly than browsers, such as Python 3.13, accept the certificates."""
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(authority.leaf("example.org").certificate.public_bytes(PEM))
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "example.org",
    ]
    done = subprocess.run(
        [*command, "-CAfile", str(folder / "ca.pem"), str(leaf)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith(": OK"), done.stderr


def test_the_key_of_a_site_is_never_the_key_of_the_ca(folder: Path, authority: Authority) -> None:
    """A stolen site key signs nothing; mitmproxy alone would hand out the CA's own key (H22)."""
    leaf = authority.leaf("example.org")
    assert leaf.key.public_key() == leaf.certificate.public_key()
    assert leaf.key.public_key() != authority.certificate.public_key()
    assert Authority(folder).leaf("example.org").key.public_key() != leaf.key.public_key()


def test_the_names_stand_in_one_critical_extension(authority: Authority) -> None:
    """The name is not cut at the 64 characters of a common name, and the certificate is for servers only."""
    leaf = authority.leaf("example.org").certificate
    assert names(leaf).critical
    assert list(leaf.subject) == []
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_certificates_live_as_long_as_browsers_allow(authority: Authority) -> None:
    """No device refuses a certificate for its age: of a site below 200 days, of the CA ten years (H22)."""
    now = dt.datetime.now(dt.UTC)
    leaf = authority.leaf("lifetime.example").certificate
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < dt.timedelta(days=200)
    assert leaf.not_valid_after_utc - now > dt.timedelta(days=LEAF_DAYS - 1)
    assert now - leaf.not_valid_before_utc > dt.timedelta(days=1)
    assert authority.certificate.not_valid_after_utc - now > dt.timedelta(days=3640)
    assert authority.certificate.not_valid_before_utc <= leaf.not_valid_before_utc


def test_the_ca_can_sign_sites_and_no_further_ca(authority: Authority) -> None:
    """Whoever gets a certificate from this CA cannot become a CA with it."""
    basic = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert (basic.value.ca, basic.value.path_length) == (True, 0)
    usage = authority.certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign


def test_a_name_is_signed_once_until_it_is_pushed_out(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing is the dear part of a new connection; a client that invents names does not fill the memory."""
    assert authority.leaf("once.example") is authority.leaf("once.example")
    monkeypatch.setattr("appliance.gateway.ca._CACHE_LIMIT", 3)
    for number in range(5):
        authority.leaf(f"site-{number}.example")
    first = authority.leaf("again.example")
    assert authority.leaf("again.example") is first
    aged = {name: (dt.datetime.now(dt.UTC), leaf) for name, (_, leaf) in authority._leaves.items()}
    authority._leaves.update(aged)
    assert authority.leaf("again.example") is not first


def test_only_the_owner_may_read_the_key(folder: Path) -> None:
    """Another user of the machine cannot become the school's CA."""
    assert stat.S_IMODE((folder / "ca-key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "ca.pem").stat().st_mode) & 0o222 == 0o200
    assert not list(folder.glob("*.new"))


def test_the_ca_is_made_once(folder: Path) -> None:
    """A second start leaves the CA that all devices trust as it is."""
    before = (folder / "ca.pem").read_bytes()
    assert not ensure_authority(folder, "Another name")
    assert (folder / "ca.pem").read_bytes() == before
    der = x509.load_der_x509_certificate((folder / "ca.cer").read_bytes())
    assert der.public_bytes(PEM) == before


def test_a_ca_is_of_one_school(tmp_path: Path, folder: Path) -> None:
    """Two schools never share a CA, and a long or foreign name is no obstacle."""
    ensure_authority(
        tmp_path / "ca", "Ysgol Gyfun Gymraeg Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch ŵ"
    )
    other = Authority(tmp_path / "ca").certificate
    assert other.public_key() != Authority(folder).certificate.public_key()


@pytest.mark.parametrize(("lost", "named"), [("ca.pem", "ca.pem"), ("ca-key.pem", "ca-key.pem")])
def test_a_lost_file_is_never_made_anew_unasked(tmp_path: Path, lost: str, named: str) -> None:
    """Losing one file must not replace the key that every device of the school relies on."""
    ensure_authority(tmp_path, "Westways")
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != lost}
    (tmp_path / lost).unlink()
    with pytest.raises(AuthorityError, match=rf"{named} is missing; restore it from backup"):
        ensure_authority(tmp_path, "Westways")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept


def test_a_first_start_that_was_cut_short_is_repeated(tmp_path: Path) -> None:
    """A power cut within the first second leaves no half CA behind."""
    (tmp_path / "ca-key.pem").write_bytes(b"half")
    assert ensure_authority(tmp_path, "Westways")
    Authority(tmp_path)


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("ca.pem", b"junk", "cannot be read as a certificate"),
        ("ca.pem", b"", "cannot be read as a certificate"),
        ("ca.pem", None, "cannot be read as a certificate"),
        ("ca-key.pem", b"junk", "cannot be read as a private key; restore it"),
        ("ca-key.pem", None, "cannot be read as a private key; restore it"),
        (
            "ca-key.pem",
            key_pem(ec.generate_private_key(ec.SECP256R1())),
            "do not belong together; restore both",
        ),
        ("ca-key.pem", key_pem(rsa.generate_private_key(65537, 2048)), "is not an elliptic-curve key"),
    ],
)
def test_a_broken_file_is_named_with_what_to_do(
    tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    """A technician who restored the wrong file reads which one, and what to do."""
    ensure_authority(tmp_path, "Westways")
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(AuthorityError, match=said) as raised:
        Authority(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_certificate_that_is_no_ca_is_refused(tmp_path: Path) -> None:
    """A site's certificate put in the CA's place would only show errors on every device."""
    ensure_authority(tmp_path, "Westways")
    leaf = Authority(tmp_path).leaf("example.org")
    (tmp_path / "ca.pem").write_bytes(leaf.certificate.public_bytes(PEM))
    (tmp_path / "ca-key.pem").write_bytes(key_pem(leaf.key))
    with pytest.raises(AuthorityError, match="is no certificate of a CA"):
        Authority(tmp_path)


def test_an_expired_ca_stops_the_start_and_says_how_to_renew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody learns from five hundred browser warnings that the certificate has ended."""
    monkeypatch.setattr(ca, "CA_YEARS", 0)
    assert ensure_authority(tmp_path, "Westways")
    with pytest.raises(AuthorityError, match=r"expired on .* `appliance ca renew`"):
        ensure_authority(tmp_path, "Westways")
    monkeypatch.undo()
    old = (tmp_path / "ca.pem").read_bytes()
    renew(tmp_path)
    assert not ensure_authority(tmp_path, "Westways")
    assert [path.read_bytes() for path in tmp_path.glob("ca-until-*.pem")] == [old]


@pytest.mark.slow
def test_a_renewed_ca_is_trusted_by_devices_that_have_the_old_one(tmp_path: Path) -> None:
    """Devices can be given the new certificate one by one: both verify what is signed from now on."""
    ensure_authority(tmp_path, "Westways")
    before = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    renew(tmp_path)
    authority = Authority(tmp_path)
    assert authority.certificate != before
    for trusted in (before, authority.certificate):
        verifier = PolicyBuilder().store(Store([trusted])).build_server_verifier(x509.DNSName("a.example"))
        verifier.verify(authority.leaf("a.example").certificate, [])


def test_what_cannot_be_renewed_says_why(tmp_path: Path) -> None:
    """Without a CA there is nothing to renew."""
    with pytest.raises(AuthorityError, match="cannot be read"):
        renew(tmp_path)
