"""The school's own certificate authority.

What lives only here: making the CA once, and minting a certificate for each site that is shown
through it. The CA's private key never leaves its file and is never a site's key (H22); it is made on
the box, for one school, and shared with nobody.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_YEARS = 10
LEAF_DAYS = 90  # browsers refuse certificates that live longer than 200 days (H22)
SOON = dt.timedelta(days=90)
"""How long before its end a CA is spoken of: it has to be brought to every device."""
_BACKDATE = dt.timedelta(days=2)  # for devices whose clock is behind
_CACHE_LIMIT = 2000


class AuthorityError(Exception):
    """The CA's files cannot be used; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate for one site, with the key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """Mints site certificates, at most one a name, from the CA in one folder."""

    def __init__(self, folder: Path) -> None:
        self.certificate_file = folder / "ca.pem"
        self._certificate = _read_certificate(self.certificate_file)
        self._key = _read_key(folder / "ca-key.pem")
        if self._key.public_key() != self._certificate.public_key():
            raise AuthorityError(f"{folder}: ca-key.pem and ca.pem do not belong together; restore both")
        self._issuer_id = _issuer_id(self._certificate, self.certificate_file)
        # One leaf key a process: a stolen one opens that process's sites and never signs anything.
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._leaves: OrderedDict[str, tuple[dt.datetime, Leaf]] = OrderedDict()

    @property
    def certificate(self) -> x509.Certificate:
        """The CA's certificate, which clients must trust."""
        return self._certificate

    @property
    def leaf_key(self) -> ec.EllipticCurvePrivateKey:
        """The key of every certificate that this process shows; never the CA's own."""
        return self._leaf_key

    def leaf(self, name: str) -> Leaf:
        """Return a certificate for `name` (host name or IP address), from the cache if it lasts a day."""
        now = dt.datetime.now(dt.UTC)
        kept = self._leaves.get(name)
        if kept is not None and kept[0] > now:
            self._leaves.move_to_end(name)
            return kept[1]
        leaf = Leaf(self._mint(name, now), self._leaf_key)
        self._leaves[name] = (now + dt.timedelta(days=LEAF_DAYS - 1), leaf)
        if len(self._leaves) > _CACHE_LIMIT:
            self._leaves.popitem(last=False)
        return leaf

    def _mint(self, name: str, now: dt.datetime) -> x509.Certificate:
        # The name stands in the SAN alone: browsers ignore the common name, and it has a length limit.
        return (
            x509.CertificateBuilder()
            .issuer_name(self._certificate.subject)
            .subject_name(x509.Name([]))
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(now + dt.timedelta(days=LEAF_DAYS))
            .public_key(self._leaf_key.public_key())
            .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(self._issuer_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def ensure_authority(folder: Path, school: str) -> bool:
    """Make the CA in `folder` if there is none; return whether it was made.

    Files: `ca.pem` (give this to the devices), `ca.cer` (the same in DER, for Windows), and
    `ca-key.pem`, readable by its owner alone. AuthorityError if a part of it has been lost: a new CA
    would have to be brought to every device, and must not replace the old one unasked.
    """
    there = {name for name in ("ca-key.pem", "ca.cer", "ca.pem") if (folder / name).exists()}
    if {"ca-key.pem", "ca.pem"} <= there:
        if text := expired(folder, dt.datetime.now(dt.UTC)):
            raise AuthorityError(text)
        return False
    if there & {"ca.cer", "ca.pem"}:
        lost = "ca.pem" if "ca-key.pem" in there else "ca-key.pem"
        text = f"{folder / lost} is missing; restore it from backup, or move the folder away for a new CA"
        raise AuthorityError(f"{text}, which every device must then be given")
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, school)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder / "ca-key.pem", pem, 0o600)
    _write(folder / "ca.cer", certificate.public_bytes(serialization.Encoding.DER), 0o644)
    # Last, because it is what says that the CA is complete.
    _write(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return True


def expired(folder: Path, now: dt.datetime) -> str:
    """Return that the CA has expired and what to do; an empty text also where none can be read."""
    end = _end(folder)
    if end is None or end > now:
        return ""
    return f"{folder / 'ca.pem'} expired on {end:%Y-%m-%d}: no device trusts it any more. {_RENEW}"


def expires_soon(folder: Path, now: dt.datetime) -> str:
    """Return that the CA ends within `SOON` and what to do, or an empty text."""
    end = _end(folder)
    if end is None or end <= now or end - now > SOON:
        return ""
    return f"{folder / 'ca.pem'} expires on {end:%Y-%m-%d}, and then no device trusts it. {_RENEW}"


_RENEW = "Renew it with `appliance ca renew`, and give the new ca.pem to every device"


def shown(folder: Path) -> tuple[dt.datetime, str]:
    """Return until when the CA is valid, and its SHA-256 fingerprint as devices show it; AuthorityError."""
    certificate = _read_certificate(folder / "ca.pem")
    return certificate.not_valid_after_utc, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def renew(folder: Path) -> None:
    """Make a new certificate for the CA's own key and name, valid from now on, and keep the old one.

    Key and name stay, so that what is signed now is good for devices with either certificate: they can be
    moved over one by one. AuthorityError where there is no CA to renew.
    """
    file = folder / "ca.pem"
    old, key = _read_certificate(file), _read_key(folder / "ca-key.pem")
    if key.public_key() != old.public_key():
        raise AuthorityError(f"{folder}: ca-key.pem and ca.pem do not belong together; restore both")
    new = _signed(key, old.subject)
    owner = file.stat()
    ended = folder / f"ca-until-{old.not_valid_after_utc:%Y-%m-%d}.pem"
    _write(ended, file.read_bytes(), 0o644)
    _write(folder / "ca.cer", new.public_bytes(serialization.Encoding.DER), 0o644)
    _write(file, new.public_bytes(serialization.Encoding.PEM), 0o644)
    if os.geteuid() == 0:  # called with sudo: the files stay the gateway's
        for written in (ended, folder / "ca.cer", file):
            os.chown(written, owner.st_uid, owner.st_gid)


def _end(folder: Path) -> dt.datetime | None:
    try:
        return _read_certificate(folder / "ca.pem").not_valid_after_utc
    except AuthorityError:
        return None  # none yet, or not for this user to read; who needs it says so


def _self_signed(key: ec.EllipticCurvePrivateKey, school: str) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"{school} web filter"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, school[:64]),
        ]
    )
    return _signed(key, name)


def _signed(key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + dt.timedelta(days=365 * CA_YEARS))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _issuer_id(certificate: x509.Certificate, path: Path) -> x509.AuthorityKeyIdentifier:
    found = certificate.extensions
    try:
        is_ca = found.get_extension_for_class(x509.BasicConstraints).value.ca
        key_id = found.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        is_ca, key_id = False, None
    if not is_ca or key_id is None:
        raise AuthorityError(f"{path}: is no certificate of a CA; restore the one that was made here")
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AuthorityError(f"{path}: cannot be read as a certificate ({error}); restore it") from error


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AuthorityError(f"{path}: cannot be read as a private key; restore it from backup") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{path}: is not an elliptic-curve key; this CA must be one")
    return key


def _write(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
