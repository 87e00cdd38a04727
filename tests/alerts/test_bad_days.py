"""Each kind of bad day that alerts and the record must survive, and the tests that hold it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests/alerts"
FULL = "tests/journeys/test_full_disk_alerts.py"

BAD_DAYS: dict[str, tuple[str, ...]] = {
    "a mail server that is down for a day": (
        f"{HERE}/test_outbox.py::test_a_day_without_a_server_is_survived_and_four_days_are_told",
        f"{HERE}/test_outbox.py::test_each_failure_waits_longer_and_a_success_frees_the_rest",
    ),
    "greylisting": ("tests/test_alerting.py::test_greylisting_is_waited_for",),
    "4xx and 5xx": (f"{HERE}/test_mail.py::test_what_the_server_says_decides_whether_it_is_tried_again",),
    "a server or a webhook that hangs": (
        f"{HERE}/test_mail.py::test_a_server_that_hangs_is_given_up_in_time",
        f"{HERE}/test_delivery.py::test_one_address_that_hangs_holds_up_no_other",
        f"{HERE}/test_webhook.py::test_an_answer_without_end_holds_up_nobody",
    ),
    "a stranger's certificate": (
        f"{HERE}/test_mail.py::test_a_server_with_a_strangers_certificate_gets_nothing",
    ),
    "a mailbox that refuses": (
        f"{HERE}/test_outbox.py::test_a_refusal_calls_the_next_role_at_once",
        f"{HERE}/test_outbox.py::test_what_a_mailbox_refused_is_tried_again_when_it_takes_something",
        "tests/test_alerting.py::test_a_mailbox_that_refuses_calls_the_next_at_once",
    ),
    "nobody has confirmed": (
        f"{HERE}/test_ladder.py::test_that_nobody_has_confirmed_is_told_by_every_way_there_is",
        f"{HERE}/test_ladder.py::test_what_has_nobody_to_go_to_waits_and_goes_out_with_the_first_confirmation",
    ),
    "a keeper that is killed": (
        "tests/test_alerting.py::test_a_keeper_that_is_killed_anywhere_loses_nothing_and_repeats_nothing",
        f"{HERE}/test_mail.py::test_a_connection_that_breaks_after_the_mail_was_taken_is_no_acceptance",
        f"{HERE}/test_mail.py::test_a_mail_that_is_sent_again_is_the_same_mail",
    ),
    "a database that is locked": (
        "tests/test_alerting.py::test_a_book_that_is_locked_for_a_while_costs_time_and_no_alert",
        "tests/test_alerting.py::test_what_waits_in_a_spill_file_is_told_before_the_log_has_it",
        f"{HERE}/test_episodes.py::test_what_is_met_out_of_order_still_adds_up",
    ),
    "a full disk": (
        f"{FULL}::test_what_is_flagged_while_the_disk_is_full_is_told_once_there_is_room",
        f"{HERE}/test_book.py::test_what_a_full_disk_keeps_from_being_written_is_told_and_nothing_of_it_stays",
        "tests/events/test_crash.py::test_a_disk_that_is_really_full_loses_no_promise",
    ),
    "a row that is damaged": (
        f"{HERE}/test_delivery.py::test_a_message_that_is_damaged_on_the_disk_holds_up_no_other",
    ),
    "names in any script, markup, line breaks": (
        f"{HERE}/test_leaks.py::test_no_planted_word_comes_out_in_any_form",
        f"{HERE}/test_incidents.py::test_a_note_of_any_kind_is_kept_as_text",
        "tests/portal/test_case_app.py::test_a_note_of_any_kind_is_kept_and_shown_as_text",
        "tests/reports/test_bundle.py::test_no_cell_is_a_formula",
        "tests/reports/test_sheet.py::test_no_name_breaks_the_page",
    ),
    "a clock that jumps": (
        f"{HERE}/test_ladder.py::test_a_clock_that_is_set_back_or_forward_ends_no_calling",
        f"{HERE}/test_ladder.py::test_a_clock_that_was_far_ahead_leaves_nothing_waiting_for_years",
        f"{HERE}/test_ladder.py::test_the_night_of_the_clock_change_neither_skips_nor_doubles_the_morning",
        f"{HERE}/test_episodes.py::test_nobody_is_made_quiet_for_good",
        f"{HERE}/test_alarms.py::test_a_clock_that_jumps_ends_an_alarm_and_no_more",
        "tests/events/test_leap.py::test_a_year_ahead_is_believed_after_a_day_and_not_before",
        "tests/test_auditing.py::test_a_clock_that_leapt_ahead_removes_nothing_for_a_day",
        "tests/test_alerting.py::test_a_clock_that_leapt_ahead_removes_no_case_for_a_day",
    ),
    "a rule file that is edited while an episode is open": (
        f"{HERE}/test_episodes.py::test_a_rule_that_is_edited_while_an_episode_is_open_counts_from_then_on",
        f"{HERE}/test_incidents.py::test_a_rule_that_is_edited_away_leaves_a_case_with_whom_it_was_for",
    ),
    "a rule file that is wrong": (
        "tests/config/test_alerts.py::test_what_would_leave_somebody_untold_is_a_problem_at_its_line",
        "tests/config/test_alerts.py::test_a_rule_that_asks_for_more_than_there_can_be_is_a_problem",
        "tests/config/test_alerts.py::test_an_edit_of_the_rules_is_another_policy_and_a_broken_one_none",
    ),
    "quiet, and then worse": (
        f"{HERE}/test_episodes.py::test_a_quiet_theme_is_recorded_and_told_again_when_it_gets_worse",
        f"{HERE}/test_episodes.py::test_what_goes_on_when_the_quiet_is_over_is_told",
        f"{HERE}/test_episodes.py::test_a_rule_that_says_less_hides_nothing_that_gets_worse",
    ),
    "somebody asks for what is kept, and is on hold": (
        "tests/test_subjects.py::test_a_hold_keeps_everything_in_every_room",
        "tests/test_subjects.py::test_a_name_is_found_as_it_is_kept_without_an_account_as_well",
    ),
}
"""What goes wrong in a school, and where it is tried."""


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.slow
@pytest.mark.parametrize("day", BAD_DAYS)
def test_each_bad_day_has_its_tests(day: str) -> None:
    """A test that is renamed or dropped must not leave a bad day to be found out by a child."""
    for test in BAD_DAYS[day]:
        path, _, name = test.partition("::")
        assert name in names_in(path), test
