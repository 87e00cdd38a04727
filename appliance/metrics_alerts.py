"""What the metrics say of alerts: how many reached somebody, how many wait, and how precise the rules are.

What lives only here: the names of these metrics, and the rule that their labels are ids of the rules or of
a closed set; the rest of `metrics` joins them with the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge

CHANNELS: Final = ("mail", "webhook", "syslog")

ALERT_SPECS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "gateway_alerts_sent_total": ("counter", "Messages of alerts that the other side took.", ("channel",)),
    "gateway_alert_failures_total": ("counter", "Tries to send an alert that failed.", ("channel",)),
    "gateway_alerts_waiting": ("livemostrecent", "Messages of alerts that wait to be sent.", ()),
    "gateway_alerts_oldest_seconds": (
        "livemostrecent",
        "How long the oldest message that is not sent has waited.",
        (),
    ),
    "gateway_alerts_undelivered": ("livemostrecent", "Messages that were refused, or given up.", ()),
    "gateway_alerts_without_recipient": (
        "livemostrecent",
        "Alerts that wait because nobody who may be told has confirmed.",
        (),
    ),
    "gateway_alerts_unacknowledged": ("livemostrecent", "Cases that nobody has acknowledged.", ()),
    "gateway_alert_answers": (
        "livemostrecent",
        "Cases of a rule that staff called useful, or not.",
        ("rule", "useful"),
    ),
    "gateway_alerts_last_look_timestamp_seconds": (
        "livemostrecent",
        "When flagged accesses were last looked at, as Unix time: alerts have stopped if it stands still.",
        (),
    ),
}
"""Each metric: how it is counted or joined, what it says, its labels."""


class AlertMetrics:
    """The part of `Metrics` that alerts are told to."""

    def alert_sent(self, channel: str, seconds: float) -> None:  # noqa: ARG002 - for whoever measures it
        """Count one message that was taken, `seconds` after it was put in."""
        self._counter("gateway_alerts_sent_total", _channel(channel)).inc()

    def alert_failed(self, channel: str) -> None:
        """Count one try that failed."""
        self._counter("gateway_alert_failures_total", _channel(channel)).inc()

    def alerts_looked(self, now: float) -> None:
        """Note that flagged accesses were looked at (Unix time)."""
        self._gauge("gateway_alerts_last_look_timestamp_seconds").set(now)

    def alerts_standing(
        self, *, waiting: int, oldest: float, undelivered: int, without_recipient: int, unacknowledged: int
    ) -> None:
        """Note how alerts stand; `oldest` is in seconds."""
        self._gauge("gateway_alerts_waiting").set(waiting)
        self._gauge("gateway_alerts_oldest_seconds").set(oldest)
        self._gauge("gateway_alerts_undelivered").set(undelivered)
        self._gauge("gateway_alerts_without_recipient").set(without_recipient)
        self._gauge("gateway_alerts_unacknowledged").set(unacknowledged)

    def alert_answers(self, rule: str, useful: int, useless: int) -> None:
        """Note what staff said of one rule's alerts."""
        for word, count in (("yes", useful), ("no", useless)):
            self._gauge("gateway_alert_answers", self._id("rule", rule), word).set(count)

    if TYPE_CHECKING:

        def _id(self, kind: str, text: str) -> str: ...
        def _counter(self, name: str, *labels: str) -> Counter: ...
        def _gauge(self, name: str, *labels: str) -> Gauge: ...


def _channel(text: str) -> str:
    return text if text in CHANNELS else "other"
