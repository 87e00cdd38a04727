"""The part of the configuration that names the school's single sign-on (OpenID Connect: Entra ID, Google).

What lives only here: the keys of `identity.oidc`, and what in them contradicts itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from appliance.config.typed import Section
from appliance.identity.options_directory import Wrong
from appliance.identity.secret_files import certificates_problem, secret_problem
from appliance.model.person import Kind

GOOGLE = "https://accounts.google.com"
_ANYBODY = re.compile(r"https://login\.microsoftonline\.[a-z]+/(common|organizations|consumers)(/|$)")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"'{text}' is no issuer; write it as the provider does: https://accounts.google.com")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"'{text}' is no host name in small letters; write one such as aadcdn.msauth.net")
    return text


class ClaimSettings(Section):
    """What a value of the groups' claim means here."""

    value: str = Field(min_length=1, description="A group or role, as the provider sends it.")
    group: str = Field(description="The profile that counts for whoever has it.")
    kind: Kind = Field(Kind.INDIVIDUAL, description="What sort of log-in they have.")


class OidcSettings(Section):
    """The school's single sign-on."""

    name: str = Field(min_length=1, max_length=40, description="What people call it: Microsoft, Google.")
    issuer: Annotated[str, AfterValidator(_issuer)] = Field(description="The issuer, of this school alone.")
    client_id: str = Field(min_length=1, description="The gateway's own name there.")
    client_secret_file: Path = Field(description="File with the gateway's own secret there.")
    name_claim: str = Field("preferred_username", min_length=1, description="The claim that holds the name.")
    hosted_domain: str = Field("", description="The school's domain, which Google sends as `hd`.")
    groups_claim: str = Field("groups", min_length=1, description="The claim that holds groups or roles.")
    groups: tuple[ClaimSettings, ...] = Field((), description="What they mean here; the first that fits.")
    otherwise: str | None = Field(None, description="Group for whoever has none of them; null: not let in.")
    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = Field(
        (), description="What its page needs besides the issuer's own host, for whoever is signed out."
    )
    ca_file: Path | None = Field(
        None, description="PEM file with the CA of the provider; null: the system's."
    )
    clock_seconds: int = Field(120, strict=True, ge=0, le=300, description="How far its clock may be off.")
    cached_hours: float = Field(12.0, gt=0, le=168, description="For how long what it said counts.")
    recheck_minutes: float = Field(
        15.0, ge=1, le=1440, description="How often it is asked again about people who are signed in."
    )

    @property
    def asks_anew(self) -> bool:
        """Whether it can be told to ask somebody for their password who is signed in there already."""
        return self.issuer != GOOGLE

    @property
    def reachable(self) -> frozenset[str]:
        """The hosts that a device needs before it is signed in."""
        return frozenset({urlsplit(self.issuer).hostname or "", *self.hosts})

    def located(self, place: Callable[[Path], Path]) -> Self:
        """Return the same with each path put where it lies."""
        secret, ca = self.client_secret_file, self.ca_file
        return self.model_copy(
            update={"client_secret_file": place(secret), "ca_file": place(ca) if ca else None}
        )

    def groups_named(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield each group of ours that is named here, by the key that names it."""
        for index, each in enumerate(self.groups):
            yield ("groups", index, "group"), each.group
        if self.otherwise is not None:
            yield ("otherwise",), self.otherwise

    def wrong(self) -> Iterator[Wrong]:
        """Yield what is well formed and cannot be meant."""
        if _ANYBODY.match(self.issuer):
            yield ("issuer",), "anybody's account would do; name the school's tenant: .../TENANT-ID/v2.0"
        if self.issuer == GOOGLE and not self.hosted_domain:
            yield ("issuer",), "anybody's account would do; name the school's domain in 'hosted_domain'"
        if not self.groups and self.otherwise is None:
            yield ("issuer",), "nobody could come in: say in 'groups' what they mean, or 'otherwise'"
        for index, each in enumerate(self.groups):
            if each.kind not in (Kind.INDIVIDUAL, Kind.STAFF):
                yield ("groups", index, "kind"), "people of a single sign-on are 'individual' or 'staff'"
        if text := secret_problem(self.client_secret_file):
            yield ("client_secret_file",), text
        if self.ca_file is not None and (text := certificates_problem(self.ca_file)):
            yield ("ca_file",), text
