"""What the verbs of `appliance lists` share."""

from __future__ import annotations

import click
import pytest

from appliance.cli.lists_common import readable
from appliance.lists.compiler import CompileError
from appliance.lists.store import StoreError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CompileError("the old table stays"), "the old table stays\n"),
        (StoreError("damaged\x1b[2J"), "damaged\\x1b[2J\n"),
        (PermissionError(13, "Permission denied", "state/lists"), "state/lists: Permission denied\n"),
    ],
)
def test_what_can_be_expected_is_told_in_words(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake ends with 2 and a sentence that cannot steer a terminal, never with a traceback."""
    with pytest.raises(click.exceptions.Exit) as ended, readable():
        raise error
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == said


def test_a_mistake_of_ours_is_not_hidden() -> None:
    """What nobody expects is not passed off as the user's mistake."""
    with pytest.raises(ZeroDivisionError), readable():
        raise ZeroDivisionError
