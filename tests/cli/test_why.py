from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from appliance.cli.why import why


@pytest.mark.parametrize("word", ["because", "reason"])
def test_both_words_are_taken_and_one_is_shown_first(word: str) -> None:
    """Whoever remembers the word of another verb is understood."""

    @click.command()
    @why("Why.", word, required=True)
    def verb(**said: str) -> None:
        click.echo(said[word])

    for option in ("--because", "--reason"):
        assert CliRunner().invoke(verb, [option, "a lesson"]).output == "a lesson\n"
    assert f"  --{word}, --" in CliRunner().invoke(verb, ["--help"]).output
    assert CliRunner().invoke(verb, []).exit_code == 2


def test_where_nothing_need_be_said_nothing_is() -> None:
    """A verb that needs no reason gets an empty one."""

    @click.command()
    @why("Why.")
    def verb(because: str) -> None:
        click.echo(f"[{because}]")

    assert CliRunner().invoke(verb, []).output == "[]\n"
