"""The part of the configuration that names the school's directory (LDAP, Active Directory).

What lives only here: the keys of `identity.directory`, and what in them contradicts itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from appliance.config.typed import Section
from appliance.identity.secret_files import certificates_problem, secret_problem
from appliance.model.person import Kind

type Wrong = tuple[tuple[str | int, ...], str]
"""A key of a section, and what is wrong with what stands there."""

_SERVER = re.compile(r"(ldaps?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?/?")
_PORTS = {"ldaps": 636, "ldap": 389}
_LAST_PORT = 65_535
_DN = re.compile(r"\s*[A-Za-z0-9.-]+\s*=.+")


def _server(text: str) -> str:
    found = _SERVER.fullmatch(text)
    if found is None or not 0 < int(found[3] or 1) <= _LAST_PORT:
        raise ValueError(
            f"'{text}' is no directory server; write ldaps://dc1.school.example (or ldap://, with STARTTLS)"
        )
    return text.rstrip("/")


def address_of(server: str) -> tuple[str, int, bool]:
    """Return host and port of a server as the settings write it, and whether it begins with TLS."""
    found = _SERVER.fullmatch(server)
    if found is None:
        raise ValueError(server)
    return found[2].strip("[]"), int(found[3] or _PORTS[found[1]]), found[1] == "ldaps"


def _dn(text: str) -> str:
    if not _DN.fullmatch(text):
        raise ValueError(
            f"'{text}' is no distinguished name; write one such as ou=People,dc=school,dc=example"
        )
    return text


type Server = Annotated[str, AfterValidator(_server)]
type Dn = Annotated[str, AfterValidator(_dn)]


class Membership(StrEnum):
    """How one asks a directory who is in a group."""

    MEMBER_OF = "member_of"
    NESTED = "nested"
    GROUPS = "groups"


class GroupSettings(Section):
    """What a group of the directory means here."""

    dn: Dn = Field(description="The group's distinguished name.")
    group: str = Field(description="The profile that counts for its members.")
    kind: Kind = Field(Kind.INDIVIDUAL, description="What sort of log-in its members have.")


class DirectorySettings(Section):
    """The school's directory."""

    servers: tuple[Server, ...] = Field(
        min_length=1, description="ldaps://host, or ldap://host with STARTTLS; asked in this order."
    )
    ca_file: Path | None = Field(None, description="PEM file with the CA of its servers; null: the system's.")
    people: Dn = Field(description="Where people are, as a distinguished name.")
    name_attribute: str = Field(
        "sAMAccountName",
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
        description="What holds the name to sign in with.",
    )
    bind: str = Field("", description="As whom {name} signs in: a DN, {name}@school.example, SCHOOL\\{name}.")
    account: str = Field("", description="The gateway's own account there, which looks people up instead.")
    password_file: Path | None = Field(None, description="File with the password of that account.")
    membership: Membership = Field(Membership.MEMBER_OF, description="How it is asked who is in a group.")
    groups: tuple[GroupSettings, ...] = Field((), description="What its groups mean; the first that fits.")
    otherwise: str | None = Field(None, description="Group for whoever is in none of them; null: not let in.")
    timeout_seconds: int = Field(4, strict=True, ge=1, le=15, description="How long a server may take.")
    cached_hours: float = Field(
        12.0, gt=0, le=168, description="For how long what it said of somebody counts while it is down."
    )
    recheck_minutes: float = Field(
        15.0, ge=1, le=1440, description="How often it is asked again about people who are signed in."
    )

    def located(self, place: Callable[[Path], Path]) -> Self:
        """Return the same with each path put where it lies."""
        files = {"ca_file": self.ca_file, "password_file": self.password_file}
        return self.model_copy(update={name: place(file) if file else None for name, file in files.items()})

    def groups_named(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield each group of ours that is named here, by the key that names it."""
        for index, each in enumerate(self.groups):
            yield ("groups", index, "group"), each.group
        if self.otherwise is not None:
            yield ("otherwise",), self.otherwise

    def wrong(self) -> Iterator[Wrong]:
        """Yield what is well formed and cannot be meant."""
        if bool(self.bind) == bool(self.account):
            yield ("bind",) if self.bind else ("people",), "give either 'bind' or 'account', and not both"
        if self.bind and (
            self.bind.count("{name}") != 1 or re.search(r"[{}]", self.bind.replace("{name}", ""))
        ):
            yield ("bind",), "must hold {name} once: uid={name},ou=People,dc=school,dc=example"
        if bool(self.account) != (self.password_file is not None):
            where = ("account",) if self.account else ("password_file",)
            yield where, "'account' and 'password_file' belong together"
        if not self.groups and self.otherwise is None:
            yield ("people",), "nobody could come in: say in 'groups' what the directory's groups mean"
        for index, each in enumerate(self.groups):
            if each.kind not in (Kind.INDIVIDUAL, Kind.STAFF):
                yield ("groups", index, "kind"), "people of a directory are 'individual' or 'staff'"
        yield from self._files()

    def _files(self) -> Iterator[Wrong]:
        if self.ca_file is not None and (text := certificates_problem(self.ca_file)):
            yield ("ca_file",), text
        if self.password_file is not None and (text := secret_problem(self.password_file)):
            yield ("password_file",), text
