"""The part of the configuration that says how people sign in.

What lives only here: the keys of `identity:` in deploy/appliance.yaml but for the networks, which the
gateway's other settings share, and what they become for the room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import time
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from appliance.config.typed import Section
from appliance.identity.leases import LeaseFormat, lease_name
from appliance.identity.neighbours import plain_mac
from appliance.identity.options_directory import DirectorySettings
from appliance.identity.options_oidc import OidcSettings
from appliance.identity.options_radius import RadiusSettings
from appliance.identity.options_sharing import SharingSettings
from appliance.identity.passwords import Rules
from appliance.identity.resolver import Registered
from appliance.identity.signing_in import SignInRules
from appliance.identity.tries import Limits

type Keys = tuple[str | int, ...]
"""The keys that lead to a value of this section."""


def _lease_name(text: str) -> str:
    if not (name := lease_name(text)) or name != text.strip().lower():
        raise ValueError(f"'{text}' is no name of a device; write one such as tablet-14, without a domain")
    return name


type LeaseName = Annotated[str, AfterValidator(_lease_name)]
type Mac = Annotated[str, AfterValidator(plain_mac)]


class DeviceSettings(Section):
    """One device that the school knows, by its hardware address or by its name in the DHCP leases."""

    mac: Mac | None = Field(None, description="The hardware address.")
    lease_name: LeaseName | None = Field(
        None, description="The name it tells the DHCP server, as any device could: a weak belief."
    )
    group: str = Field(description="The profile that counts on it while nobody is signed in.")
    name: str = Field(min_length=1, description="What staff call it, and where it stands.")


class LeaseSettings(Section):
    """The file of leases that a DHCP server keeps, on this machine or copied to it."""

    format: LeaseFormat = Field(description="Whose file it is: dnsmasq, isc (dhcpd) or kea (memfile).")
    file: Path = Field(description="Where it lies; the gateway's user must be able to read it.")


class TrySettings(Section):
    """How many wrong passwords there may be, for one account and from one address."""

    tries: int = Field(10, ge=1, le=10, description="So many within the window lock (CY-2: at most 10).")
    window_seconds: float = Field(300.0, ge=300, le=86_400, description="Wrong ones within this time count.")
    pause_seconds: float = Field(300.0, ge=10, le=86_400, description="First lock; each further one doubles.")


class PasswordSettings(Section):
    """What a new password must be."""

    pupil_length: int = Field(8, ge=4, le=64, description="Fewest characters for pupils and guests.")
    staff_length: int = Field(12, ge=8, le=64, description="Fewest characters for staff.")
    kinds: int = Field(2, ge=1, le=4, description="Of how many kinds: small, capital, number, sign.")


class AgreementSettings(Section):
    """The acceptable-use agreement of one group."""

    version: str = Field(min_length=1, description="A new version is asked for anew.")
    text: tuple[str, ...] = Field(min_length=1, description="What is agreed to, one sentence a line.")


class SignInSettings(Section):
    """How people sign in."""

    devices: tuple[DeviceSettings, ...] = Field((), description="Devices that the school knows.")
    leases: LeaseSettings | None = Field(None, description="DHCP leases that name devices; null for none.")
    portal: bool = Field(default=False, description="Whether the sign-in is served, at gateway.own_name.")
    allow_plain: bool = Field(
        default=False, description="Read passwords for the proxy on `gateway.listen` too, in the clear."
    )
    people: Path | None = Field(None, description="A file of people to add at the start; null for none.")
    day_ends: time = Field(time(18, 0), description="When the school day ends, and sessions with it.")
    idle_minutes: float = Field(60.0, ge=1, le=1440, description="A session not used for so long ends.")
    tries: TrySettings = TrySettings()
    passwords: PasswordSettings = PasswordSettings()
    staff_change_month: int = Field(9, ge=0, le=12, description="Staff choose anew in this month; 0 never.")
    agreements: dict[str, AgreementSettings] = Field({}, description="Agreement by group; none is not asked.")
    realms: tuple[str, ...] = Field(
        (), description="What people write around a name: school.example, SCHOOL."
    )
    sharing: SharingSettings = SharingSettings()
    stop_holds_hours: float = Field(
        24.0, ge=0, le=720, description="A device stays stopped so long after a stopped person's last use."
    )
    directory: DirectorySettings | None = Field(None, description="The school's directory; null for none.")
    oidc: OidcSettings | None = Field(None, description="Single sign-on (OpenID Connect); null for none.")
    radius: RadiusSettings | None = Field(
        None, description="Network log-ins (RADIUS accounting); null for none."
    )

    def located(self, place: Callable[[Path], Path]) -> Self:
        """Return the same with each path put where it lies."""
        people, directory, oidc, radius = self.people, self.directory, self.oidc, self.radius
        return self.model_copy(
            update={
                "people": place(people) if people else None,
                "directory": directory.located(place) if directory else None,
                "oidc": oidc.located(place) if oidc else None,
                "radius": radius.located(place) if radius else None,
            }
        )

    def groups_named(self) -> Iterator[tuple[Keys, str]]:
        """Yield each group that is named here, by the key that names it."""
        for index, device in enumerate(self.devices):
            yield ("devices", index, "group"), device.group
        for group in self.agreements:
            yield ("agreements", group), group
        for name, each in self._outside():
            for place, group in each.groups_named():
                yield (name, *place), group

    def wrong(self, *, pages: bool = False, single: bool = False) -> Iterator[tuple[Keys, str]]:
        """Yield what is well formed and cannot be meant, by its key.

        `pages` and `single` are whether staff sign in at pages of their own, and by the single sign-on there.
        """
        if self.directory is not None and not self.learns_names and self.radius is None and not pages:
            yield ("directory",), "nobody could sign in by it: set identity.portal to true"
        if self.oidc is not None and not self.portal and not single:
            yield ("oidc",), "nobody could sign in by it: set identity.portal to true"
        for name, each in self._outside():
            for place, message in each.wrong():
                yield (name, *place), message

    def _outside(self) -> Iterator[tuple[str, DirectorySettings | OidcSettings | RadiusSettings]]:
        if self.directory is not None:
            yield "directory", self.directory
        if self.oidc is not None:
            yield "oidc", self.oidc
        if self.radius is not None:
            yield "radius", self.radius

    @property
    def learns_names(self) -> bool:
        """Whether anybody can say who they are: at the portal, as far as this section says."""
        return self.portal

    @property
    def rules(self) -> SignInRules:
        """The rules as the sign-in takes them."""
        tries, words = self.tries, self.passwords
        return SignInRules(
            self.day_ends,
            self.idle_minutes * 60,
            Limits(tries.tries, tries.window_seconds, tries.pause_seconds),
            Rules(words.pupil_length, words.staff_length, words.kinds),
            {group: each.version for group, each in self.agreements.items()},
            self.staff_change_month,
        )

    @property
    def registered(self) -> dict[str, Registered]:
        """The registered devices by hardware address, or by the name in their lease."""
        marked = [(each.mac or each.lease_name, each) for each in self.devices]
        return {mark: Registered(mark, each.group, each.name) for mark, each in marked if mark}
