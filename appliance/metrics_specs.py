"""The name of every metric, its kind, what it says, and its labels.

What lives only here: these names. They follow Prometheus' own naming rules (unit and `_total` at the end).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from appliance.metrics_alerts import ALERT_SPECS


class Spec(NamedTuple):
    """One metric. `mode` is "counter", "histogram", or how a gauge of several processes is joined."""

    mode: str
    help: str
    labels: tuple[str, ...] = ()


SPECS: Mapping[str, Spec] = {
    "gateway_requests_total": Spec(
        "counter", "Requests judged, by what was decided.", ("profile", "category", "action", "reason")
    ),
    "gateway_decision_seconds": Spec("histogram", "Time that one decision took."),
    "gateway_added_latency_seconds": Spec(
        "histogram", "Time that the gateway added to one request, recording included."
    ),
    "gateway_faults_closed_total": Spec(
        "counter", "Requests blocked because the filter could not answer.", ("reason", "stage")
    ),
    "gateway_connections_total": Spec("counter", "Connections accepted from clients."),
    "gateway_incomplete_requests_total": Spec("counter", "Requests that their client never finished."),
    "gateway_unread_connections_total": Spec(
        "counter", "Encrypted connections passed on unread, by how they ended: over, cut, failed.", ("end",)
    ),
    "gateway_unread_bytes_total": Spec(
        "counter", "Bytes of such connections that have ended, up and down.", ("direction",)
    ),
    "gateway_handshakes_failed_total": Spec(
        "counter",
        "Clients that broke off at our certificate, by why: distrusted, left, other.",
        ("why",),
    ),
    "gateway_reviews_total": Spec("counter", 'Review requests ("I think this is a mistake") received.'),
    "gateway_list_entries": Spec("livemostrecent", "Entries in force of a list.", ("list",)),
    "gateway_list_age_seconds": Spec("livemostrecent", "Time since a list was made.", ("list",)),
    "gateway_floor_state": Spec(
        "livemostrecent", "1 for the state that a statutory list is in, else 0.", ("list", "state")
    ),
    "gateway_floor_mode": Spec(
        "livemostrecent",
        "1 for how a statutory list is held: development, upstream or supplied.",
        ("list", "mode"),
    ),
    "gateway_list_update_failures_total": Spec(
        "counter", "Updates that failed; what was in force stayed.", ("list",)
    ),
    "gateway_list_last_update_success_timestamp_seconds": Spec(
        "livemostrecent", "When a feed was last found or made current, as Unix time.", ("list",)
    ),
    "gateway_floor_development": Spec(
        "livemostrecent", "1 when the statutory lists are synthetic: this is not compliance (DFE-F3)."
    ),
    "gateway_event_queue_length": Spec("livesum", "Ordinary events that wait to be written to the log."),
    "gateway_event_commit_seconds": Spec("histogram", "Time to put flagged events safely on the disk."),
    "gateway_events_spilled_total": Spec(
        "counter", "Flagged events kept in the spill file, because the database did not take them."
    ),
    "gateway_events_dropped_total": Spec(
        "counter", "Ordinary events not recorded, because the log did not keep up."
    ),
    "gateway_workers_running": Spec("livemostrecent", "Worker processes alive now."),
    "gateway_worker_up": Spec("livemostrecent", "1 when the worker in this place is alive.", ("worker",)),
    "gateway_worker_restarts_total": Spec("counter", "Workers started again after they died."),
    "gateway_worker_renewals_total": Spec(
        "counter", "Workers replaced while they served, by why: age or memory.", ("why",)
    ),
    "gateway_radius_packets_total": Spec(
        "counter", "RADIUS accounting packets, by what became of them.", ("outcome",)
    ),
    "gateway_event_loop_lag_seconds": Spec("livemax", "How late the busiest worker's event loop runs."),
    "gateway_config_reload_failures_total": Spec("counter", "Edits of the configuration refused as broken."),
    "gateway_config_last_reload_successful": Spec("livemostrecent", "1 when the last edit was taken up."),
    "gateway_config_last_reload_success_timestamp_seconds": Spec(
        "livemostrecent", "When the configuration in force was read, as Unix time."
    ),
    **{name: Spec(*spec) for name, spec in ALERT_SPECS.items()},
}
