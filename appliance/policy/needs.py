"""What comes with a page that an override opens: the closed hosts which that page itself has named.

What lives only here: which of them may come, and which requests are parts of a page. Three things have to
hold at the same time, and none of them is what the client says: the page's own answer named the host, the
override covers this person now, and its granter's role may open all that keeps the host closed, which may
be no more severe than what was opened. Then the request has to look like a part of that page, and its answer
must be nothing that a browser shows as a page. Whoever forges the request gets such parts of such hosts, and
no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from appliance.model.category import Category, Severity
from appliance.model.decision import Decision
from appliance.model.grant import Grant
from appliance.model.known import Match
from appliance.model.need import Need
from appliance.model.profile import Profile
from appliance.model.request import Load
from appliance.model.role import Role
from appliance.policy.overrides import OVERRIDABLE, Asked, Needs, covers, needed, opened_by, permits
from appliance.policy.profile import listed, severity

NEVER = frozenset(
    {"filter_bypass", "search_engines", "ip_address", "url_shorteners", "translation", "remote_control"}
)
"""Categories of sites that show, or lead to, whatever they are asked for: they come with no page."""

PARTS = frozenset({"script", "style", "image", "font", "audio", "video", "track", "empty"})
"""What a part of a page can be, as `Sec-Fetch-Dest` has it: no document, frame, plug-in, worker or socket."""

METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that only fetch; OPTIONS is how a browser asks beforehand. What a page shows comes by these."""

_MODES = frozenset({"no-cors", "cors"})
_SITES = frozenset({"cross-site", "same-site"})

_FAMILIES = ("image/", "font/", "audio/", "video/", "application/font", "application/x-font")
_TYPES = frozenset(
    {
        "text/css",
        "text/javascript",
        "text/vtt",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
        "application/json",
        "application/manifest+json",
        "application/ld+json",
        "application/wasm",
        "application/octet-stream",
        "binary/octet-stream",
        "application/x-protobuf",
        "application/vnd.mapbox-vector-tile",
        "application/vnd.ms-fontobject",
        "application/vnd.apple.mpegurl",
        "application/x-mpegurl",
        "application/dash+xml",
        "application/mp4",
    }
)
"""What parts of pages are made of. What is not here (a page, a document, plain text) is not carried."""

BARE = frozenset({204, 301, 302, 303, 304, 307, 308})
"""Statuses of answers that say all in their head: they are carried, and no body of theirs is."""


@dataclass(frozen=True, slots=True)
class Named:
    """What the pages of one override have named: `hosts` by name, and the hosts of those `pages`."""

    hosts: Mapping[str, Need]
    pages: frozenset[str]


def closed_because(
    needs: Needs | None,
    matches: Sequence[Match],
    profile: Profile,
    role: Role,
    limit: Severity,
    categories: Mapping[str, Category],
) -> str | None:
    """Return why a host stays closed though a page has named it: empty where it may come with the page.

    None where nobody may open it: that is said and kept nowhere, so that nothing can be learnt from it.
    """
    if needs is None:
        return None
    if shows := NEVER.intersection(name for name, _ in listed(matches)):
        return f"it shows whatever it is asked for ({', '.join(sorted(shows))})"
    if not permits(role, needs, profile.id):
        about = ", ".join(sorted(needs.categories - role.categories)) or "the school's own decision"
        return f"the role that granted this may not open it ({about})"
    if _weight(needs, categories) > limit:
        return f"it is more severe than what was opened ({', '.join(sorted(needs.categories))})"
    return ""


def carried(
    decision: Decision,
    matches: Sequence[Match],
    asked: Asked,
    part: tuple[str, Load],
    now: datetime,
    profile: Profile,
    categories: Mapping[str, Category],
    grants: Iterable[tuple[Grant, Role, Named]],
) -> Decision:
    """Return `decision`, or where it is a block of a part that an open page needs, that override's.

    `part` is the request's method and what its browser says of it; `grants` are those that may be in force,
    each with its granter's role and what its pages have named. Raises nothing.
    """
    if not decision.blocked or decision.floor or decision.reason not in OVERRIDABLE or now.tzinfo is None:
        return decision
    needs, moment = None, now.timestamp()
    for grant, role, named in grants:
        need = named.hosts.get(asked.url.host)
        if (
            need is None
            or not need.open
            or not grant.learns
            or not grant.starts <= moment < grant.ends
            or not covers(grant.whom, asked)
            or not is_part(*part, grant, named)
        ):
            continue
        needs = needs or needed(decision, matches, asked.person, now, profile, categories)
        if closed_because(needs, matches, profile, role, need.limit, categories) == "":
            return opened_by(decision, grant, need.page)
    return decision


def fetches(method: str, load: Load) -> bool:
    """Tell whether a request only fetches something for a page, as every part of one does; cheap to ask."""
    return method in METHODS and not load.sends and not load.document


def is_part(method: str, load: Load, grant: Grant, named: Named) -> bool:
    """Tell whether a request is a part of one of an override's pages, by what its browser says of it.

    Where the browser says little (Sec-Fetch is sent over encryption only, and by newer ones) its Referer has
    to name such a page, or a host that came with one: a style sheet loads the pictures that it names.
    """
    if not fetches(method, load):
        return False
    page = load.origin and _is_page(load.origin, grant, named)
    if load.origin and not page:
        return False
    if load.referer and not (_is_page(load.referer, grant, named) or _came(load.referer, named)):
        return False
    if load.dest or load.mode or load.site:
        return load.dest in PARTS and load.mode in _MODES and load.site in _SITES
    return bool(load.referer)


def may_answer(status: int, content_type: str) -> bool:
    """Tell whether an answer may be carried as a part of a page; `content_type` as the site wrote it."""
    if status in BARE:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return "," not in kind and (kind.startswith(_FAMILIES) or kind in _TYPES)


def limit_of(decision: Decision, categories: Mapping[str, Category]) -> Severity:
    """Return how severe that was which an override has opened: the decision on its page says it."""
    return severity(decision.category, categories) if decision.category else Severity.LOW


def _weight(needs: Needs, categories: Mapping[str, Category]) -> Severity:
    return max((severity(name, categories) for name in needs.categories), default=Severity.LOW)


def _is_page(host: str, grant: Grant, named: Named) -> bool:
    if host in named.pages or any(host == of for of, _ in grant.what.pages):
        return True
    return any(host == of or host.endswith(f".{of}") for of in grant.what.hosts)


def _came(host: str, named: Named) -> bool:
    need = named.hosts.get(host)
    return need is not None and need.open
