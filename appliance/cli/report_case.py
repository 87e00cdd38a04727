"""`appliance report case`: one case for the safeguarding file (CPOMS, MyConcern), encrypted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from appliance import case_files
from appliance.cli.report_people import hand_over, handing_over
from appliance.cli.setup import Setup


@click.command()
@click.argument("reference")
@handing_over
@click.pass_obj
def case(setup: Setup, *, reference: str, to: Path, purpose: str, folder: bool, typed: bool) -> None:
    """Write one case into an encrypted archive: a summary as PDF, and what was seen and done as CSV.

    For the school's safeguarding records. Of illegal material there is time, person and device, and nothing
    by which it could be found. Send the password another way than the file.
    """
    found = case_files.case(setup.settings, reference, datetime.now(UTC))
    hand_over(
        setup, found.files, to, "case-export", found.reference, purpose=purpose, folder=folder, typed=typed
    )
