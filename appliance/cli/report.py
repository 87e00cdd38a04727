"""`appliance report`: figures for those who answer for the school, and bundles that may leave the gateway."""

from __future__ import annotations

import click

from appliance.cli.report_people import OF_PEOPLE


@click.group()
def report() -> None:
    """Reports, one person's own data, and what is past its days."""


for command in OF_PEOPLE:
    report.add_command(command)
