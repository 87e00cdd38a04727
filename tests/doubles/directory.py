"""A directory in memory: people with passwords, and what can go wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.identity.outside import (
    Found,
    NotAdmittedError,
    NotKnownError,
    UnreachableError,
    without_realm,
)
from appliance.model.secret import Secret


@dataclass
class InMemory:
    """People by name; `shut` are not let in, and `down` is a directory that is off."""

    people: dict[str, Found] = field(default_factory=dict)
    password: Secret = field(default_factory=lambda: Secret("Blue-kettle-42"))
    shut: set[str] = field(default_factory=set)
    down: bool = False
    lasts: float = 3600.0
    looks_up: bool = True
    asked: list[str] = field(default_factory=list)

    def plain(self, name: str) -> str:
        return without_realm(name, ["west"])

    def ask(self, name: str, password: Secret) -> Found:
        found = self.look_up(name)
        if found is None or password != self.password:
            raise NotKnownError("no")
        return found

    def look_up(self, name: str) -> Found | None:
        self.asked.append(name)
        if self.down:
            raise UnreachableError("nobody answers")
        if name in self.shut:
            raise NotAdmittedError("not let in")
        return self.people.get(name.lower())
