"""For whom a new policy is in force first, while everybody else stays with the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address

from appliance.model.person import Person


@dataclass(frozen=True, slots=True)
class Stage:
    """One policy beside the one in force: its version, and for whom it counts.

    `groups` are profiles, `names` accounts (a class's log-in as well), `networks` rooms. Whoever is in any of
    them is meant, until `until` (seconds since 1970; None: until somebody decides). `number` is the change's.
    """

    version: str
    number: int
    shown: str
    groups: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    until: float | None = None

    def covers(self, person: Person, client: str, now: datetime) -> bool:
        """Tell whether the new policy counts for somebody; never raises."""
        if self.until is not None and now.timestamp() >= self.until:
            return False
        return self.touches(person, client)

    def touches(self, person: Person, client: str) -> bool:
        """Tell whether somebody is meant, whatever the time; never raises."""
        if person.group in self.groups or (bool(person.name) and person.name.casefold() in self.names):
            return True
        return bool(self.networks) and self._is_there(client)

    def _is_there(self, client: str) -> bool:
        try:
            ip = ip_address(client)
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        ip = mapped or ip
        return any(ip.version == network.version and ip in network for network in self.networks)
