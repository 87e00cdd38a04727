"""What the commands about cases work with: the book of the configuration's state folder, and who asks."""

from __future__ import annotations

import getpass
import os
import time
from datetime import datetime

from appliance import alerting, assembly
from appliance.cli.setup import Setup
from appliance.events.audit import Trail
from appliance.handling import Handling, Staff
from appliance.identity.sessions import SCHOOL_ZONE
from appliance.model.profile import ProfileSet


class Desk:
    """The cases, and whoever works on them: with root on the gateway, all of them."""

    def __init__(self, setup: Setup) -> None:
        self.settings = setup.settings
        self._setup = setup
        directory = alerting.directory(self.settings) if self.settings.alerts.deliver else None
        self.handling = Handling(self.settings.state, self._chosen, directory)
        self.book = self.handling.book  # made by the gateway alone: it must be able to read it
        self.now = time.time()
        self.by = os.environ.get("SUDO_USER") or getpass.getuser()
        self.staff = Staff(self.by)

    def note(self, what: str, whom: str, **details: str) -> None:
        """Put what was done into the audit trail."""
        Trail(self.settings.state).add(what, whom, by=self.by, at=self.now, **details)

    def _chosen(self) -> ProfileSet:
        # What is in force, as the keeper has it, and not what is being edited; before the first start, the
        # files.
        store = assembly.snapshots(self.settings)
        current = store.current()
        policy = store.open(current) if current else self._setup.loaded.policy
        return policy.sets[self.settings.school.set]


def moment(at: datetime) -> str:
    """Return a moment as the school's clock showed it."""
    return f"{at.astimezone(SCHOOL_ZONE):%Y-%m-%d %H:%M:%S}"
