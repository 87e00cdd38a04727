"""`appliance people second-factor`: the code beside the password that the pages of cases ask for.

What lives only here: how a secret is shown, once, and that each one made, replaced or taken away is audited.
"""

from __future__ import annotations

from datetime import UTC, datetime

import click

from appliance.cli import people_show as show
from appliance.cli.alerts_desk import moment
from appliance.cli.people_show import People
from appliance.cli.setup import Setup
from appliance.identity.second_factor import SecondFactors
from appliance.model.person import Kind


@click.command("second-factor")
@click.argument("name")
@click.option("--remove", is_flag=True, help="Take it away: NAME cannot come in until there is a new one.")
@click.option("--reason", default="", help="Why it is replaced or taken away: a lost phone.")
@click.pass_obj
def second_factor(setup: Setup, *, name: str, remove: bool, reason: str) -> None:
    """Make the second factor of NAME for the pages of cases (alerts.pages.second_factor: totp).

    Shows a secret once, to be put into an authenticator app on the phone of NAME, who should stand beside
    you: type it there, or make a QR code of the otpauth line on a machine that keeps nothing. Where there is
    one already, --reason says why it is replaced; the old one counts no more, and sessions at the pages end.
    """
    at = People(setup)
    account = at.accounts.get(name)
    factors = SecondFactors(at.database, at.state, setup.settings.identity.rules.limits, at.trail)
    before = factors.since(account.key)
    if before is not None and not reason.strip():
        since = moment(datetime.fromtimestamp(before, UTC))
        raise click.UsageError(f"{account.name} has one since {since}: say why it goes, with --reason")
    if remove:
        if before is None:
            raise click.UsageError(f"{account.name} has no second factor")
        at.trail.add("second-factor-removed", account.name, by=at.by, at=at.now, reason=reason.strip())
        factors.remove(account.key)
        click.echo(f"{show.plain(account.name)}: has no second factor any more", err=True)
        return
    if account.kind is not Kind.STAFF:
        raise click.UsageError(f"{account.name} is no staff account: the pages of cases are for staff alone")
    # First the audit: a secret that nobody can be asked about is not made.
    at.trail.add("second-factor", account.name, by=at.by, at=at.now, reason=reason.strip())
    made = factors.enrol(account.key, account.name, setup.settings.school.name, at.now)
    click.echo(f"secret   {made.secret.reveal()}")
    click.echo(f"for apps {made.uri.reveal()}")
    click.echo("This is shown once. The app's code is asked for at the pages of cases from now on.", err=True)
