"""What is one episode, and when somebody is told again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.alerts.book import AlertsError, Book
from appliance.alerts.cases import cases, close
from appliance.model.alerting import Sighting
from appliance.model.category import Severity
from tests.doubles.alerts import DEPUTY, DSL, HEAD, MONDAY, book, happen, rule, rules, sighting


@pytest.fixture
def kept(tmp_path: Path) -> Book:
    return book(tmp_path, DSL, DEPUTY, HEAD)


def count(made: Book) -> list[tuple[str, int]]:
    with made.reading() as db:
        return [(case.theme, case.count) for case in cases(db, everything=True)]


def test_the_first_hit_is_told_at_once_and_the_next_ones_grow_the_episode(kept: Book) -> None:
    """A lead who gets a mail for each of thirty hits reads none of them (A6)."""
    assert happen(kept, rules(), sighting()) == [("A-00001", "alert", "dsl")]
    assert happen(kept, rules(), *(sighting(n, minutes=n) for n in range(1, 30))) == []
    assert count(kept) == [("self_harm", 30)]


def test_a_new_theme_is_told_whatever_was_told_before(kept: Book) -> None:
    """A pupil who is known for gambling and now seeks ways to die must not stay unheard."""
    happen(kept, rules(), sighting(category="gambling"))
    assert happen(kept, rules(), sighting(1)) == [("A-00002", "alert", "dsl")]


def test_a_higher_severity_is_told_again(kept: Book) -> None:
    """What becomes worse within an episode is news."""
    happen(kept, rules(), sighting(severity=Severity.MEDIUM))
    assert happen(kept, rules(), sighting(1, severity=Severity.HIGH)) == [("A-00001", "alert", "dsl")]
    assert happen(kept, rules(), sighting(2, severity=Severity.MEDIUM)) == []


def test_after_the_window_a_new_episode_begins(kept: Book) -> None:
    """An afternoon is not hidden behind the morning: nothing mutes a person for a day."""
    patient = rules(rule(acknowledge_minutes=600))
    happen(kept, patient, sighting())
    assert happen(kept, patient, sighting(1, minutes=59)) == []
    assert happen(kept, patient, sighting(2, minutes=59 + 61)) == [("A-00002", "alert", "dsl")]


def test_two_people_are_two_episodes(kept: Book) -> None:
    """One child is never hidden behind another."""
    happen(kept, rules(), sighting())
    assert happen(kept, rules(), sighting(1, who="Ben")) == [("A-00002", "alert", "dsl")]


def test_an_event_that_is_met_twice_counts_once(kept: Book) -> None:
    """The spill file and the log tell of the same access."""
    happen(kept, rules(), sighting())
    assert happen(kept, rules(), sighting()) == []
    assert count(kept) == [("self_harm", 1)]


def test_a_rule_that_counts_waits_for_its_number(kept: Book) -> None:
    """One advert is no concern, three visits within the hour are."""
    counting = rules(rule("bets", themes=frozenset({"gambling"}), count=3, within_minutes=60))
    assert happen(kept, counting, sighting(0, "gambling"), sighting(1, "gambling", minutes=20)) == []
    assert happen(kept, counting, sighting(2, "gambling", minutes=40)) == [("A-00001", "alert", "dsl")]


def test_hits_that_are_too_far_apart_do_not_add_up(kept: Book) -> None:
    """A count without its time would make a case of everybody by July."""
    counting = rules(rule("bets", count=2, within_minutes=10), window_minutes=600)
    assert happen(kept, counting, sighting(0), sighting(1, minutes=11)) == []


def test_repeat_offences_are_told_across_themes(kept: Book) -> None:
    """Several incidents of one pupil are referred to the safeguarding lead (T:453)."""
    repeat = rules(rule("repeat", episodes=3, within_days=7, least=Severity.MEDIUM))
    assert happen(kept, repeat, sighting(0), sighting(1, "gambling", minutes=5)) == []
    assert happen(kept, repeat, sighting(2, "filter_bypass", minutes=9)) == [("A-00003", "alert", "dsl")]


def test_the_first_time_of_a_person_is_told_and_the_second_is_not(kept: Book) -> None:
    """What somebody meets for the first time ever can be worth a word by itself."""
    first = rules(rule("first", first_time=True, acknowledge_minutes=600))
    assert happen(kept, first, sighting()) == [("A-00001", "alert", "dsl")]
    assert happen(kept, first, sighting(1, minutes=300)) == []


def test_a_quiet_theme_is_recorded_and_told_again_when_it_gets_worse(kept: Book) -> None:
    """Whoever is in good hands already is not called for again, unless it is worse or another theme."""
    happen(kept, rules(), sighting(severity=Severity.MEDIUM))
    with kept.writing() as db:
        close(
            db, "A-00001", "dsl", "spoke to her", MONDAY.timestamp(), quiet_until=MONDAY.timestamp() + 86_400
        )
    assert happen(kept, rules(), sighting(1, minutes=5, severity=Severity.MEDIUM)) == []
    assert happen(kept, rules(), sighting(2, "gambling", minutes=6)) == [("A-00003", "alert", "dsl")]
    assert happen(kept, rules(), sighting(3, minutes=7)) == [("A-00002", "alert", "dsl")]


def test_what_goes_on_when_the_quiet_is_over_is_told(kept: Book) -> None:
    """A mute ends when staff said so, also in the middle of a case that began under it."""
    happen(kept, rules(), sighting())
    now = MONDAY.timestamp()
    with kept.writing() as db:
        close(db, "A-00001", "dsl", "spoke to her", now, quiet_until=now + 3_600)
    assert happen(kept, rules(), *(sighting(n, minutes=n * 10) for n in range(1, 6))) == []
    assert happen(kept, rules(), sighting(6, minutes=61)) == [("A-00002", "alert", "dsl")]
    assert happen(kept, rules(), sighting(7, minutes=62)) == []


def test_nobody_is_made_quiet_for_good(kept: Book) -> None:
    """A slip of the finger, or a clock that was years ahead, must not silence a child for ever."""
    happen(kept, rules(), sighting())
    now = MONDAY.timestamp()
    with pytest.raises(AlertsError, match="12 weeks at most"), kept.writing() as db:
        close(db, "A-00001", "dsl", "done", now, quiet_until=now + 85 * 86_400)
    with kept.writing() as db:
        close(db, "A-00001", "dsl", "done", now + 9e7, quiet_until=now + 9e7 + 86_400)
    assert happen(kept, rules(), sighting(1)) == [("A-00002", "alert", "dsl")]


def test_what_is_met_out_of_order_still_adds_up(kept: Book) -> None:
    """What spilled comes after what was later, and a clock that is set back an hour hides no third try."""
    counting = rules(rule("bets", count=3, within_minutes=60, acknowledge_minutes=600))
    assert happen(kept, counting, sighting(0), sighting(1, minutes=20)) == []
    assert happen(kept, counting, sighting(2, minutes=-30)) == [("A-00001", "alert", "dsl")]
    back = [sighting(n, who="Ben", minutes=minutes) for n, minutes in enumerate((50, 55, -3))]
    assert happen(kept, counting, *back) == [("A-00002", "alert", "dsl")]
    far = [sighting(n, who="Cem", minutes=minutes) for n, minutes in enumerate((50, 55, -6))]
    assert happen(kept, counting, *far) == []


def test_a_rule_that_says_less_hides_nothing_that_gets_worse(kept: Book) -> None:
    """A school that calls a theme low still hears when something critical joins it."""
    low = rules(rule(severity=Severity.LOW))
    assert happen(kept, low, sighting(severity=Severity.LOW)) == [("A-00001", "alert", "dsl")]
    assert happen(kept, low, sighting(1, severity=Severity.CRITICAL)) == [("A-00001", "alert", "dsl")]


def test_what_somebody_tells_themselves_is_an_episode_of_its_own_and_nobodys(kept: Book) -> None:
    """A child who says "I saw something" is heard, and it counts against nobody (S-67)."""
    repeat = rules(rule("told", themes=frozenset({"self_report"})), rule("repeat", episodes=2, within_days=7))
    report = sighting(1, "self_report", who="x", subject="report REF-00001", report=True)
    assert happen(kept, repeat, sighting(0)) == []
    assert happen(kept, repeat, report) == [("A-00002", "alert", "dsl")]
    assert count(kept) == [("self_harm", 1), ("self_report", 1)]


def test_two_rules_tell_one_person_once(kept: Book) -> None:
    """Two reasons to be told of one case are one mail."""
    both = rules(rule("one"), rule("two", tell=("dsl", "head")))
    assert happen(kept, both, sighting()) == [("A-00001", "alert", "dsl")]


def test_a_rule_that_is_edited_while_an_episode_is_open_counts_from_then_on(kept: Book) -> None:
    """An edit neither repeats what was told nor forgets who is to be told next."""
    happen(kept, rules(), sighting())
    stricter = rules(rule(), rule("new", severity=Severity.CRITICAL, tell=("head",)))
    assert happen(kept, stricter, sighting(1, minutes=1)) == [("A-00001", "alert", "head")]
    assert happen(kept, rules(), sighting(2, minutes=31)) == [("A-00001", "escalated", "deputy")]


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 300)), max_size=25))
def test_every_theme_of_everybody_is_told_at_its_highest(
    tmp_path_factory: pytest.TempPathFactory, seen: list[tuple[int, int, int]]
) -> None:
    """Whatever comes in whatever order, no theme of anybody and no rise of severity stays untold."""
    made = book(tmp_path_factory.mktemp("book"), DSL)
    kinds = ("self_harm", "gambling", "filter_bypass", "self_harm")
    them = [
        replace(sighting(n, kinds[kind], who=f"P{kind}", minutes=minute), severity=Severity(level))
        for n, (kind, level, minute) in enumerate(seen)
    ]
    happen(made, rules(), *them)
    with made.reading() as db:
        told = dict(db.execute("SELECT subject || theme, max(level) FROM episode GROUP BY 1"))
        mails = {row[0] for row in db.execute("SELECT DISTINCT episode FROM outbox")}
        assert mails == {row[0] for row in db.execute("SELECT id FROM episode")}
    assert told == {_who(one): max(s.severity for s in them if _who(s) == _who(one)) for one in them}


def _who(one: Sighting) -> str:
    themes = {"gambling": "gambling", "filter_bypass": "bypass"}
    return f"{one.subject}{themes.get(one.category, 'self_harm')}"
