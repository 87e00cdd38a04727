from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from appliance import assembly
from appliance.assembly import load, notes, prepare
from appliance.config.problems import ProblemsError
from appliance.gateway.ca import Authority
from appliance.model.decision import Reason
from appliance.model.known import FloorState
from appliance.model.person import Person
from appliance.model.request import Request
from appliance.model.url import parse_host, parse_url
from tests.doubles.school import configuration, edit

KS2 = "profiles/westways/ks2.yaml"


def problems(path: Path) -> list[str]:
    with pytest.raises(ProblemsError) as raised:
        load(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in raised.value.problems]


@pytest.mark.slow
def test_the_shipped_files_can_be_loaded(tmp_path: Path) -> None:
    """What ships starts; noted is what is openly not compliant (DFE-F3), and what cannot open yet."""
    loaded = load(configuration(tmp_path))
    assert loaded.settings.school.set in loaded.policy.sets
    synthetic, roles, quiet, named = notes(loaded)
    assert "NOT COMPLIANT" in synthetic
    assert "nobody has the roles study, technical" in roles
    assert "nobody is told of what is flagged" in quiet
    assert named.startswith("rules for named users in staff (")


@pytest.mark.slow
def test_what_a_governor_should_know_is_noted(tmp_path: Path) -> None:
    """A gateway that recognises nobody is no error, but it is said."""
    path = configuration(tmp_path)
    edit(path, "identity:\n  networks:\n    - {network: 10.20.0.0/16, group: ks2, name: Classrooms}\n", "")
    assert any("everybody is unknown and gets the profile 'eyfs'" in note for note in notes(load(path)))


@pytest.mark.slow
def test_everything_that_is_wrong_anywhere_is_said_at_once(tmp_path: Path) -> None:
    """Configuration, profiles, catalogue and help lines are repaired in one round, each at its line."""
    path = configuration(tmp_path, own_files=True, changes={"listen": "nonsense"})
    edit(tmp_path / KS2, "audience: ks2", "audience: ks22")
    edit(tmp_path / "blocklists/catalogue.yaml", "title:", "titel:")
    edit(tmp_path / "blocklists/help.yaml", "name:", "nmae:")
    edit(tmp_path / "profiles/west/ks3.yaml", "profile: ks3", "profile: ks4")
    found = problems(path)
    lists = ("blocklists/catalogue.yaml", "blocklists/help.yaml")
    for file in ("appliance.yaml:9:11", KS2, *lists, "profiles/west/ks3.yaml"):
        assert any(line.startswith(file) for line in found), file


@pytest.mark.slow
@pytest.mark.parametrize("profile_too", [False, True])
def test_an_unknown_group_is_found_also_beside_a_broken_profile(tmp_path: Path, *, profile_too: bool) -> None:
    """A group without a profile would fall to the strictest one unnoticed; the nearest name is suggested."""
    path = configuration(tmp_path, own_files=True)
    edit(path, "group: ks2", "group: ks3")
    if profile_too:
        edit(tmp_path / KS2, "audience: ks2", "audience: ks22")
    found = problems(path)
    assert any(
        line.startswith("appliance.yaml:12:38: unknown group 'ks3'; did you mean 'ks") for line in found
    )
    assert len(found) == 1 + profile_too


@pytest.mark.slow
@pytest.mark.parametrize("profile_too", [False, True])
def test_an_unknown_set_is_found(tmp_path: Path, *, profile_too: bool) -> None:
    """A school whose set does not exist does not start without rules."""
    path = configuration(tmp_path, own_files=True, changes={"set": "westway"})
    if profile_too:
        edit(tmp_path / KS2, "audience: ks2", "audience: ks22")
    said = "appliance.yaml:3:8: unknown set 'westway'; did you mean 'westways'? Also possible: west"
    assert said in problems(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file or directory"), ("junk", "holds no certificate in PEM form")],
)
def test_extra_roots_are_looked_at_before_the_start(tmp_path: Path, content: str | None, said: str) -> None:
    """A wrong file of roots is found by `check`, not by the first lesson on the intranet."""
    path = configuration(tmp_path)
    edit(path, "  listen: 127.0.0.1:8080\n", "  listen: 127.0.0.1:8080\n  extra_roots: roots.pem\n")
    if content is not None:
        (tmp_path / "roots.pem").write_text(content, encoding="utf-8")
    (found,) = problems(path)
    assert found.startswith("appliance.yaml:10:16: ")
    assert found.endswith(said)


def test_a_configuration_that_names_no_paths_is_only_itself_wrong(tmp_path: Path) -> None:
    """Without paths there is nothing more to look at, and that is said once."""
    assert len(problems(configuration(tmp_path, changes={"profiles": "[1]"}))) == 1


# --- the first start ---


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> assembly.Loaded:
    """Return a configuration whose first start has been prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPLIANCE_STATE", str(folder / "state"))
        loaded = load(configuration(folder))
    prepare(loaded.settings)
    return loaded


@pytest.mark.slow
def test_the_first_start_makes_what_is_missing(prepared: assembly.Loaded) -> None:
    """One command is enough on a fresh machine: CA, keys, lists and policy are made."""
    state = prepared.settings.state
    key = state / "keys" / "review.key"
    assert len(key.read_bytes()) == 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert (state / "ca" / "ca.pem").exists()
    assert assembly.snapshots(prepared.settings).current() == prepared.policy.version
    assert assembly.open_lists(prepared.settings).status().floor.state is FloorState.OK


@pytest.mark.slow
def test_the_second_start_keeps_it(prepared: assembly.Loaded) -> None:
    """A restart gives no device a new CA to trust, and makes no form that is open invalid."""
    state = prepared.settings.state
    before = {name: (state / name).read_bytes() for name in ("ca/ca.pem", "ca/ca-key.pem", "keys/review.key")}
    prepare(prepared.settings)
    assert {name: (state / name).read_bytes() for name in before} == before


@pytest.mark.slow
def test_workers_that_start_alone_at_once_make_one_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several units of one worker each, on their first start, end up with one CA and one key."""
    monkeypatch.setenv("APPLIANCE_STATE", str(tmp_path / "fresh"))
    settings = load(configuration(tmp_path)).settings
    threads = [threading.Thread(target=prepare, args=(settings,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Authority(settings.state / "ca").leaf("a.example")
    assert len((settings.state / "keys" / "review.key").read_bytes()) == 32
    assert assembly.snapshots(settings).current()


def test_a_half_written_key_is_never_used(tmp_path: Path) -> None:
    """A power cut while the review key is made leaves none, rather than one that can be guessed."""
    key = tmp_path / "keys" / "review.key"
    key.parent.mkdir()
    key.with_suffix(".new").write_bytes(b"")
    assembly.ensure_key(key)
    assert len(key.read_bytes()) == 32
    assert [path.name for path in key.parent.iterdir()] == ["review.key"]


@pytest.mark.slow
def test_a_state_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong path is named before anything is half made."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    settings = load(configuration(tmp_path)).settings
    paths = settings.paths.model_copy(update={"state": tmp_path / "file" / "state"})
    with pytest.raises(OSError, match="file"):
        prepare(settings.model_copy(update={"paths": paths}))
    monkeypatch.setenv("APPLIANCE_STATE", str(tmp_path / "file" / "state"))
    (found,) = problems(configuration(tmp_path))
    assert found.startswith("appliance.yaml:5:10: APPLIANCE_STATE is set to ")
    assert found.endswith("file is a file; the state needs a folder (made if missing)")


@pytest.mark.slow
def test_the_journey_is_joined_from_the_settings(prepared: assembly.Loaded) -> None:
    """Who asks, what is known and what lies inside come from the one configuration."""
    lists = assembly.open_lists(prepared.settings)
    journey = assembly.filtering(prepared.settings, prepared.policy, lists)
    assert journey.identify("10.20.0.9").group == "ks2"
    assert journey.identify("192.0.2.9").group == "eyfs"
    blocked = journey.judge(Request(parse_url("https://gambling.example/"), client="10.20.0.9")).decision
    assert (blocked.reason, blocked.category) == (Reason.UNACCEPTABLE, "gambling")
    inside = journey.judge(Request(parse_url("http://printer.lan/"), client="10.20.0.9")).decision
    assert inside.reason is Reason.OWN_NETWORK
    west = assembly.filtering(prepared.settings, prepared.policy, lists, "west")
    assert west.judge(Request(parse_url("https://a.example/")), Person("ks5", "x")).profile.id == "ks5"


@pytest.mark.slow
def test_names_given_by_hand_are_reachable(tmp_path: Path) -> None:
    """An intranet name that ends in .local works once a technician gave it an address."""
    path = configuration(tmp_path)
    names = "  static_hosts: {intranet.local: [10.0.5.20]}\n"
    edit(path, "  listen: 127.0.0.1:8080\n", f"  listen: 127.0.0.1:8080\n{names}")
    reach = assembly.reach(load(path).settings)
    assert reach.refuses(parse_host("intranet.local")) == ""
    assert reach.refuses(parse_host("printer.local"))
    assert reach.refuses(parse_host("10.0.5.20"))


@pytest.mark.slow
def test_a_missing_table_closes_and_does_not_raise(tmp_path: Path) -> None:
    """A worker without compiled lists serves the closed page, and does not die in a loop."""
    lists = assembly.open_lists(load(configuration(tmp_path)).settings)
    assert lists.lookup(parse_url("https://a.example/")).floor.state is not FloorState.OK


@pytest.mark.slow
def test_a_statutory_list_cannot_be_left_out(tmp_path: Path) -> None:
    """No setting turns the floor off, so neither does deleting its entry from the catalogue (DFE-F2)."""
    path = configuration(tmp_path, own_files=True)
    edit(tmp_path / "blocklists/catalogue.yaml", "category: terrorism", "category: csam")
    assert any("feeds 'terrorism' (DFE-F2)" in line for line in problems(path))


@pytest.mark.slow
@pytest.mark.parametrize("address", ["co.uk", "chi ldline"])
def test_a_careless_help_line_is_found_before_the_start(tmp_path: Path, address: str) -> None:
    """Help is open to everybody: an address that is none, or covers a country, is told by its place."""
    path = configuration(tmp_path, own_files=True)
    edit(tmp_path / "blocklists/help.yaml", "addresses: [", f"addresses: [{address}, ")
    assert any(line.startswith("blocklists/help.yaml:") and repr(address) in line for line in problems(path))
