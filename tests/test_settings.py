from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from appliance.config.problems import ProblemsError
from appliance.events.fields import Retention
from appliance.gateway.listen import Listen
from appliance.settings import STATE_VARIABLE, Settings, as_file, load_paths, load_settings
from tests.doubles.school import ROOT, configuration, edit


def problems(path: Path) -> list[str]:
    """Return what is wrong with a configuration, each with line and column but without its folder."""
    with pytest.raises(ProblemsError) as raised:
        load_settings(path)
    return [str(problem).replace(f"{path}:", "") for problem in raised.value.problems]


def settings(path: Path) -> Settings:
    return load_settings(path).settings


@pytest.fixture
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STATE_VARIABLE)


@pytest.mark.parametrize("name", ["appliance", "demo"])
def test_the_shipped_configurations_are_good(name: str) -> None:
    """What a technician copies works as it stands."""
    assert settings(ROOT / "deploy" / f"{name}.yaml").school.set == "westways"


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    """A short file is a whole configuration, with the safe choice in every place."""
    found = settings(configuration(tmp_path))
    assert found.gateway.ports == {80, 443, 8080, 8443}
    assert found.gateway.reachable == ()
    assert found.gateway.transparent is None
    assert found.listen == Listen(("127.0.0.1", 8080), None)
    assert found.floor_max_age_hours == 48
    assert found.demo is None
    assert 1 <= found.worker_count <= 4
    assert found.retention == Retention.of({})


@pytest.mark.usefixtures("no_variable")
def test_a_relative_path_counts_from_the_folder_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command works from any folder, and messages name a path that a technician would type."""
    path = configuration(tmp_path, changes={"state": "../elsewhere/./state", "profiles": "profiles"})
    monkeypatch.chdir("/")
    assert settings(path).paths.profiles == (tmp_path / "profiles").relative_to("/")
    assert settings(path).state == (tmp_path.parent / "elsewhere" / "state").relative_to("/")
    monkeypatch.chdir(tmp_path)
    assert settings(path).paths.profiles == Path("profiles")
    assert settings(path).state == tmp_path.parent / "elsewhere" / "state"


def test_the_variable_moves_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gateways run side by side when each has a state of its own."""
    path = configuration(tmp_path)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "moved"))
    assert settings(path).state == tmp_path / "moved"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STATE_VARIABLE, "here")
    assert settings(path).state == tmp_path / "here"
    monkeypatch.setenv(STATE_VARIABLE, "")
    assert settings(path).state == Path("state")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ('"[::1]:8080"', ("::1", 8080)),
        ('"[::]:1"', ("::", 1)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),  # noqa: S104 - what a school writes
    ],
)
def test_addresses_of_both_families_are_read(tmp_path: Path, text: str, address: tuple[str, int]) -> None:
    """The gateway can listen wherever the machine has an address."""
    assert settings(configuration(tmp_path, changes={"listen": text})).gateway.listen == address


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("listen", "8080", "9:11: must be an address and a port, such as"),
        ("listen", "127.0.0.1:0", "9:11: must be an address and a port, such as"),
        ("listen", "127.0.0.1:70000", "9:11: must be an address and a port, such as"),
        ("listen", "127.0.0.1:²", "9:11: must be an address and a port, such as"),
        ("listen", "localhost:8080", "9:11: 'localhost' is not an IP address; write one"),
        ("listen", "null", "9:11: nobody could connect: give 'listen' or 'transparent' an address"),
        ("listen", "127.0.0.1:9464", "14:11: gateway.listen listens on this address and port already"),
        ("name", '""', "2:9: 'name' must "),
        ("set", "null", "3:8: 'set' must be text, not nothing"),
        ("set", "7", "3:8: 'set' must be text; put 7 in quotes"),
        ("state", "[]", "5:10: 'state' must be a path, not a list"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place_and_what_to_write(
    tmp_path: Path, key: str, value: str, said: str
) -> None:
    """A technician sees the line, what is wrong with it and what would be right."""
    (found,) = problems(configuration(tmp_path, changes={key: value}))
    assert found.startswith(said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  transparent: 127.0.0.1:8080", "10:16: gateway.listen listens on this address and port already"),
        ("  workers: -1", "10:12: 'workers' must be at least 0, not -1"),
        ("  ports: [0]", "10:11: 'ports' must be at least 1, not 0"),
        ("  reachable: [10.0.5.20/24]", "10:15: '10.0.5.20/24' is an address within a network; did you mean"),
        ("  reachable: [intranet]", "10:15: 'intranet' is not a network; write one"),
        ("  static_hosts: {a.example: [b.example]}", "10:30: 'b.example' is not an IP address; write one"),
        ("  static_hosts: {a b: [10.0.0.1]}", "10:18: 'a b' is not a host name; write one"),
        ("  own_name: http://x/", "10:13: 'http://x/' is not a host name; write one"),
        ("  deadline_seconds: 0", "10:21: 'deadline_seconds' must be more than"),
        ("  idle_seconds: 1", "10:17: 'idle_seconds' must be at least 10, not 1"),
        ("  ssl_insecure: true", "10:3: unknown key 'ssl_insecure'"),
        ("  worker: 4", "10:3: unknown key 'worker'; did you mean 'workers'?"),
        ("  listen: 127.0.0.1:1", "10:3: 'listen' is given twice; it stands at line 9 already"),
    ],
)  # fmt: skip
def test_the_front_door_takes_no_nonsense(tmp_path: Path, text: str, said: str) -> None:
    """A slip at the front door is found at the start, and no key switches verification off."""
    path = configuration(tmp_path)
    edit(path, "  listen: 127.0.0.1:8080\n", f"  listen: 127.0.0.1:8080\n{text}\n")
    (found,) = problems(path)
    assert found.startswith(said)


def test_names_are_read_as_requests_name_them(tmp_path: Path) -> None:
    """A host name in capitals or with a dot at its end is the one that requests will name."""
    path = configuration(tmp_path)
    names = "  own_name: Filter.School.\n  static_hosts: {Intranet.Example.: ['10.0.5.20', 'FD00::1']}\n"
    edit(path, "  listen: 127.0.0.1:8080\n", f"  listen: 127.0.0.1:8080\n{names}")
    found = settings(path).gateway
    assert found.own_name == "filter.school"
    assert found.static_hosts == {"intranet.example": ("10.0.5.20", "fd00::1")}


def test_one_network_counts_as_one_group(tmp_path: Path) -> None:
    """A network that is given twice would make a class pupils or staff by the order of two lines."""
    path = configuration(tmp_path)
    edit(path, "metrics:", "    - {network: 10.20.0.0/16, group: staff, name: Staff}\nmetrics:")
    assert problems(path) == ["13:17: 10.20.0.0/16 counts as 'ks2' already; it can count as one group only"]


def test_networks_come_as_identity_takes_them(tmp_path: Path) -> None:
    """Who asks is resolved from exactly what the file says."""
    (network,) = settings(configuration(tmp_path)).client_networks
    assert (network.network, network.group, network.name) == (
        ipaddress.ip_network("10.20.0.0/16"),
        "ks2",
        "Classrooms",
    )


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """A technician repairs a file in one round."""
    path = configuration(tmp_path, changes={"name": '""', "listen": "x"})
    edit(path, "network: 10.20.0.0/16", "network: 10.20.0.1/16")
    edit(path, "metrics:", "metrix:")
    said = problems(path)
    assert len(said) == 5
    assert said[-1].startswith("13:1: unknown key 'metrix'; did you mean 'metrics'?")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "1:1: the file is empty"), ("a: [\n", "2:1: "), ("- a\n", "1:1: "), ("\x00", "1:1: ")],
)
def test_a_file_that_is_no_configuration_is_a_problem(tmp_path: Path, text: str, said: str) -> None:
    """An empty, cut-off or binary file is said to be one."""
    path = tmp_path / "appliance.yaml"
    path.write_text(text, encoding="utf-8")
    assert problems(path)[0].startswith(said)
    assert load_paths(path) is None


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """A wrong --config is named as what it is."""
    assert problems(tmp_path / "none.yaml") == ["1:1: cannot be read: No such file or directory"]
    assert load_paths(tmp_path / "none.yaml") is None


def test_where_things_lie_is_known_although_the_rest_is_wrong(tmp_path: Path) -> None:
    """A slip in one part of the file does not hide the slips in the profiles."""
    path = configuration(tmp_path, changes={"listen": "nonsense"})
    found = load_paths(path)
    assert found is not None
    assert found.profiles.samefile(ROOT / "profiles")
    assert load_paths(configuration(tmp_path, changes={"profiles": "[1]"})) is None


def test_the_number_of_workers_is_a_choice(tmp_path: Path) -> None:
    """A technician decides how many processes serve; without a choice the machine's cores do."""
    path = configuration(tmp_path)
    edit(path, "  listen: 127.0.0.1:8080\n", "  listen: 127.0.0.1:8080\n  workers: 7\n")
    assert settings(path).worker_count == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  workers: true", "10:12: 'workers' must be a whole number, not true"),
        ("  deadline_seconds: true", "10:21: 'deadline_seconds' must be a number, not true"),
        ("  ports: [true]", "10:11: 'ports' must be a whole number, not true"),
    ],
)
def test_true_is_no_number(tmp_path: Path, text: str, said: str) -> None:
    """A switch in the place of a number is a slip, and not a one."""
    path = configuration(tmp_path)
    edit(path, "  listen: 127.0.0.1:8080\n", f"  listen: 127.0.0.1:8080\n{text}\n")
    assert problems(path) == [said]
    assert settings(configuration(tmp_path)).gateway.deadline_seconds == 5


@pytest.mark.slow
def test_no_network_asks_for_a_sign_in_that_is_not_served(tmp_path: Path) -> None:
    """Nobody could get in: that is told before the school finds out."""
    path = configuration(tmp_path)
    edit(path, "name: Classrooms}", "name: Classrooms, sign_in: true}")
    assert "nobody could sign in here" in problems(path)[0]
    edit(path, "identity:\n", "identity:\n  portal: true\n")
    assert settings(path).client_networks[0].sign_in


def test_what_says_how_people_sign_in_reads_back_the_same(tmp_path: Path) -> None:
    """Workers read a copy of the settings: times, devices and the file of people come out as they went in."""
    path = configuration(tmp_path)
    more = 'identity:\n  people: people.yaml\n  day_ends: "16:30"\n  devices:\n'
    edit(path, "identity:\n", more + '    - {mac: "3C-52-82-0A-1B-2C", group: ks2, name: Tablet}\n')
    first = settings(path)
    copy = tmp_path / "elsewhere" / "copy.yaml"
    copy.parent.mkdir()
    copy.write_text(as_file(first), encoding="utf-8")
    again = settings(copy)
    assert again.identity.rules == first.identity.rules
    assert again.identity.registered == first.identity.registered
    assert again.identity.people == tmp_path / "people.yaml"


def test_a_single_sign_on_for_the_pages_that_is_none_is_told_with_its_place(tmp_path: Path) -> None:
    """S-40: `check` names the key, and no safeguarding lead finds a button that leads nowhere."""
    path = configuration(tmp_path)
    lines = "alerts:\n  pages: {listen: 127.0.0.1:8443, people: {dsl: [m.lead]}, single_sign_on: true}\n"
    path.write_text(path.read_text() + lines)
    (found,) = problems(path)
    assert "there is none: fill in identity.oidc" in found
    assert found.startswith("16:")
