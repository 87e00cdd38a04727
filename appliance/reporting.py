"""What supervisor and workers alike say of themselves: to the metrics the known ids, to stderr the rest.

What lives only here: the names of the stages that a request passes, and the form of a line on stderr.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

from appliance.lists.lists import Lists
from appliance.metrics import Metrics
from appliance.model.profile import Policy

STAGES = (
    "client_connected",
    "client_disconnected",
    "http_connect",
    "tls_clienthello",
    "tls_failed_client",
    "server_connect",
    "requestheaders",
    "request",
    "responseheaders",
    "response",
    "error",
    "websocket_message",
    "refused_head",
    "connection",
    "door",
    "splice",
    "ongoing",
    "record",
    "lane",
    "lane_failed",
)
"""Every place in which a request can be judged; a fault is counted by the one it happened in."""


def know(metrics: Metrics, policy: Policy, lists: Lists, feeds: Iterable[str] = ()) -> None:
    """Tell the metrics which ids there are: profiles, categories, lists and their `feeds`, stages."""
    profiles = {profile for chosen in policy.sets.values() for profile in chosen.profiles}
    status = lists.status()
    known_lists = {one.id for one in status.lists} | {one.id for one in status.floor.lists} | set(feeds)
    metrics.know(profiles=profiles, categories=policy.categories.keys(), lists=known_lists, stages=STAGES)


def log_to_stderr() -> None:
    """Send warnings and worse to stderr, where systemd keeps them."""
    logging.basicConfig(
        level=logging.WARNING, format="appliance: %(levelname)s: %(message)s", stream=sys.stderr
    )
