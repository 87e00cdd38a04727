"""The schools' own tables: each row of the seeds yields exactly its ticks, and a wrong table is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.config.document import parse
from appliance.config.incidents import read_incidents
from appliance.config.problems import ProblemsError
from appliance.config.profiles import load_policy
from appliance.model.alerting import Alerting, AlertRule, Theme, Who
from appliance.model.category import Risk
from appliance.model.incident import Incident, Incidents
from tests.doubles.school import ROOT, configuration, edit, load_once

MATRICES: dict[str, Any] = json.loads((ROOT.parent / "shared" / "matrices.json").read_text(encoding="utf-8"))
COLUMNS = {
    "Refer to class teacher": "class_teacher",
    "Refer to Headteacher or other member of SLT": "head_or_slt",
    "Refer to Headteacher": "headteacher",
    "Refer to Police": "police",
    "Refer to technical support staff for action re filtering / security etc": "technical_support",
    "Inform parents / carers": "parents",
    "Removal of network / internet access rights": "remove_access",
    "Warning": "warning",
    "Further sanction eg detention / exclusion": "further_sanction",
    "Refer to line manager": "line_manager",
    "Refer to Local Authority / HR": "authority_hr",
    "Refer to Technical Support Staff for action re filtering etc": "technical_support",
    "Suspension": "suspension",
    "Disciplinary action": "disciplinary",
}
PROCEDURES = {
    "out_of_school_cyberbullying": "bullying_out_of_school",
    "in_school_cyberbullying": "bullying_in_school",
    "other_account_access": "other_account",
    "inappropriate_illegal_extremist": "inappropriate",
    "online_child_protection_extremism": "child_protection",
}
STEPS = {
    "head_of_year:investigate": "investigate",
    "speak_to_pupils": "speak",
    "inform_parents": "parents",
    "sanction": "sanction",
    "named_role:support": "support",
    "head_of_year->network_manager:remove_network_access": "remove_access",
    "subject_teacher(in_lesson)|head_of_year(outside):own": "owner",
    "network_manager:remove_network_access_fixed_period": "remove_access_time",
    "network_manager:freeze_account_IMMEDIATELY(preserve_evidence)": "freeze",
    "consult_dsl_and_agencies(esp_illegal_or_extremist)": "consult",
    "sanction+remove_network_access_fixed_period": "sanction_and_access",
    "named_role:educate": "educate",
    "repeat_pupil->online_safety_officer_dsl": "repeated",
    "immediate_referral:dsl": "refer",
    "dsl:coordinate(possible_police_social_services)": "coordinate",
}
ROWS = [
    (who, row)
    for name, who in (("W_pupils", Who.PUPILS), ("W_staff", Who.ADULTS))
    for row in MATRICES["sanctions"][name]["rows"]
]


@pytest.fixture(scope="module")
def shipped() -> dict[str, Incidents]:
    policy = load_policy(ROOT / "profiles", ROOT / "blocklists" / "categories.yaml")
    return {name: chosen.incidents for name, chosen in policy.sets.items()}


def steps(row: Incident) -> list[str]:
    return [step.id for step in row.steps]


@pytest.mark.slow
@pytest.mark.parametrize(("who", "row"), ROWS, ids=[f"W:{row['line']}" for _, row in ROWS])
def test_each_row_of_the_seeds_yields_exactly_its_ticks(
    shipped: dict[str, Incidents], who: Who, row: dict[str, Any]
) -> None:
    """S-59, B2: sixteen rows for pupils and sixteen for staff; no tick more, and none less."""
    source = f"W:{row['line']}"
    (found,) = [one for one in shipped["westways"].rows.values() if source in one.source.split(", ")]
    assert found.who is who
    assert steps(found) == [COLUMNS[action] for action in row["actions"]]


@pytest.mark.parametrize("name", PROCEDURES)
def test_each_procedure_of_the_seeds_yields_exactly_its_steps(
    shipped: dict[str, Incidents], name: str
) -> None:
    """T:423-458: the trust's five procedures, each step in its order."""
    given = MATRICES["incident_procedures"]["T"][name]
    found = shipped["west"].rows[PROCEDURES[name]]
    assert found.source == f"T:{given['lines']}"
    assert steps(found) == [STEPS[step] for step in given["steps"]]


def test_the_seeds_have_no_row_that_is_not_shipped_and_none_is_made_up(shipped: dict[str, Incidents]) -> None:
    """What a school is proposed is its own policy, the whole of it, and nothing else."""
    assert (len(ROWS), len(shipped["westways"].rows)) == (32, 32)
    assert set(shipped["west"].rows) == set(PROCEDURES.values())
    assert set(PROCEDURES) == set(MATRICES["incident_procedures"]["T"])


def test_whatever_tells_parents_is_held_everywhere(shipped: dict[str, Incidents]) -> None:
    """B2: never before the safeguarding lead says so, whichever row it stands in."""
    for table in shipped.values():
        assert table.clears == {"dsl", "deputy"}
        for row in table.rows.values():
            for step in row.steps:
                assert step.held is (step.id == "parents"), row.id


def test_rows_are_proposed_by_theme_rule_and_whom_it_is_about(shipped: dict[str, Incidents]) -> None:
    """Repeat offences propose the row for them (T:453), an adult never meets a pupil's row."""
    westways, none = shipped["westways"], frozenset[str]()
    assert [row.id for row in westways.proposed("filter_bypass", none, adult=False)] == ["pupil_bypass"]
    assert [row.id for row in westways.proposed("filter_bypass", none, adult=True)] == ["staff_bypass"]
    ids = [row.id for row in westways.proposed("gambling", frozenset({"repeat"}), adult=False)]
    assert ids == ["pupil_off_task", "pupil_repeated"]
    assert [row.id for row in shipped["west"].proposed("self_harm", none, adult=False)] == [
        "child_protection"
    ]
    assert westways.proposed("self_report", none, adult=False) == ()


ALERTING = Alerting(
    {"dsl": "Lead"},
    {"harm": Theme("harm", "Harm", Risk.CONTENT)},
    (AlertRule("all", "B.", "a:1", ("dsl",)),),
)
GOOD = """clears: [dsl]
steps:
  head: {title: Refer to the Head}
  parents: {title: Tell the parents, held: true}
incidents:
  - {incident: harm, title: Harm, source: "W:1", themes: [harm], rules: [all], steps: [head, parents]}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[dsl]", "[dls]", ":1:10: unknown role 'dls'; did you mean 'dsl'?"),
        ("[harm]", "[hram]", "unknown theme 'hram'; did you mean 'harm'?"),
        ("[all]", "[al]", "unknown rule 'al'; did you mean 'all'?"),
        ("[head, parents]", "[haed]", "unknown step 'haed'; did you mean 'head'?"),
        ("[head, parents]", "[head, head]", "stands in this row already"),
        ("[head, parents]", "[]", "must not be empty"),
        ("held: true", "held: yes please", "held"),
        ("title: Harm,", "", "title"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, said: str) -> None:
    """A table that proposes nothing, or a step that nobody knows, is found before anybody needs it."""
    read_incidents(parse(GOOD.encode(), "incidents.yaml"), ALERTING, "incidents.yaml")
    with pytest.raises(ProblemsError) as caught:
        read_incidents(parse(GOOD.replace(old, new).encode(), "incidents.yaml"), ALERTING, "incidents.yaml")
    assert said in str(caught.value)


def test_two_rows_of_one_name_are_a_problem() -> None:
    """One of them would be proposed to nobody."""
    line = GOOD.splitlines()[-1]
    with pytest.raises(ProblemsError, match="second incident"):
        read_incidents(parse(f"{GOOD}{line}\n".encode(), "incidents.yaml"), ALERTING, "incidents.yaml")


@pytest.mark.slow
def test_a_set_may_have_no_table_and_a_broken_one_stops_the_change(tmp_path: Path) -> None:
    """An edit that is wrong is told by `check` with its line, and a school without a table works."""
    path = configuration(tmp_path, own_files=True)
    table = tmp_path / "profiles" / "westways" / "incidents.yaml"
    edit(table, "clears: [dsl, deputy]", "clears: [dsl, nobody]")
    with pytest.raises(ProblemsError, match="unknown role 'nobody'"):
        load_once.__wrapped__(path)
    table.unlink()
    assert load_once.__wrapped__(path).policy.sets["westways"].incidents.rows == {}
