"""Sightings become episodes: hits of one person and theme, told once, and again when it becomes worse.

What lives only here: when an episode begins, grows, and must be told. A new theme is an episode of its own;
a higher severity is told whatever was told or muted before; what was seen twice (from the spill file and
from the log) counts once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from appliance.alerts import routing
from appliance.alerts.routing import Within
from appliance.model.alerting import SELF_REPORT, Alerting, AlertRule, Sighting, Theme
from appliance.model.category import Severity

UNTOLD = -1
"""The level of an episode of which nobody was told."""

KEPT_HITS = 100
"""References that an episode keeps; it counts on beyond them."""

_MINUTE, _DAY = 60.0, 86_400.0

LONGEST_QUIET = 84 * _DAY
"""Seconds for which a theme of somebody can be made quiet: about a term. What lies further ahead was noted by
a clock that was wrong, and counts for nothing."""


@dataclass(frozen=True, slots=True)
class Means:
    """What is needed to judge sightings: the rules, and how times of day are read."""

    alerting: Alerting
    within: Within


def take(db: sqlite3.Connection, sightings: Iterable[Sighting], means: Means, now: datetime) -> int:
    """Put sightings into episodes, and note who must be told; return how many were new.

    Within the caller's transaction. `now` is when somebody is told, and may be later than what was seen.
    """
    new = 0
    for sighting in sightings:
        moment = sighting.at.timestamp()
        fresh = db.execute("INSERT OR IGNORE INTO seen (key, time) VALUES (?, ?)", (sighting.key, moment))
        if not fresh.rowcount:
            continue
        new += 1
        theme = _theme(sighting, means.alerting)
        if theme is not None:
            _Taking(db, sighting, theme, means, now).take()
    return new


def _theme(sighting: Sighting, alerting: Alerting) -> Theme | None:
    if sighting.report:
        return alerting.themes.get(SELF_REPORT)
    return alerting.theme_of(sighting.category, sighting.reason)


class _Taking:
    """One sighting on its way into an episode."""

    def __init__(
        self, db: sqlite3.Connection, sighting: Sighting, theme: Theme, means: Means, now: datetime
    ) -> None:
        self._db = db
        self._sighting = sighting
        self._theme = theme
        self._means = means
        self._now = now
        self._at = sighting.at.timestamp()
        self._whom = (sighting.subject, theme.id)
        self._begun = False

    def take(self) -> None:
        minute = int(self._at // _MINUTE)
        self._db.execute(
            "INSERT INTO tally VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (*self._whom, minute),
        )
        episode, count, told = self._episode()
        if count <= KEPT_HITS:
            self._db.execute(
                "INSERT INTO hit (episode, at, reference, category) VALUES (?, ?, ?, ?)",
                (episode, self._at, self._sighting.reference, self._sighting.category),
            )
        alerting, fired = self._means.alerting, dict[str, int]()
        if not self._begun:
            fired = dict(self._db.execute("SELECT rule, level FROM fired WHERE episode = ?", (episode,)))
        for rule in alerting.rules:
            level = routing.level(rule, self._sighting)
            if level > fired.get(rule.id, UNTOLD) and routing.fits(
                rule, self._sighting, self._theme, alerting, self, self._means.within
            ):
                told = max(told, self._fire(episode, rule, level))
        self._db.execute("UPDATE episode SET level = ? WHERE id = ? AND level < ?", (told, episode, told))

    # What the rules ask of the past (routing.Past).

    def sightings(self, minutes: int) -> int:
        # The most within any such span that holds this one: what spilled is met after what came later, and a
        # clock that was set back puts what follows before what was.
        here = int(self._at // _MINUTE)
        query = """SELECT max((SELECT total(count) FROM tally u WHERE u.subject = t.subject
            AND u.theme = t.theme AND u.minute > t.minute - ? AND u.minute <= t.minute))
            FROM tally t WHERE subject = ? AND theme = ? AND minute >= ? AND minute < ?"""
        found = self._db.execute(query, (minutes, *self._whom, here, here + minutes)).fetchone()
        return int(found[0] or 0)

    def episodes(self, days: int, least: Severity) -> int:
        query = "SELECT count(*) FROM episode WHERE subject = ? AND last >= ? AND severity >= ?"
        values = (self._sighting.subject, self._at - days * _DAY, int(least))
        return int(self._db.execute(query, values).fetchone()[0])

    def first(self) -> bool:
        query = "SELECT count(*) FROM episode WHERE subject = ? AND theme = ?"
        return int(self._db.execute(query, self._whom).fetchone()[0]) == 1

    def _episode(self) -> tuple[int, int, int]:
        # The one that this belongs to, or a new one: its number, how many hits it has, and what was told.
        window = self._means.alerting.window_minutes * _MINUTE
        found = self._db.execute(
            """SELECT id, count, level FROM episode
                WHERE subject = ? AND theme = ? AND last >= ? AND first <= ?
                AND state != 'closed' ORDER BY last DESC LIMIT 1""",
            (*self._whom, self._at - window, self._at + window),
        ).fetchone()
        severity = int(self._sighting.severity)
        if found is not None:
            self._db.execute(
                """UPDATE episode SET count = count + 1, severity = max(severity, ?), first = min(first, ?),
                    last = max(last, ?) WHERE id = ?""",
                (severity, self._at, self._at, found[0]),
            )
            return found[0], found[1] + 1, found[2]
        self._begun = True
        row = self._db.execute(
            """INSERT INTO episode (subject, theme, title, "group", severity, level, count, first, last,
                state, by, outcome) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, 'open', '', '')""",
            (*self._whom, self._theme.title, self._sighting.group, severity, UNTOLD, self._at, self._at),
        )
        return int(row.lastrowid or 0), 1, UNTOLD

    def _fire(self, episode: int, rule: AlertRule, level: Severity) -> int:
        self._db.executemany(
            "INSERT OR IGNORE INTO reader VALUES (?, ?)", [(episode, role) for role in rule.tell]
        )
        muted = self._db.execute(
            "SELECT 1 FROM mute WHERE subject = ? AND theme = ? AND level >= ? AND until > ? AND until <= ?",
            (*self._whom, int(level), self._at, self._at + LONGEST_QUIET),
        ).fetchone()
        if muted:  # not noted as told by this rule: what goes on when the quiet is over is told then
            return UNTOLD
        self._db.execute("INSERT OR REPLACE INTO fired VALUES (?, ?, ?)", (episode, rule.id, int(level)))
        due = routing.send_at(rule, self._means.alerting.hours, self._now, self._means.within)
        self._db.execute("DELETE FROM duty WHERE episode = ? AND rule = ?", (episode, rule.id))
        self._db.execute(
            """INSERT INTO duty (episode, rule, level, tell, step, told, patience, due)
                VALUES (?, ?, ?, ?, 0, 0, ?, ?)""",
            (
                episode,
                rule.id,
                int(level),
                " ".join(rule.tell),
                rule.acknowledge_minutes * _MINUTE,
                due.timestamp(),
            ),
        )
        # What is told again must be looked at again, also where it was acknowledged before.
        self._db.execute(
            """UPDATE episode SET state = 'open'
                WHERE id = ? AND state IN ('acknowledged', 'in hand') AND level < ?""",
            (episode, int(level)),
        )
        return int(level)
