"""What the verbs of `appliance lists` share: what they need of the settings, and how they end.

What lives only here: the exit statuses, and which errors are told in words. 0: done, or answered (also when
the answer is that no list names the address); 1: something is wrong with the lists; 2: not done, or not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import click

from appliance.cli.lists_show import plain
from appliance.config.problems import InWordsError
from appliance.lists.compiler import Compiled, ensure_compiled
from appliance.lists.lists import Lists

DONE, FOUND, FAILED = 0, 1, 2


class Where(Protocol):
    """What these verbs need of the settings, as `ctx.obj`."""

    @property
    def state(self) -> Path:
        """The folder of everything that is written."""

    @property
    def blocklists(self) -> Path:
        """The folder of the catalogue."""

    @property
    def floor_max_age_hours(self) -> float:
        """Age at which the statutory lists are stale."""

    @property
    def approval_of_two(self) -> bool:
        """Whether what loosens the policy needs a second person."""

    def note(self, what: str, whom: str, **details: str | float | None) -> None:
        """Put what was done into the audit."""


class TwoPeopleError(InWordsError):
    """What one person may not do alone; the text says how two do it."""


def need_two(where: Where, what: str, how: str) -> None:
    """Refuse what could loosen, where two people change the policy; `how` is what to propose instead."""
    if where.approval_of_two:
        raise TwoPeopleError(
            f"two people {what} (changes.approval: two): `appliance changes propose {how} --because ...`"
        )


low_memory = click.option(
    "--low-memory", is_flag=True, help="Compile in small parts: on a machine with 1 GB; takes longer."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for a program.")


def opened(where: Where) -> Lists:
    """Open the compiled lists as they are."""
    return Lists.open(where.blocklists, where.state, where.floor_max_age_hours)


def compile_all(where: Where, *, low_memory: bool = False) -> Compiled:
    """Compile what is due, and say so: with millions of names it takes a while."""
    click.echo("Compiling the lists ...", err=True)
    return ensure_compiled(where.blocklists, where.state, low_memory=low_memory)


@contextmanager
def readable() -> Iterator[None]:
    """Turn what can be expected to go wrong into a message and exit status 2."""
    try:
        yield
    except InWordsError as error:
        click.echo(plain(str(error), keep="\n"), err=True)
    except OSError as error:
        click.echo(f"{error.filename or ''}: {error.strerror or error}", err=True)
    else:
        return
    raise click.exceptions.Exit(FAILED)
