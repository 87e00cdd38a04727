from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.assembly import load
from appliance.config.problems import ProblemsError
from appliance.model.profile import ProfileSet
from appliance.model.role import Grants, Role
from appliance.plausible import identity_notes, implausible, role_notes
from appliance.settings import load_settings
from tests.doubles.school import ROOT, configuration, edit


def found(path: Path) -> list[str]:
    """Return what cannot be meant in a configuration, each with line and column but without its folder."""
    configuration = load_settings(path)
    problems = implausible(configuration.settings, configuration.document)
    return [str(problem).replace(f"{path}:", "") for problem in problems]


@pytest.mark.parametrize("name", ["appliance", "demo"])
def test_the_shipped_configurations_can_be_meant(name: str) -> None:
    """What ships is not doubted."""
    assert found(ROOT / "deploy" / f"{name}.yaml") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  ports: []", "10:10: no port at all: every site would be blocked; the web's own are [80, 443]"),
        ("  reachable: [0.0.0.0/0]", "10:15: 0.0.0.0/0 opens the school's whole network"),
        ("  reachable: [10.0.5.20/32, '::/0']", "10:29: ::/0 opens the school's whole network"),
        ("  own_name: 10.0.0.1", "10:13: 10.0.0.1 is an IP address; write a name"),
        ("  static_hosts: {'*.school.example': [10.0.0.1]}", "10:38: '*.school.example': a * stands"),
        ("  static_hosts: {intranet.example: []}", "10:36: intranet.example has no address"),
        ("  static_hosts: {10.0.0.1: [10.0.0.2]}", "10:28: 10.0.0.1 is an IP address, which is"),
        ("  static_hosts: {filter.internal: [10.0.0.2]}\n  own_name: filter.internal", "11:13: filter.inter"),
    ],
)  # fmt: skip
def test_the_front_door_is_meant_as_it_is_written(tmp_path: Path, text: str, said: str) -> None:
    """What would open the school's network, or close the web, is told with its line, and what is right."""
    path = configuration(tmp_path)
    edit(path, "  listen: 127.0.0.1:8080\n", f"  listen: 127.0.0.1:8080\n{text}\n")
    (one,) = found(path)
    assert one.startswith(said)


def test_blank_names_are_found(tmp_path: Path) -> None:
    """A page that names no school helps nobody."""
    path = configuration(tmp_path, changes={"name": '"   "'})
    edit(path, "name: Classrooms", "name: ' '")
    assert [line.partition(" is blank")[0] for line in found(path)] == [
        "2:9: the school's name",
        "12:49: the network's name",
    ]


def test_a_demo_that_nobody_can_reach_is_found(tmp_path: Path) -> None:
    """The one command of the first minute works, or says why it would not."""
    path = configuration(tmp_path)
    with path.open("a") as file:
        file.write("demo: {listen: 127.0.0.80:81, name: hello.example}\n")
    said = "\n".join(found(path))
    assert "`hello.example: [127.0.0.80]` to gateway.static_hosts" in said
    assert "add 81 to gateway.ports" in said
    assert "add 127.0.0.80/32 to gateway.reachable" in said


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ("{urll: 30}", "16:11: unknown field 'urll'; did you mean 'url'?"),
        ("{url: {ordinary: 90, flagged: 30}}", "16:10: a flagged access would be kept for 30 days and an"),
        ("{url: 500}", "16:10: 500 days, longer than the record itself is kept; time: 395 days"),
    ],
)
def test_days_that_contradict_each_other_are_told_at_their_line(tmp_path: Path, days: str, said: str) -> None:
    """A technician changes one line of thirty and is shown which."""
    path = configuration(tmp_path)
    with path.open("a") as file:
        file.write(f"events:\n  retention_days: {days}\n")
    assert said.partition(": ")[2] in found(path)[0]
    assert found(path)[0].startswith("16:")


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ("{url: abc}", "'url' must be a whole number, not 'abc'"),
        ("{url: {ordinary: x, flagged: 3}}", "'ordinary' must be a whole number, not 'x'"),
        ("{url: {ordinary: 3}}", "'flagged' is missing"),
        ("{url: [1]}", "'url' must be a whole number, not a list"),
    ],
)
def test_one_mistake_is_told_once(tmp_path: Path, days: str, said: str) -> None:
    """A value that may have two forms is told about the one that was chosen, and not about both."""
    path = configuration(tmp_path)
    with path.open("a") as file:
        file.write(f"events:\n  retention_days: {days}\n")
    with pytest.raises(ProblemsError) as raised:
        load_settings(path)
    assert [problem.message for problem in raised.value.problems] == [said]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["profiles", "blocklists"])
def test_a_folder_that_is_not_there_is_told_where_it_is_named(tmp_path: Path, key: str) -> None:
    """A wrong path is one problem at its line, and not one for each file that is missing in it."""
    path = configuration(tmp_path, changes={key: "/nowhere"})
    with pytest.raises(ProblemsError) as raised:
        load(path)
    (problem,) = raised.value.problems
    assert (problem.file, problem.message.partition(";")[0]) == (
        str(path),
        "the folder /nowhere does not exist",
    )


def test_a_wildcard_takes_the_port_everywhere(tmp_path: Path) -> None:
    """Two listeners on one port are found before the second fails to start."""
    for wild in ("0.0.0.0:9464", "'[::]:9464'"):
        with pytest.raises(ProblemsError, match="listens on this address and port already"):
            load_settings(configuration(tmp_path, changes={"listen": wild}))


def test_roles_that_nobody_has_are_told() -> None:
    """A school finds out before the lesson that nobody may grant what a teacher asks for."""
    mine = Role("study", "Leads", "So.", "", Grants.FOR_OTHERS, 60, 1, frozenset(), frozenset())
    school = ProfileSet("hill", "Hill", "ks2", {}, roles={"study": mine})
    assert role_notes(school) == [
        "nobody has the roles study yet, which may grant overrides (profiles/hill/roles.yaml)"
    ]
    assert role_notes(replace(school, roles={"study": replace(mine, people=frozenset({"head"}))})) == []


@pytest.mark.slow
def test_a_directory_that_cannot_be_meant_is_told_at_its_line(tmp_path: Path) -> None:
    """An unknown profile, a secret that is nowhere, a sign-in that is not served: each at its line."""
    path = configuration(tmp_path)
    here = (
        "  directory:\n    servers: [ldaps://dc1.school.example]\n    people: DC=school,DC=example\n"
        "    account: gateway\n    password_file: word\n    groups: [{dn: CN=Staff, group: teachers}]\n"
    )
    edit(path, "identity:\n", f"identity:\n{here}")
    with pytest.raises(ProblemsError) as raised:
        load(path)
    said = str(raised.value)
    assert "nobody could sign in by it: set identity.portal to true" in said
    assert "15:20: " in said
    assert "cannot be read" in said
    assert "16:36: unknown group 'teachers'" in said


@pytest.mark.parametrize("rule", ["offered", "required"])
def test_passwords_that_nobody_would_read_are_found(tmp_path: Path, rule: str) -> None:
    """Where the proxy has no port for passwords, nobody could sign in; in the clear only by saying so."""
    path = configuration(tmp_path)
    edit(path, "name: Classrooms}", f"name: Classrooms, proxy_sign_in: {rule}}}")
    (one,) = found(path)
    assert "would be read nowhere: give gateway.listen_tls an address" in one
    edit(path, "identity:\n", "identity:\n  allow_plain: true\n")
    assert found(path) == []
    notes = identity_notes(load_settings(path).settings)
    assert ("in the clear" in notes[0], len(notes)) == (True, 2 if rule == "offered" else 1)
    edit(path, "  allow_plain: true\n", "")
    edit(path, "  listen: 127.0.0.1:8080\n", "  listen: 127.0.0.1:8080\n  listen_tls: 127.0.0.1:8444\n")
    assert found(path) == []
    assert load_settings(path).settings.listen.encrypted == ("127.0.0.1", 8444)
    assert load_settings(path).settings.identity.learns_names


def test_a_device_is_known_in_one_way_that_there_is(tmp_path: Path) -> None:
    """A device without a mark, or by leases that are read nowhere, would be known to nobody."""
    path = configuration(tmp_path)
    edit(path, "identity:\n", "identity:\n  devices:\n    - {group: ks2, name: Tablet}\n")
    assert "by its mac or by its lease_name" in found(path)[0]
    edit(path, "{group: ks2, name: Tablet}", "{lease_name: Tablet-14, group: ks2, name: Tablet}")
    assert "say in identity.leases" in found(path)[0]
    edit(path, "identity:\n", "identity:\n  leases: {format: kea, file: leases.csv}\n")
    assert "write the whole path" in found(path)[0]
    edit(path, "file: leases.csv", "file: /var/lib/kea/kea-leases4.csv")
    assert found(path) == []
    assert "any device can give itself" in identity_notes(load_settings(path).settings)[0]


def test_governors_are_mailed_only_where_mail_goes_out(tmp_path: Path) -> None:
    """A school that names governors and no mail server must hear of it before the year is over."""
    path = configuration(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}audit: {{mail_to: [governor@trust.example]}}\n", encoding="utf-8")
    (one,) = found(path)
    assert "nothing would be mailed: give alerts.mail the mail server" in one
    mail = "{server: smtp.school.example, sender: gateway@school.example}"
    path.write_text(f"{path.read_text()}alerts: {{deliver: true, mail: {mail}}}\n", encoding="utf-8")
    assert found(path) == []
