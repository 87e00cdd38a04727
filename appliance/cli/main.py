"""`appliance`: the group of all verbs, the option `--config` that each has, and how errors are told."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import appliance
from appliance.cli.check import check
from appliance.cli.explain import explain
from appliance.cli.inspect import inspect
from appliance.cli.lists import lists
from appliance.cli.log import log
from appliance.cli.run import run
from appliance.cli.setup import Setup
from appliance.config.problems import ProblemsError
from appliance.lists.compiler import CompileError

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
        help="Configuration file (default: deploy/demo.yaml). APPLIANCE_STATE moves what is written.",
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(appliance.__version__, prog_name="appliance")
def cli() -> None:
    """The school gateway: judges what is asked of the web, by age and rule, and says why.

    Exit status: 0 good, 1 found something (a problem, no entry), 2 cannot start or read.
    """


def _leaves(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _leaves(child)


def _add_verbs() -> None:
    for command in (run, check, explain, inspect, lists, log):
        cli.add_command(command)
    for command in _leaves(cli):
        command.params.append(_config_option())


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
    except (ProblemsError, CompileError) as error:
        click.echo(str(error), err=True)
        return CANNOT
    except BrokenPipeError:
        raise
    except OSError as error:
        click.echo(f"appliance: {error.filename or ''}: {error.strerror or error}", err=True)
        return CANNOT
    return result if isinstance(result, int) else 0


_add_verbs()
