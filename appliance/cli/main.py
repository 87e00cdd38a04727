"""`appliance`: the group of all verbs, the option `--config` that each has, and how errors are told."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import override

import click

import appliance
from appliance.cli.setup import Setup
from appliance.config.problems import InWordsError

VERBS = (
    *("run", "check", "explain", "inspect", "people", "overrides", "alerts"),
    *("selftest", "lists", "log", "report", "changes", "audit", "ca"),
)
"""The verbs, in the order in which a technician meets them; each stands in the file of its name."""

CANNOT = 2
"""Exit status when the command could not start or read."""


def _take_config(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    setup = context.find_root().ensure_object(Setup)
    if value is not None:
        setup.config = value


def _config_option() -> click.Option:
    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=_take_config,
        help="Configuration file. Default: deploy/demo.yaml. The variable APPLIANCE_STATE moves the state.",
    )


class _Verbs(click.Group):
    """The verbs, each loaded when it is called: `run` must not wait for what only `lists` needs."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f"appliance.cli.{cmd_name}"), cmd_name)
        for leaf in _leaves(command):
            if not any(option.name == "config" for option in leaf.params):
                leaf.params.append(_config_option())
        return command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(appliance.__version__, prog_name="appliance")
def cli() -> None:
    """The school gateway: judges what is asked of the web, by age and rule, and says why.

    Begin with `run`, and ask `explain` why something is open or closed. After each edit: `check`.

    Exit status: 0 good, 1 found something (a problem, no entry), 2 cannot start or read.
    """


cli.params.append(_config_option())


def _leaves(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _leaves(child)


def main() -> None:
    """Run the command line; the entry point of the installed program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name of a file or site breaks the output
    try:
        sys.exit(run_cli(sys.argv[1:]))
    except BrokenPipeError:
        # The reader has gone (`| head`); Python would complain once more while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def run_cli(arguments: list[str]) -> int:
    """Run one command and return its exit status; problems are told on stderr, without a traceback."""
    try:
        # Not `cli.main`: it would take a reader that has gone (`| head`) for a finding, and exit with 1.
        with cli.make_context("appliance", list(arguments)) as context:
            result = cli.invoke(context)
    except click.exceptions.Exit as leave:  # --help and --version
        return leave.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt, EOFError):
        click.echo("appliance: stopped", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return CANNOT
    except InWordsError as error:
        click.echo(str(error), err=True)
        return CANNOT
    except BrokenPipeError:
        raise
    except OSError as error:
        click.echo(f"appliance: {error.filename or ''}: {error.strerror or error}", err=True)
        return CANNOT
    return result if isinstance(result, int) else 0
