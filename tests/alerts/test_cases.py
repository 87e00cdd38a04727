"""What staff do with a case."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from appliance.alerts import cases
from appliance.alerts.book import AlertsError
from tests.doubles.alerts import DSL, MONDAY, book, happen, rule, rules, sighting

NOW = MONDAY.timestamp()


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["A-00001", "a-1", "A00001", "1", " a-00001 "])
def test_a_reference_is_found_as_people_type_it(tmp_path: Path, typed: str) -> None:
    """It is read out over the telephone."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    with made.reading() as db:
        assert cases.find(db, typed).reference == "A-00001"


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["", "A-2", "0", "Ada", "1; DROP TABLE episode", "9" * 30])
def test_anything_else_is_no_case(tmp_path: Path, typed: str) -> None:
    """A slip of the finger shows nobody else's case."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    with made.reading() as db, pytest.raises(AlertsError, match="there is no case"):
        cases.find(db, typed)


def test_a_case_keeps_who_did_what(tmp_path: Path) -> None:
    """Incidents are documented: what was seen, who was told, who took it, what came of it (S-43)."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting(7))
    with made.writing() as db:
        cases.acknowledge(db, "1", "mrs lead", NOW)
        cases.note(db, "1", "mrs lead", "spoke to her mother", NOW + 1)
        cases.close(db, "1", "mrs lead", "with the school nurse", NOW + 2)
        found = cases.find(db, "1")
        assert (found.state, found.by, found.outcome) == ("closed", "mrs lead", "with the school nurse")
        assert [text for _, _, text in cases.notes(db, 1)] == [
            "acknowledged",
            "spoke to her mother",
            "closed: with the school nurse",
        ]
        assert [(ref, category) for _, ref, category in cases.hits(db, 1)] == [("REF-00007", "self_harm")]
        assert [(to, state) for _, _, to, state, _ in cases.sent(db, 1)] == [(DSL, "waiting")]
        assert cases.rules(db, 1) == ["harm"]
        with pytest.raises(AlertsError, match="closed already"):
            cases.acknowledge(db, "1", "mr head", NOW)


def test_after_a_case_is_closed_a_new_one_begins(tmp_path: Path) -> None:
    """What happens after the talk is not hidden in the case before it."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting())
    with made.writing() as db:
        cases.close(db, "1", "dsl", "done", NOW)
    assert happen(made, rules(), sighting(1, minutes=5)) == [("A-00002", "alert", "dsl")]


def test_the_list_shows_what_is_open_and_was_told(tmp_path: Path) -> None:
    """What nobody was told of is kept for counting, and is not work."""
    made = book(tmp_path, DSL)
    some = rules(rule(themes=frozenset({"self_harm"})))
    happen(made, some, sighting(), sighting(1, "gambling"))
    with made.reading() as db:
        assert [case.theme for case in cases.cases(db)] == ["self_harm"]
        assert [case.told for case in cases.cases(db, everything=True)] == [True, False]


@pytest.mark.slow
def test_a_rule_that_cries_wolf_is_named_once_there_are_enough_answers(tmp_path: Path) -> None:
    """A vendor said itself that 99 of 100 triggers were false: here it is measured, rule by rule."""
    made = book(tmp_path, DSL)
    for number in range(6):
        happen(made, rules(rule("wolf")), sighting(number, who=f"P{number}"))
        with made.writing() as db:
            cases.judge(db, str(number + 1), useful=number == 0)
        with made.reading() as db:
            assert cases.precision(db)[0].poor is (number >= 4)
    with made.writing() as db:
        assert cases.precision(db) == [cases.Precision("wolf", 1, 5)]
        cases.judge(db, "2", useful=True)
        assert cases.precision(db)[0].useful == 2


def test_old_cases_go_and_those_on_hold_stay(tmp_path: Path) -> None:
    """What has served its purpose goes (DP-2); what is evidence stays (S-60)."""
    made = book(tmp_path, DSL)
    happen(made, rules(), sighting(), sighting(1, who="Held"), sighting(2, who="New", minutes=60 * 24 * 40))
    with made.writing() as db:
        later = (MONDAY + timedelta(days=60)).timestamp()
        assert cases.forget(db, later, 30 * 86_400.0, frozenset({"name Held"})) == 1
        assert [case.subject for case in cases.cases(db, everything=True)] == ["name Held", "name New"]
        assert db.execute("SELECT count(*) FROM hit").fetchone() == (2,)
