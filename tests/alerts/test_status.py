"""How alerts stand."""

from __future__ import annotations

from pathlib import Path

from appliance.alerts import outbox
from appliance.alerts.cases import acknowledge
from appliance.alerts.redact import What
from appliance.alerts.status import standing
from tests.doubles.alerts import DEPUTY, DIRECTORY, DSL, HEAD, MONDAY, book, happen, rules, sighting

NOW = MONDAY.timestamp()


def test_what_does_not_work_is_named(tmp_path: Path) -> None:
    """Whoever asks sees who is not confirmed, what waits, since when and why."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    with made.writing() as db:
        found = standing(db, DIRECTORY, NOW + 5)
        assert (found.waiting, found.oldest, found.unacknowledged) == (1, 5.0, 1)
        assert found.unconfirmed == (DEPUTY, HEAD)
        assert not found.good
        outbox.failed(db, outbox.due(db, NOW, "")[0], "450 later", NOW, final=False)
        (stuck,) = standing(db, DIRECTORY, NOW + 5).stuck
        assert (stuck.address, stuck.state, stuck.error) == (DSL, "waiting", "450 later")


def test_an_alert_that_has_nobody_is_counted(tmp_path: Path) -> None:
    """It is not lost, and it must not look as if all were well."""
    made = book(tmp_path)
    happen(made, rules(), sighting())
    with made.reading() as db:
        assert standing(db, DIRECTORY, NOW).without_recipient == 1


def test_all_is_well_when_everybody_can_be_told(tmp_path: Path) -> None:
    """A check that is never green is never looked at."""
    made = book(tmp_path, DSL, DEPUTY, HEAD)
    with made.reading() as db:
        assert standing(db, DIRECTORY, NOW).good


def test_what_was_refused_long_ago_and_is_nobodys_business_is_not_red_for_ever(tmp_path: Path) -> None:
    """A refusal counts until its case is acknowledged, or a later message was taken there, or a week."""
    made = book(tmp_path, DSL, DEPUTY, HEAD)
    happen(made, rules(), sighting())
    with made.writing() as db:
        outbox.add(db, "test|1", What.TEST, ("mail", HEAD), NOW)
        for letter in outbox.due(db, NOW, ""):
            outbox.failed(db, letter, "550 no", NOW, final=True)
        assert standing(db, DIRECTORY, NOW).undelivered == 2
        assert standing(db, DIRECTORY, NOW + 8 * 86_400).undelivered == 1
        acknowledge(db, "A-1", "deputy", NOW)
        assert [one.address for one in standing(db, DIRECTORY, NOW).stuck] == [HEAD]
        outbox.add(db, "test|2", What.TEST, ("mail", HEAD), NOW + 1)
        outbox.sent(db, outbox.due(db, NOW + 1, "")[0], NOW + 1)
        assert standing(db, DIRECTORY, NOW + 2).good
