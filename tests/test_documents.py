"""Documents are tested: every make target, command, metric and setting is explained where people look for it.

What lives only here: where that is. Other tests keep the tables in the README true.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import click
import pytest

from tests.test_house import ROOT, complain, read


def verbs(command: click.Command, name: str) -> Iterator[str]:
    """Yield every command line that somebody can type, down to the last verb."""
    if not isinstance(command, click.Group):
        yield name
        return
    context = click.Context(command)
    for verb in command.list_commands(context):
        below = command.get_command(context, verb)
        assert below is not None
        yield from verbs(below, f"{name} {verb}")


def test_the_readme_names_every_make_target() -> None:
    """What can be made can be found."""
    targets = re.findall(r"^([a-z]+):.*##", read("Makefile"), re.MULTILINE)
    assert "test" in targets
    missing = [f"make {name}" for name in targets if f"make {name}" not in read("README.md")]
    complain(missing, "not in README.md")


def test_the_readme_names_every_room() -> None:
    """Whoever looks for the place where something is done finds it in one table."""
    rooms = [path for path in (ROOT / "appliance").iterdir() if not path.name.startswith("_")]
    names = [f"`appliance/{path.name}`" for path in rooms]
    complain([name for name in names if name not in read("README.md")], "not in README.md")


@pytest.mark.slow
def test_the_readme_names_every_command() -> None:
    """A command that nobody can find was not written."""
    cli = importlib.import_module("appliance.cli.main").cli
    complain([verb for verb in verbs(cli, "appliance") if verb not in read("README.md")], "not in README.md")


def test_the_readme_names_every_metric() -> None:
    """A technician who sees a metric can look up what it means."""
    metrics = importlib.import_module("appliance.metrics").METRICS
    complain([name for name in metrics if name not in read("README.md")], "not in README.md")


def test_every_key_of_the_settings_is_explained() -> None:
    """A technician edits the settings file with nothing else open."""
    lines = [line for line in read("deploy/appliance.yaml").splitlines() if line.strip()]
    explained: dict[str, bool] = {}
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if match := re.match(r"\s*(?:- )?([a-z_0-9]+):\s*(\S)?", line):
            section = not match[2] and after.strip().startswith("#")  # its keys are explained one by one
            here = section or " #" in line or before.strip().startswith("#")
            explained[match[1]] = explained.get(match[1], False) or here
    assert explained
    complain([key for key, told in explained.items() if not told], "deploy/appliance.yaml: no comment at")


def test_the_firewall_redirects_to_where_the_gateway_listens() -> None:
    """Two files that name one port differently would leave a school without the web, or without a filter."""
    rules = dict(re.findall(r"^define (\w+_port) = (\d+)", read("deploy/nftables/gateway.nft"), re.MULTILINE))
    gateway = read("deploy/appliance.yaml").partition("\ngateway:")[2]
    ports = re.findall(r"^  (listen|transparent): \S*:(\d+)\"?$", gateway, re.MULTILINE)[:2]
    assert ports == [("listen", rules["explicit_port"]), ("transparent", rules["transparent_port"])]
