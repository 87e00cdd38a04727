"""Sites whose apps accept no certificate but their own, so that looking into them only breaks them.

What lives only here: the shape of `blocklists/pinned.yaml`, and the look-up in it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from appliance.config.fields import Day
from appliance.config.problems import ProblemsError
from appliance.config.typed import Section, open_document, validate
from appliance.lists.feeds import Id, Title
from appliance.lists.suffixes import public_suffixes
from appliance.model.url import UrlRefusedError, parse_host

PINNED_FILE = "pinned.yaml"


class PinnedApp(Section):
    """An app or service that pins its certificates."""

    id: Id
    title: Title
    because: str = Field(min_length=1, description="Why, as a technician and a governor read it")
    since: Day = Field(description="When this was last known to be so")
    hosts: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="Host names; each covers everything below it"
    )


class PinnedFile(Section):
    """Every app that is known to pin its certificates."""

    apps: tuple[PinnedApp, ...]


class Pinned:
    """Why a host is known to pin, by its name or by one above it."""

    def __init__(self, file: PinnedFile | None = None) -> None:
        self._hosts = {host: _words(app) for app in (file.apps if file else ()) for host in app.hosts}

    def __len__(self) -> int:
        return len(self._hosts)

    def of(self, host: str) -> str:
        """Return why `host` pins, or an empty text."""
        while host:
            if (found := self._hosts.get(host)) is not None:
                return found
            host = host.partition(".")[2]
        return ""


def load_pinned(blocklists: Path) -> PinnedFile:
    """Read the list; raises `ProblemsError`, also for a host that is none or covers too much.

    A folder without it knows of no such apps: then everything is looked into, which is safe.
    """
    if not (blocklists / PINNED_FILE).exists():
        return PinnedFile(apps=())
    document = open_document(blocklists / PINNED_FILE)
    found = validate(document, PinnedFile)
    problems = [
        document.problem(("apps", at, "hosts", number), text)
        for at, app in enumerate(found.apps)
        for number, host in enumerate(app.hosts)
        if (text := _problem(host))
    ]
    if problems:
        raise ProblemsError(problems)
    return found


def _words(app: PinnedApp) -> str:
    return f"{app.because.rstrip('.')} ({app.title}; as of {date.isoformat(app.since)})."


def _problem(host: str) -> str:
    try:
        url = parse_host(host)
    except UrlRefusedError as error:
        return f"{host!r}: {error}; write a host such as push.apple.com"
    if url.host != host or url.ip is not None:
        return f"{host!r} must be a host name in small letters, such as push.apple.com"
    if host in public_suffixes():
        return f"{host!r} would leave every site below it unread; name the app's own hosts"
    return ""
