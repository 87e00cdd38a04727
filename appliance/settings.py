"""deploy/appliance.yaml as one typed tree.

What lives only here: which keys the configuration file may have, what they mean and their defaults. A
relative path counts from the folder of the file that names it, so that a command works from anywhere.
The environment variable APPLIANCE_STATE moves everything that is written.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, override

from pydantic import Field, ValidationError

from appliance.alerts.options import AlertSettings, single_needs
from appliance.changes.held_files import HeldFiles
from appliance.changes.held_settings import held, joined
from appliance.changes.options import ChangeSettings
from appliance.config.addresses import HostName, IpText, ListenAddress, NetworkText, Port
from appliance.config.document import Document
from appliance.config.problems import InWordsError, Problem, ProblemsError
from appliance.config.typed import Section, open_document, validate
from appliance.events.fields import Keep, Retention
from appliance.events.options import AuditSettings
from appliance.gateway.listen import Listen
from appliance.gateway.options import FloorHits, Recycle
from appliance.identity.networks import ClientNetwork, Network, ProxySignIn
from appliance.identity.options import SignInSettings
from appliance.overrides.options import OverrideSettings
from appliance.reports.options import ReportSettings
from appliance.reports.options_tests import SelfTestSettings

STATE_VARIABLE = "APPLIANCE_STATE"
RUNNING = "running.yaml"
"""In the state folder: the settings that a gateway runs with, whatever is edited or released meanwhile."""


type Days = Annotated[int, Field(strict=True, ge=1, le=36_500)]


class TwoTerms(Section):
    """Days for a field that is kept longer with a flagged access."""

    ordinary: Days = Field(description="Days with an ordinary access.")
    flagged: Days = Field(description="Days with a flagged access.")


def kept(days: Mapping[str, int | TwoTerms]) -> dict[str, int | Keep]:
    """Return the terms of the settings in the words of the log."""
    return {name: Keep(d.ordinary, d.flagged) if isinstance(d, TwoTerms) else d for name, d in days.items()}


class School(Section):
    """Who runs this gateway."""

    name: str = Field(min_length=1, description="The school's name, as pupils see it on pages.")
    set: str = Field(description="Which set of profiles is in force: a folder in paths.profiles.")
    domains: tuple[HostName, ...] = Field(
        (), description="The school's own sites; no downloaded list may close them."
    )


class Paths(Section):
    """Where things lie."""

    state: Path = Field(description="Everything that is written; APPLIANCE_STATE overrides it.")
    profiles: Path = Field(description="The policy: one folder a set.")
    blocklists: Path = Field(description="The catalogue of lists, the categories, the shipped lists.")


class GatewaySettings(Section):
    """The front door."""

    listen: ListenAddress | None = Field(description="Explicit proxy; null for none.")
    listen_tls: ListenAddress | None = Field(
        None, description="Explicit proxy to which browsers speak under encryption; null for none."
    )
    proxy_name: HostName | None = Field(
        None, description="Host name of this machine in `listen_tls`, for its certificate; null for none."
    )
    transparent: ListenAddress | None = Field(None, description="Where nftables redirects to; null for none.")
    workers: int = Field(
        0, strict=True, ge=0, le=64, description="Worker processes; 0 = one a CPU core, at most 4."
    )
    ports: frozenset[Port] = Field(frozenset({80, 443, 8080, 8443}), description="Ports of the web.")
    reachable: tuple[NetworkText, ...] = Field((), description="Internal networks that may be reached.")
    static_hosts: dict[HostName, tuple[IpText, ...]] = Field(
        {}, description="Host name: its addresses, before DNS."
    )
    resolvers: tuple[IpText, ...] = Field(
        (), description="Name servers to ask; empty: those of /etc/resolv.conf."
    )
    extra_roots: Path | None = Field(None, description="PEM file with further roots to trust upstream.")
    deadline_seconds: float = Field(
        5.0, strict=True, gt=0, le=60, description="A decision that takes longer blocks."
    )
    idle_seconds: int = Field(
        600, strict=True, ge=10, le=86_400, description="A silent connection is closed after this."
    )
    http2: bool = Field(default=False, strict=True, description="Offer browsers HTTP/2 on opened sites.")
    lean_lane: bool = Field(
        default=True, strict=True, description="Carry plain HTTP/1.1 requests the short way."
    )
    recycle: Recycle = Field(Recycle(), description="When workers are replaced by fresh ones.")
    floor_hits: FloorHits = Field(FloorHits(), description="Guessing what the statutory lists hold.")
    own_name: HostName = Field("filter.internal", description="Host name of the gateway's own notice page.")


class ClientNetworkSettings(Section):
    """One network of clients."""

    network: NetworkText
    group: str = Field(description="The profile that counts here.")
    name: str = Field(min_length=1, description="What staff call this network.")
    sign_in: bool = Field(
        default=False, description="Whether one must sign in here; help lines are open before."
    )
    proxy_sign_in: ProxySignIn = Field(
        ProxySignIn.NEVER, description="Name and password given to the proxy: never, offered or required."
    )


class IdentitySettings(SignInSettings):
    """Who is asking."""

    networks: tuple[ClientNetworkSettings, ...] = ()

    @property
    @override
    def learns_names(self) -> bool:
        """Whether anybody can say who they are, at the portal or to the proxy."""
        return self.portal or any(one.proxy_sign_in is not ProxySignIn.NEVER for one in self.networks)


class ListSettings(Section):
    """What the lists must be."""

    floor_max_age_hours: float = Field(
        48.0, strict=True, gt=0, le=720, description="A floor list older than this closes the gate."
    )
    updates: tuple[str, ...] = Field(
        (), description="Downloads of the catalogue that are kept up to date; statutory feeds always are."
    )
    update_memory_megabytes: int = Field(
        1024, ge=128, le=65_536, description="Memory that the build of an update may use."
    )


class EventSettings(Section):
    """The log."""

    retention_days: dict[str, Days | TwoTerms] = Field(
        {}, description="Field of the log: days until it is blanked; one number, or ordinary and flagged."
    )


class MetricsSettings(Section):
    """Prometheus."""

    listen: ListenAddress = Field(description="Where Prometheus fetches /metrics; never the pupils' network.")


class DemoSettings(Section):
    """A web site of the gateway's own, so that something can be tried without the internet."""

    listen: ListenAddress = Field(description="Where the demo site listens; give it an address of its own.")
    name: HostName = Field(description="The demo site's host name.")


class Settings(Section):
    """The whole configuration file."""

    school: School
    paths: Paths
    gateway: GatewaySettings
    identity: IdentitySettings = IdentitySettings()
    lists: ListSettings = ListSettings()
    events: EventSettings = EventSettings()
    alerts: AlertSettings = AlertSettings()
    audit: AuditSettings = AuditSettings()
    changes: ChangeSettings = ChangeSettings()
    overrides: OverrideSettings = OverrideSettings()
    reports: ReportSettings = ReportSettings()
    selftest: SelfTestSettings = SelfTestSettings()
    metrics: MetricsSettings
    demo: DemoSettings | None = None

    @property
    def state(self) -> Path:
        """The folder for everything that is written."""
        return self.paths.state

    @property
    def blocklists(self) -> Path:
        """The folder with the catalogue of lists."""
        # While two people change them, what was released counts, and not what is being edited.
        released = HeldFiles(self.state).blocklists
        return released if self.changes.approval == "two" and released.is_dir() else self.paths.blocklists

    @property
    def floor_max_age_hours(self) -> float:
        """Age at which a floor list closes the gate, in hours."""
        return self.lists.floor_max_age_hours

    @property
    def client_networks(self) -> tuple[ClientNetwork, ...]:
        """The client networks as identity takes them."""
        return tuple(
            ClientNetwork(n.network, n.group, n.name, n.sign_in, n.proxy_sign_in)
            for n in self.identity.networks
        )

    @property
    def listen(self) -> Listen:
        """Where workers listen."""
        return Listen(self.gateway.listen, self.gateway.transparent, self.gateway.listen_tls)

    @property
    def retention(self) -> Retention:
        """For how long each field of the log is kept."""
        return Retention.of(kept(self.events.retention_days))

    @property
    def worker_count(self) -> int:
        """How many workers to run."""
        return self.gateway.workers or min(4, max(1, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, with the document they came from, so that later checks can name a line."""

    settings: Settings
    document: Document


def load_settings(path: Path) -> Configuration:
    """Read the settings that count; ProblemsError with everything that is wrong with the file.

    While two people change the settings that matter (`changes.held_settings`), those count as released.
    """
    found = read_settings(path)
    if path.resolve() == (found.settings.state / RUNNING).resolve():
        return found
    try:
        released = HeldFiles(found.settings.state).settings()
        if released is None or released.get("changes", {}).get("approval") != "two":
            return found
        return Configuration(agreed(found.settings, released), found.document)
    except (ValidationError, InWordsError) as error:
        text = str(error) if isinstance(error, InWordsError) else error.errors()[0]["msg"]
        message = f"what the file says does not go with what two people released: {text}"
        raise ProblemsError([Problem(str(path), 1, 1, message)]) from None


def agreed(settings: Settings, released: Mapping[str, Any]) -> Settings:
    """Return settings with what two people have released of them; pydantic's ValidationError."""
    found = Settings.model_validate(joined(values_of(settings), released))
    return found.model_copy(update={"paths": settings.paths})


def held_of(settings: Settings) -> dict[str, Any]:
    """Return what two people agree on of these settings."""
    values = values_of(settings)
    values["gateway"]["ports"].sort()  # a set has no order, and must not differ by it
    return held(values)


def read_settings(path: Path) -> Configuration:
    """Read the configuration file as it is edited; ProblemsError with everything that is wrong with it."""
    document = open_document(path)
    settings = validate(document, Settings)
    problems = [*_listen_problems(settings, document), *_network_problems(settings, document)]
    single = settings.identity.oidc
    anew = single is not None and single.asks_anew
    for key, text in single_needs(settings.alerts, known=single is not None, asks_anew=anew):
        problems.append(document.problem(key, text))
    if settings.changes.approval == "two" and not settings.changes.approvers:
        message = "nobody could release a change: name staff accounts in changes.approvers"
        problems.append(document.problem(("changes", "approval"), message))
    if problems:
        raise ProblemsError(problems)
    base = path.resolve().parent
    extra = settings.gateway.extra_roots
    gateway = settings.gateway.model_copy(update={"extra_roots": _resolved(base, extra) if extra else None})
    identity = settings.identity.located(lambda path: _resolved(base, path))
    copies = settings.audit.copy_to
    audit = settings.audit.model_copy(update={"copy_to": _resolved(base, copies) if copies else None})
    paths = _located(path, settings.paths)
    alerts = settings.alerts.located(lambda file: _resolved(base, file))
    changes = {"paths": paths, "gateway": gateway, "identity": identity, "alerts": alerts, "audit": audit}
    return Configuration(settings.model_copy(update=changes), document)


def load_paths(path: Path) -> Paths | None:
    """Return where things lie, even when other parts of the file are wrong; None when this part is."""
    try:
        data = open_document(path).data
        return _located(path, Paths.model_validate(data["paths"])) if isinstance(data, dict) else None
    except (ProblemsError, ValidationError, KeyError):
        return None


def _located(path: Path, paths: Paths) -> Paths:
    base = path.resolve().parent
    state = os.environ.get(STATE_VARIABLE)
    return Paths(
        state=Path(state).resolve() if state else _resolved(base, paths.state),
        profiles=_resolved(base, paths.profiles),
        blocklists=_resolved(base, paths.blocklists),
    )


def _listen_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    gateway = settings.gateway
    if gateway.listen is None and gateway.transparent is None and gateway.listen_tls is None:
        message = "nobody could connect: give 'listen' or 'transparent' an address"
        yield document.problem(("gateway", "listen"), message)
    taken: list[tuple[tuple[str, int], str]] = []
    for place, address in (
        (("gateway", "listen"), gateway.listen),
        (("gateway", "listen_tls"), gateway.listen_tls),
        (("gateway", "transparent"), gateway.transparent),
        (("metrics", "listen"), settings.metrics.listen),
        (("alerts", "pages", "listen"), settings.alerts.pages.listen if settings.alerts.pages else None),
        (("demo", "listen"), settings.demo.listen if settings.demo else None),
    ):
        if address is None:
            continue
        if other := next((name for known, name in taken if _clash(known, address)), ""):
            yield document.problem(place, f"{other} listens on this address and port already")
        taken.append((address, ".".join(place)))


def _clash(one: tuple[str, int], other: tuple[str, int]) -> bool:
    # [::] takes every address of the machine, those of IPv4 as well; 0.0.0.0 all of IPv4.
    if one[1] != other[1]:
        return False
    first, second = (ipaddress.ip_address(host) for host, _ in (one, other))
    wild = first.is_unspecified or second.is_unspecified
    both = {str(first), str(second)}
    return first == second or "::" in both or (wild and first.version == second.version)


def _network_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    known: dict[Network, str] = {}
    for index, one in enumerate(settings.identity.networks):
        if one.network in known:
            message = (
                f"{one.network} counts as {known[one.network]!r} already; it can count as one group only"
            )
            yield document.problem(("identity", "networks", index, "network"), message)
        known.setdefault(one.network, one.group)
        if one.sign_in and one.proxy_sign_in is ProxySignIn.NEVER and not settings.identity.portal:
            message = "nobody could sign in here: set identity.portal to true, or take this away"
            yield document.problem(("identity", "networks", index, "sign_in"), message)


def as_file(settings: Settings) -> str:
    """Return `settings` as the text of a configuration file that reads back the same, from any folder."""
    return json.dumps(values_of(settings), indent=2)  # JSON is YAML as well


def values_of(settings: Settings) -> dict[str, Any]:
    """Return `settings` as plain values that mean the same from any folder."""
    paths = {name: str(getattr(settings.paths, name).absolute()) for name in Paths.model_fields}
    placed = settings.model_copy(
        update={
            "identity": settings.identity.located(Path.absolute),
            "alerts": settings.alerts.located(Path.absolute),
        }
    )
    values = placed.model_dump(mode="json") | {"paths": paths}
    roots = settings.gateway.extra_roots
    values["gateway"]["extra_roots"] = str(roots.absolute()) if roots else None
    copies = settings.audit.copy_to
    values["audit"]["copy_to"] = str(copies.absolute()) if copies else None
    return values


def _resolved(base: Path, path: Path) -> Path:
    # `..` is folded, so that messages name `profiles/ks2.yaml` and not `deploy/../profiles/ks2.yaml`;
    # below the working directory the name is the short one that a technician would type.
    full = Path(os.path.normpath(base / path))
    here = Path.cwd()
    return full.relative_to(here) if full.is_relative_to(here) else full
