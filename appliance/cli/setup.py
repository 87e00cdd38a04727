"""What every verb may ask for: the configuration, read when it is first needed."""

from __future__ import annotations

import getpass
import os
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import appliance

if TYPE_CHECKING:
    from appliance.assembly import Loaded
    from appliance.identity.passwords import Passwords
    from appliance.settings import Settings

DEFAULT_CONFIG = Path("deploy/demo.yaml")
_REPOSITORY = Path(appliance.__file__).resolve().parent.parent


class Setup:
    """What every verb may ask for; read when it is first needed, so that `--help` needs no files."""

    def __init__(self) -> None:
        self.config = default_config()

    @cached_property
    def loaded(self) -> Loaded:
        """The configuration with its policy; ProblemsError if either is wrong."""
        from appliance import assembly  # noqa: PLC0415 - joins all rooms: not every verb needs them

        return assembly.load(self.config)

    @cached_property
    def to_run(self) -> Loaded:
        """The same for `run`: with the last good policy where an edit is broken."""
        from appliance import assembly  # noqa: PLC0415 - as above

        return assembly.load_to_run(self.config)

    @cached_property
    def counting(self) -> Loaded:
        """The same with the policy that is in force, where edits of it wait for a second person."""
        from appliance import assembly  # noqa: PLC0415 - as above

        return assembly.counting(self.loaded)

    @cached_property
    def settings(self) -> Settings:
        """The configuration alone: list and log commands must work while a profile is broken."""
        from appliance.settings import load_settings  # noqa: PLC0415 - `--help` needs none

        return load_settings(self.config).settings

    @cached_property
    def passwords(self) -> Passwords:
        """What compares passwords, and makes hashes of them."""
        from appliance.identity.passwords import Passwords  # noqa: PLC0415 - `--help` needs none

        return Passwords()

    @property
    def state(self) -> Path:
        """The folder for everything that is written."""
        return self.settings.state

    @property
    def blocklists(self) -> Path:
        """The folder with the catalogue of lists."""
        return self.settings.blocklists

    @property
    def floor_max_age_hours(self) -> float:
        """Age at which a floor list closes the gate, in hours."""
        return self.settings.floor_max_age_hours

    @property
    def list_updates(self) -> tuple[str, ...]:
        """The downloads that are kept up to date."""
        return self.settings.lists.updates

    @property
    def own_domains(self) -> tuple[str, ...]:
        """The school's own sites."""
        return self.settings.school.domains

    @property
    def update_memory_megabytes(self) -> int:
        """How much memory the build of an update may use."""
        return self.settings.lists.update_memory_megabytes

    @property
    def by(self) -> str:
        """Who calls the command, as the audit names them: whoever called sudo, not root."""
        return os.environ.get("SUDO_USER") or getpass.getuser()

    @property
    def approval_of_two(self) -> bool:
        """Whether what loosens the policy needs a second person."""
        return self.settings.changes.approval == "two"

    def note(self, what: str, whom: str, **details: str | float | None) -> None:
        """Put what was done into the audit; OSError, or an error in words, where it cannot be."""
        from appliance.events.audit import Trail  # noqa: PLC0415 - `--help` needs none

        Trail(self.state).add(what, whom, by=self.by, at=time.time(), **details)


def default_config() -> Path:
    """Return the file that counts where no --config is given."""
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else _REPOSITORY / DEFAULT_CONFIG
