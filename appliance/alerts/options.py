"""The section `alerts` of the settings: who the roles are, and which ways lead to them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from appliance.alerts.redact import LINK
from appliance.config.addresses import HostName, ListenAddress, MailText
from appliance.config.document import Path as Keys
from appliance.config.fields import ClockText, Name
from appliance.config.problems import unknown
from appliance.config.typed import Section
from appliance.model.alerting import Alerting

_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"{text!r} is no host name; write one such as smtp.school.example")
    return text


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if not text.isascii() or not text.isprintable() or " " in text or not parts.hostname:
        raise ValueError(f"{text!r} is no web address; write one such as https://hooks.example/abc")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise ValueError("must begin with https://; http:// only leads to this machine itself")
    return text


def _link(text: str) -> str:
    # As strict as what a message may hold: else each would fail, and nobody would be told of anything.
    if not LINK.fullmatch(f"{_web_address(text).rstrip('/')}/A-{'0' * 12}"):
        raise ValueError(
            f"{text!r} is no address that a reference can be put behind; write one of letters, digits and "
            "/ _ . ~ - alone, such as https://school.example/cases"
        )
    return text


type Link = Annotated[str, AfterValidator(_link)]
type Host = Annotated[str, AfterValidator(_host)]
type WebAddress = Annotated[str, AfterValidator(_web_address)]
type Port = Annotated[int, Field(strict=True, ge=1, le=65_535)]


class MailSettings(Section):
    """The school's mail server."""

    server: Host = Field(description="Host name of the mail server; its certificate must name it.")
    port: Port = Field(587, description="587 with starttls, 465 with tls.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How it is encrypted; none only to this machine itself."
    )
    sender: MailText = Field(description="The address that alerts come from.")
    user: str | None = Field(None, description="Name to sign in with; null where none is needed.")
    password_file: Path | None = Field(None, description="File that holds the password alone (mode 600).")
    roots: Path | None = Field(None, description="PEM file with the server's CA, where it is a private one.")
    timeout_seconds: float = Field(30.0, strict=True, gt=0, le=300, description="For each step.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.security == "none" and self.server not in _LOCAL:
            raise ValueError("'security: none' only leads to this machine itself; write starttls or tls")
        if (self.user is None) is not (self.password_file is None):
            raise ValueError("'user' and 'password_file' belong together; give both or none")
        return self


class WebhookSettings(Section):
    """One address that is told over HTTPS."""

    name: Name = Field(description="What figures and messages call it.")
    url: WebAddress
    format: Literal["json", "teams", "slack", "alertmanager"] = Field(
        "json", description="What the other side reads; alertmanager takes technical alarms alone."
    )
    secret_file: Path | None = Field(None, description="File with the secret that signs each message.")
    timeout_seconds: float = Field(15.0, strict=True, gt=0, le=120)


class SyslogSettings(Section):
    """A syslog server (RFC 5424)."""

    server: Host
    port: Port = 6514
    transport: Literal["udp", "tcp", "tls"] = "tls"
    roots: Path | None = Field(None, description="PEM file with the server's CA, where it is a private one.")


class CasePages(Section):
    """The pages on which staff work on cases, served by a process of its own."""

    listen: ListenAddress = Field(description="Where the pages are served; the staff's network alone.")
    name: HostName | None = Field(
        None, description="The name that staff call this machine by, for links; null: the address."
    )
    people: dict[Name, tuple[Annotated[str, Field(min_length=1)], ...]] = Field(
        {}, description="Role of profiles/<set>/alerts.yaml: the staff accounts that have it, by name."
    )
    idle_minutes: float = Field(
        15.0,
        strict=True,
        ge=1,
        le=120,
        description="After how long without a request somebody is signed out.",
    )

    second_factor: Literal["none", "totp"] = Field(
        "none", description="totp: beside the password, a code of an app (`appliance people second-factor`)."
    )

    single_sign_on: bool = Field(
        default=False,
        strict=True,
        description="Whether staff come in by identity.oidc as well as by a password.",
    )

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if self.name is None and ipaddress.ip_address(self.listen[0].strip("[]")).is_unspecified:
            raise ValueError("give 'name' the name of this machine, or 'listen' one address of it")
        return self

    @property
    def host(self) -> str:
        """What the certificate is for: the name, or the address."""
        return self.name or self.listen[0].strip("[]")

    @property
    def back(self) -> str:
        """Where a single sign-on sends people back to; it has to be registered there."""
        return f"{self.address}/sign-in/back"

    @property
    def address(self) -> str:
        """What links begin with."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.listen[1]}"

    def roles_of(self, name: str) -> frozenset[str]:
        """Return the roles of an account, in whatever spelling of its name."""
        wanted = name.strip().casefold()
        return frozenset(
            role for role, names in self.people.items() if wanted in (one.strip().casefold() for one in names)
        )


class AlertSettings(Section):
    """Who is told of what is flagged."""

    deliver: bool = Field(default=False, strict=True, description="Whether anybody is told at all.")
    roles: dict[Name, tuple[MailText, ...]] = Field(
        {}, description="Role of profiles/<set>/alerts.yaml: the mail addresses of whoever has it."
    )
    technicians: tuple[MailText, ...] = Field(
        (), description="Who is told by mail when another way does not work."
    )
    mail: MailSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    syslog: SyslogSettings | None = None
    heartbeat: ClockText | None = Field(
        "07:45", description="When a daily sign of life is sent; null: never."
    )
    link: Link | None = Field(
        None, description="A page of the school's own that a case's reference is put behind; null: none."
    )
    pages: CasePages | None = Field(None, description="The pages on which staff work on cases; null: none.")

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        names = [one.name for one in self.webhooks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"two webhooks are named {twice[0]!r}, and one of them would be told of nothing; "
                "give each a name of its own"
            )
        return self

    def located(self, where: Callable[[Path], Path]) -> Self:
        """Return the same with every file's path given to `where`."""
        return self.model_copy(
            update={
                "mail": self.mail and _located(self.mail, where, "password_file", "roots"),
                "webhooks": tuple(_located(one, where, "secret_file") for one in self.webhooks),
                "syslog": self.syslog and _located(self.syslog, where, "roots"),
            }
        )


def _located[S: Section](section: S, where: Callable[[Path], Path], *names: str) -> S:
    files: dict[str, Path | None] = {name: getattr(section, name) for name in names}
    return section.model_copy(update={name: where(file) if file else None for name, file in files.items()})


def needs(settings: AlertSettings, rules: Alerting) -> list[tuple[Keys, str]]:
    """Return what stands between these settings and alerts that reach somebody: a key, and what is wrong."""
    found: list[tuple[Keys, str]] = [
        (("alerts", "roles", name), unknown("role", name, rules.roles))
        for name in settings.roles
        if rules.roles and name not in rules.roles
    ]
    people = settings.pages.people if settings.pages is not None else {}
    found += [
        (("alerts", "pages", "people", name), unknown("role", name, rules.roles))
        for name in people
        if rules.roles and name not in rules.roles
    ]
    if settings.pages is not None and not any(people.values()):
        text = "nobody could open a page of a case: name staff accounts in alerts.pages.people"
        found.append((("alerts", "pages"), text))
    if not settings.deliver:
        return found
    if not rules.rules:
        text = (
            "the school's set has no alerts.yaml: nobody would be told of anything; copy that of another set"
        )
        return [*found, (("alerts", "deliver"), text)]
    told = dict.fromkeys(role for rule in rules.rules for role in rule.tell)
    for role in told:
        if not settings.roles.get(role):
            text = (
                f"rules tell the role {role!r} ({rules.roles[role]}), and nobody has it; give it an address, "
                "or set alerts.deliver to false"
            )
            found.append((("alerts", "roles"), text))
    if settings.mail is None:
        found.append(
            (("alerts", "deliver"), "alerts go by mail first: fill in alerts.mail, or set this to false")
        )
    return found + _file_needs(settings)


def single_needs(settings: AlertSettings, *, known: bool, asks_anew: bool) -> list[tuple[Keys, str]]:
    """Return why staff could not come in to the pages by the single sign-on, where they are to.

    Each with its key. `known` is whether the settings name one, `asks_anew` whether it can be told to ask
    people again who are signed in there.
    """
    key: Keys = ("alerts", "pages", "single_sign_on")
    if settings.pages is None or not settings.pages.single_sign_on:
        return []
    if not known:
        return [(key, "there is none: fill in identity.oidc, or set this to false")]
    if not asks_anew and settings.pages.second_factor == "none":
        text = (
            "Google does not ask somebody anew who is signed in already: an unlocked laptop would be enough; "
            "set alerts.pages.second_factor to totp"
        )
        return [(key, text)]
    return []


def _file_needs(settings: AlertSettings) -> list[tuple[Keys, str]]:
    mail, syslog = settings.mail, settings.syslog
    files: list[tuple[Keys, Path | None]] = [
        (("alerts", "mail", "password_file"), mail.password_file if mail else None),
        (("alerts", "mail", "roots"), mail.roots if mail else None),
        (("alerts", "syslog", "roots"), syslog.roots if syslog else None),
    ]
    files += [
        (("alerts", "webhooks", index, "secret_file"), one.secret_file)
        for index, one in enumerate(settings.webhooks)
    ]
    return [
        (key, f"there is no file {file}") for key, file in files if file is not None and not file.is_file()
    ]
