"""A real directory: Debian's slapd on loopback, with certificates of its own and a few people in it."""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trustme

from tests.doubles.running import free_port

BASE = "dc=westways,dc=example"
PEOPLE = f"ou=People,{BASE}"
GROUPS = f"ou=Groups,{BASE}"
STAFF = f"cn=Staff,{GROUPS}"
PUPILS = f"cn=Pupils,{GROUPS}"
CHESS = f"cn=Chess,{GROUPS}"
GATEWAY = f"cn=gateway,{BASE}"
WORD = "Blue-kettle-42"

_CONF = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {folder}/pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/key.pem
security simple_bind=64
database mdb
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw admin-word
directory {folder}/db
overlay memberof
memberof-dangling ignore
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""

_PERSON = """\
dn: uid={uid},{people}
objectClass: inetOrgPerson
objectClass: shadowAccount
uid: {uid}
cn: {uid}
sn: x
userPassword: {word}
{more}
"""

_REST = f"""\
dn: {STAFF}
objectClass: groupOfNames
cn: Staff
member: uid=ms.jones,{PEOPLE}

dn: {PUPILS}
objectClass: groupOfNames
cn: Pupils
member: uid=amy.smith,{PEOPLE}
member: uid=gone,{PEOPLE}
member: uid=Zoë Ñandú,{PEOPLE}

dn: {CHESS}
objectClass: posixGroup
cn: Chess
gidNumber: 1000
memberUid: lone

dn: uid=elsewhere,{PEOPLE}
objectClass: referral
objectClass: extensibleObject
uid: elsewhere
ref: ldap://127.0.0.1:1/uid=amy.smith,{PEOPLE}
"""


@dataclass
class Slapd:
    """A directory that runs; `ca` is the certificate to trust."""

    folder: Path
    plain: int
    encrypted: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def ldaps(self) -> str:
        return f"ldaps://localhost:{self.encrypted}"

    @property
    def ldap(self) -> str:
        return f"ldap://localhost:{self.plain}"

    @property
    def inside(self) -> str:
        """The way in for its administrator, on this machine alone."""
        return f"ldapi://{quote(str(self.folder / 'ldapi'), safe='')}"

    def start(self, place: str = "") -> None:
        """Start it, in a network namespace where one is named, and return once it answers."""
        at = f"{self.inside} ldap://127.0.0.1:{self.plain} ldaps://127.0.0.1:{self.encrypted}"
        there = ["ip", "netns", "exec", place] if place else []
        command = [*there, "/usr/sbin/slapd", "-d", "0", "-h", at, "-f", str(self.folder / "slapd.conf")]
        self.process = subprocess.Popen(command)
        end = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None, "slapd ended"
            assert time.monotonic() < end, "slapd did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.folder / "ldapi"))
            return True
        return False

    def fill(self) -> None:
        """Put its people and groups into it."""
        self.change(_ldif())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def change(self, text: str) -> None:
        """Change the directory as its administrator (LDIF)."""
        admin = ["-x", "-M", "-H", self.inside, "-D", f"cn=admin,{BASE}", "-w", "admin-word"]
        done = subprocess.run(
            ["ldapmodify", *admin],
            input=text.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def prepared(folder: Path) -> Slapd:
    """Write what a directory in `folder` needs, and return it; it does not run yet."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    own = ca.issue_cert("localhost")
    own.cert_chain_pems[0].write_to_path(folder / "server.pem")
    own.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "word").write_text("gateway-word\n", encoding="utf-8")
    (folder / "word").chmod(0o600)
    (folder / "db").mkdir()
    (folder / "slapd.conf").write_text(_CONF.format(folder=folder, base=BASE), encoding="utf-8")
    return Slapd(folder, free_port(), free_port())


@contextlib.contextmanager
def directory(folder: Path) -> Iterator[Slapd]:
    """Run a directory in `folder`, and end it."""
    made = prepared(folder)
    made.start()
    try:
        made.fill()
        yield made
    finally:
        made.stop()


def _ldif() -> str:
    names = {
        "ms.jones": "",
        "amy.smith": "",
        "gone": "shadowExpire: 1",
        "lone": "",
        "nobody": "",
        "Zoë Ñandú": "",
    }
    people = [
        _PERSON.format(uid=uid, people=PEOPLE, word=WORD, more=more).rstrip() for uid, more in names.items()
    ]
    top = f"dn: {BASE}\nobjectClass: domain\ndc: westways\n"
    units = [f"dn: {dn}\nobjectClass: organizationalUnit\n" for dn in (PEOPLE, GROUPS)]
    own = f"dn: {GATEWAY}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n"
    entries = [top, *units, own + "userPassword: gateway-word\n", *people, *_REST.rstrip().split("\n\n")]
    return "\n\n".join(_added(entry) for entry in entries) + "\n"


def _added(entry: str) -> str:
    dn, *lines = entry.rstrip().splitlines()
    return "\n".join(map(_safe, [dn, "changetype: add", *lines]))


def _safe(line: str) -> str:
    # What is not ASCII stands in base64 in an LDIF file (RFC 2849).
    name, _, value = line.partition(": ")
    return line if line.isascii() else f"{name}:: {base64.b64encode(value.encode()).decode()}"
