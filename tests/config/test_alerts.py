"""Alert rules as people write them, and what is said where somebody would stay untold."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.assembly import load
from appliance.config.alerts import Around, read_alerts
from appliance.config.document import parse
from appliance.config.problems import ProblemsError
from appliance.model.alerting import Alerting, Who
from appliance.model.category import Category, Risk, Severity
from tests.doubles.school import configuration, edit, load_once

GOOD = """roles: {dsl: Lead}
themes:
  self_harm: {title: Self-harm, risk: content, categories: [self_harm]}
  self_report: {title: Told us, risk: content}
rules:
  - {rule: all, tell: [dsl], who: pupils, severity: high, because: Somebody must know of it.}
"""


def category(name: str, severity: Severity, *, floor: bool = False) -> Category:
    return Category(name, name, severity, Risk.CONTENT, name, name, floor)


AROUND = Around(
    {"self_harm": category("self_harm", Severity.CRITICAL), "games": category("games", Severity.LOW)},
    {"ks2": False, "staff": True},
    {},
    "profiles/hill/alerts.yaml",
)


def read(text: str) -> Alerting:
    return read_alerts(parse(text.encode(), "alerts.yaml"), AROUND)


def problems(text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_rules_are_read_with_their_line() -> None:
    """`show` and figures name the very line of a rule."""
    found = read(GOOD)
    (rule,) = found.rules
    assert (rule.where, rule.who, rule.severity) == ("profiles/hill/alerts.yaml:6", Who.PUPILS, Severity.HIGH)
    assert found.adults == {"staff"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[dsl], who", "[dls], who", ":6:24: unknown role 'dls'; did you mean 'dsl'?"),
        ("[self_harm]}", "[self_hram]}", "unknown category 'self_hram'; did you mean 'self_harm'?"),
        ("[self_harm]}", "[]}", "'self_harm' (critical) is in no theme: nobody would be told of it"),
        ("  self_report: {title: Told us, risk: content}\n", "", "the theme 'self_report' is missing"),
        ("who: pupils", "themes: [self_harm]", "no rule is about 'self_report'"),
        ("who: pupils", "groups: [ks3]", "unknown profile 'ks3'; did you mean 'ks2'?"),
        ("who: pupils", "count: 3", "'count' needs 'within_minutes'"),
        ("who: pupils", "episodes: 3", "'episodes' needs 'within_days'"),
        ("who: pupils", "first_time: true, count: 2, within_minutes: 5", "never goes together"),
        ("who: pupils", "risks: [commerce]", "no theme of the rule 'all' has such a risk"),
        ("who: pupils", "categories: [games]", "'games' is in no theme of the rule 'all'"),
        ("who: pupils", "who: pupils, groups: [staff]", "no profile of 'groups' is for pupils"),
        ("who: pupils", "who: adults", "every rule about 'self_harm' is for adults"),
        ("who: pupils", "times: lunch", "unknown timetable 'lunch'"),
        ("who: pupils", "whoo: pupils", "did you mean 'who'?"),
        ("tell: [dsl]", "tell: []", "must not be empty"),
        ("roles:", "hours: lunch\nroles:", "unknown timetable 'lunch'"),
        ("risk: content, categories: [self_harm]", "risk: contents, categories: [self_harm]", "contents"),
        (
            "Told us, risk: content",
            "Told us, risk: content, categories: [self_harm]",
            "the theme 'self_harm' already",
        ),
    ],
)
def test_what_would_leave_somebody_untold_is_a_problem_at_its_line(old: str, new: str, said: str) -> None:
    """A typing error in a rule must not be found out by a child."""
    assert old in GOOD
    assert any(said in problem for problem in problems(GOOD.replace(old, new, 1)))


def test_a_rule_that_asks_for_more_than_there_can_be_is_a_problem() -> None:
    """`least: critical` on a theme of slips looks as if somebody were told, and nobody ever is."""
    theme = "  play: {title: Games, risk: commerce, categories: [games]}\nrules:"
    rule = (
        "  - {rule: play, themes: [play], tell: [dsl], least: medium, because: Somebody must know of it.}\n"
    )
    whole = GOOD.replace("rules:", theme) + rule
    assert problems(whole) == [
        "alerts.yaml:8:54: no category that the rule 'play' is about is more than low: it never applies"
    ]
    read(whole.replace("least: medium", "least: low"))
    reason = whole.replace("categories: [games]", "categories: [games], reasons: [floor_repeated]")
    read(reason)  # how severe a reason is, no category says


def test_a_rule_given_twice_is_a_problem() -> None:
    """Feedback and figures must know which of the two is meant."""
    line = GOOD.splitlines()[-1]
    assert "a second rule is named 'all'" in problems(f"{GOOD}{line}\n")[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["westways", "west"])
def test_the_shipped_rules_tell_of_every_theme_of_the_seeds(name: str, tmp_path: Path) -> None:
    """What the schools' safeguarding leads are to be aware of reaches them from the first day (T:229-236)."""
    loaded = load_once(configuration(tmp_path))
    found = loaded.policy.sets[name].alerts
    wanted = {"illegal", "grooming_contact", "radicalisation", "self_harm", "nudes", "bullying", "violence"}
    assert wanted | {"drugs", "gambling", "filter_bypass", "personal_data", "self_report"} <= set(
        found.themes
    )
    straight = {theme for rule in found.rules if rule.count == 1 for theme in rule.themes}
    assert {"illegal", "grooming_contact", "radicalisation", "self_harm", "nudes"} <= straight
    assert any(rule.episodes for rule in found.rules)  # repeat offences (T:453)


@pytest.mark.slow
def test_an_edit_of_the_rules_is_another_policy_and_a_broken_one_none(tmp_path: Path) -> None:
    """The keeper reads published rules, as workers do: a half-saved file changes nothing."""
    config = configuration(tmp_path, own_files=True)
    before = load_once(config).policy
    file = tmp_path / "profiles" / "westways" / "alerts.yaml"
    edit(file, "window_minutes: 60", "window_minutes: 30")
    after = load(config).policy
    assert after.version != before.version
    assert after.sets["westways"].alerts.window_minutes == 30
    edit(file, "tell: [dsl, head, deputy]", "tell: [dsl, haed]")
    with pytest.raises(ProblemsError, match=r"alerts\.yaml:.*unknown role 'haed'; did you mean 'head'"):
        load(config)
