"""A decision that carries its reason. Page, log, metric and `explain` print this same value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.model.category import Severity


class Action(StrEnum):
    """The two things that can happen to a request."""

    ALLOW = "allow"
    BLOCK = "block"


class Reason(StrEnum):
    """Why, as a closed set: each is a metric label and a wording on the page."""

    # allowed
    HELP = "help"  # a help line: never blocked
    OWN_PAGE = "own_page"  # the gateway itself answers: its notice page, its certificate, a review request
    ACCEPTABLE = "acceptable"  # the profile's rule
    IN_TIME = "in_time"  # within the timetable of the rule
    NOMINATED = "nominated"  # the person is on the rule's list
    LOCAL_ALLOW = "local_allow"  # the school opened it
    UNLISTED = "unlisted"  # no list names it, and the profile allows that
    OVERRIDE = "override"  # staff have opened it for a lesson
    # no access at all, but something that was seen beside them
    ACCOUNT_SHARING = "account_sharing"  # one account on two devices at once, or staff's on a pupil's
    # blocked by policy
    FLOOR = "floor"  # a statutory list names it
    FLOOR_REPEATED = "floor_repeated"  # too many such addresses were asked for; nothing is told for a while
    ILLEGAL = "illegal"  # rated unacceptable and illegal
    UNACCEPTABLE = "unacceptable"
    OUT_OF_TIME = "out_of_time"  # outside the timetable of the rule
    NOT_NOMINATED = "not_nominated"
    LOCAL_BLOCK = "local_block"  # the school closed it
    UNLISTED_BLOCKED = "unlisted_blocked"  # no list names it, and the profile blocks that
    UNRATED = "unrated"  # a category without a rule: a blank blocks
    # blocked because of who asks, whatever it is
    FROZEN = "frozen"  # access was stopped at once
    REMOVED = "removed"  # access was taken away for a time
    SIGNED_OUT = "signed_out"  # nobody has signed in where one must
    # blocked because it cannot be judged, or must not be reached
    MALFORMED = "malformed"
    MISMATCH = "mismatch"  # SNI, Host and destination name different sites
    PORT = "port"
    OWN_NETWORK = "own_network"  # the gateway is no way to itself or to the LAN
    # blocked because something failed: closed, never open
    FLOOR_UNAVAILABLE = "floor_unavailable"
    FAULT = "fault"
    DEADLINE = "deadline"
    # allowed by policy, but the site could not be reached safely
    UPSTREAM_CERTIFICATE = "upstream_certificate"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"


FAULTS = frozenset({Reason.FLOOR_UNAVAILABLE, Reason.FAULT, Reason.DEADLINE})
"""Reasons that mean the filter closed because it could not answer."""


NEVER_SHOWN = frozenset({Reason.FLOOR, Reason.FLOOR_REPEATED, Reason.ILLEGAL})
"""What such a decision is about may be illegal to view: no bundle that leaves says where it is (ILL-1)."""

NOT_SHOWN = "(not shown: may be illegal to view)"
"""Stands in place of such an address."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens, and everything that explains it.

    `rule` is where the deciding rule stands (`profiles/westways/ks2.yaml:14`), `list`,
    `list_version` and `entry` what named the site; on a floor hit `entry` is empty.
    `floor` is true when a statutory list or category decided. `flagged` events are committed to
    the log before the client sees the outcome. `override` is the number of the grant that opened it, else 0;
    `page` is then the host of the page that it belongs to, where it is open only as a part of one.
    """

    action: Action
    reason: Reason
    because: str
    profile: str
    category: str = ""
    rule: str = ""
    list: str = ""
    list_version: str = ""
    entry: str = ""
    floor: bool = False
    severity: Severity = Severity.INFO
    flagged: bool = False
    policy_version: str = ""
    override: int = 0
    page: str = ""

    @property
    def blocked(self) -> bool:
        """True when the client must not reach the site."""
        return self.action is Action.BLOCK
