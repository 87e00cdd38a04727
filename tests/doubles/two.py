"""A school in which two people change the policy: their accounts, their passwords, and what they type."""

from __future__ import annotations

from pathlib import Path

from appliance import assembly
from appliance.cli.main import run_cli
from appliance.cli.setup import Setup
from appliance.model.person import Kind
from tests.doubles.people import WORD, school

WHY = "Year 5 plays it in the lesson about money."
RULE = "rules:\n  gambling: {rating: acceptable, because: A lesson about money., source: W:472}\n"


class Typed:
    """Standard input with a password."""

    def readline(self) -> str:
        """Return it."""
        return f"{WORD.reveal()}\n"


def set_up(made: Setup, *more: str) -> Setup:
    """Let two people change the policy of a school, with one version of it in force."""
    people = school(made.state)
    for name in ("tech", "head", "dsl", *more):
        people.add(name, Kind.STAFF, group="staff")
    people.add("amy")
    assembly.snapshots(made.settings).publish()
    text = made.config.read_text()
    made.config.write_text(f"{text}changes: {{approval: two, approvers: [Head, amy, tech, dsl]}}\n")
    anew = Setup()
    anew.config = made.config
    return anew


def run(made: Setup, *arguments: str, who: str = "") -> int:
    """Call `appliance changes` as somebody."""
    person = ["--as", who, "--stdin"] if who else []
    return run_cli(["changes", *arguments, *person, "--config", str(made.config)])


def call(made: Setup, *arguments: str) -> int:
    """Call any verb."""
    return run_cli([*arguments, "--config", str(made.config)])


def loosen(made: Setup) -> Path:
    """Edit the profiles: pupils may gamble."""
    path = made.config.parent / "profiles" / "westways" / "ks2.yaml"
    path.write_text(path.read_text() + RULE)
    return path


def in_force(made: Setup) -> str:
    """Return the version of the policy in force."""
    return assembly.snapshots(made.settings).current()
