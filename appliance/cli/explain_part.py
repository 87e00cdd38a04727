"""`appliance explain URL --page PAGE`: an address as a part of a page that is open for a lesson.

What lives only here: the fields by which a browser says that it loads such a part, and what is said of one
that stays closed. Without `--page` an address is asked for by itself, as if it were typed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from appliance.filtering import Filtering
from appliance.model.decision import Decision
from appliance.model.person import Person
from appliance.model.request import Load, Request
from appliance.model.url import Url, UrlRefusedError, parse_typed

_BY_SCRIPT = ("font", "data")
_KINDS = {
    "script": "script",
    "style": "style",
    "image": "image",
    "font": "font",
    "audio": "audio",
    "video": "video",
    "track": "track",
    "data": "empty",
    "frame": "iframe",
}
"""What a page loads, with the word that browsers have for it (`Sec-Fetch-Dest`)."""

page = click.option(
    "--page", default="", metavar="URL", help="As a part of this page: what an override brings along with it."
)
kind = click.option(
    "--kind",
    type=click.Choice(tuple(_KINDS)),
    default=None,
    help="With --page: what the page loads it as. Default: image.",
)


@dataclass(frozen=True, slots=True)
class Part:
    """The page that loads what is asked about, and as what."""

    page: Url
    load: Load


def with_part(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options by which an address is a part of a page."""
    return page(kind(command))


def part_of(page: str, kind: str | None) -> Part | None:
    """Return what `--page` and `--kind` say, None without them; a usage error where they make no sense."""
    if not page:
        if kind:
            raise click.UsageError("--kind says what a page loads: give the page's address, --page URL")
        return None
    try:
        address = parse_typed(page)
    except UrlRefusedError as error:
        raise click.UsageError(f"--page {page!a} is {error}") from None
    chosen = kind or "image"
    if chosen == "frame":
        load = Load("iframe", "navigate", "cross-site", address.host, document=True, sends=False)
    else:
        origin = address.host if chosen in _BY_SCRIPT else ""
        mode = "cors" if origin else "no-cors"
        load = Load(_KINDS[chosen], mode, "cross-site", address.host, origin, document=False, sends=False)
    return Part(address, load)


def part_notes(
    journey: Filtering, part: Part | None, asked: Request, who: Person, when: datetime | None, made: Decision
) -> Iterator[str]:
    """Yield why `asked` stays closed though it is a part of a page; nothing where `made` opens it."""
    if part is None or not made.blocked or journey.grants is None or journey.learnt is None:
        return
    whole = journey.judge(Request(part.page, client=asked.client), who, when).decision
    url = asked.url
    if not whole.override:
        yield f"no override opens the page {part.page.host} for them, so that nothing comes with it"
        return
    need = journey.learnt.of(whole.override).get(url.host)
    number = whole.override
    if whole.override not in journey.grants.learning:
        yield f"override {number} opens what it names and nothing that its pages need (only-named)"
    elif need is None:
        yield (
            f"no page of override {number} has named {url.host} yet: a host comes along once somebody has "
            "loaded a page that names it"
        )
    elif need.dropped:
        yield f"staff have closed {url.host} again, which came with the pages of override {number}"
    elif need.refused:
        yield f"a page of override {number} has named {url.host}, which stays closed: {need.refused}"
    else:
        yield f"{url.host} comes with the pages of override {number}, but not as this, or not for them"
