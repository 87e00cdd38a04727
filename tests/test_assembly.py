from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance import assembly
from appliance.assembly import (
    load,
    notes,
    prepare,
    tell_problems,
    watch_edits,
    watch_lists,
    watch_policy,
)
from appliance.config.problems import Problem, ProblemsError
from appliance.config.snapshots import Snapshots
from appliance.gateway.ca import Authority
from appliance.lists.lists import Lists
from appliance.model.decision import Reason
from appliance.model.known import FloorState
from appliance.model.person import Person
from appliance.model.profile import Policy
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
    synthetic, roles, named = notes(loaded)
    assert "NOT COMPLIANT" in synthetic
    assert "nobody has the roles study, technical" in roles
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
    assembly._ensure_key(key)
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


# --- what watches ---

type Watched = tuple[Snapshots, Path]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return a small published policy and the profile that it holds."""
    monkeypatch.setattr(assembly, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(assembly, "RETRY_SECONDS", 0.01)
    folder = tmp_path / "profiles" / "school"
    folder.mkdir(parents=True)
    (folder / "set.yaml").write_text(
        "set: school\ntitle: School\ntimezone: Europe/London\nstrictest: ks2\n", encoding="utf-8"
    )
    profile = folder / "ks2.yaml"
    profile.write_text(
        "profile: ks2\ntitle: Key Stage 2\naudience: ks2\n"
        "unknown: {action: allow, because: Nobody knows this site.}\n"
        "rules:\n  games: {rating: unacceptable, because: Games are for the break.}\n",
        encoding="utf-8",
    )
    categories = tmp_path / "categories.yaml"
    categories.write_text(
        "categories:\n  games: {title: Games, severity: low, risk: content, plain: games, simple: games, "
        'standards: ["W:472"]}\n',
        encoding="utf-8",
    )
    store = Snapshots(tmp_path / "state", tmp_path / "profiles", categories)
    store.publish()
    return store, profile


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for are files, which set no event
            await asyncio.sleep(0.005)


async def watching(watch: Awaitable[None], scenario: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.ensure_future(watch)
    try:
        await scenario()
    finally:
        task.cancel()


def change(profile: Path) -> None:
    profile.write_text(profile.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")


@pytest.mark.slow
async def test_a_published_policy_is_put_in_force(watched: Watched) -> None:
    """An edit reaches every worker within a second."""
    store, profile = watched
    used: list[Policy] = []

    async def scenario() -> None:
        await asyncio.sleep(0.02)
        assert used == []
        change(profile)
        version = store.publish().version
        await until(lambda: used)
        assert used[0].version == version

    await watching(watch_policy(store, store.current(), used.append), scenario)


async def test_a_policy_published_while_the_worker_started_is_not_missed(watched: Watched) -> None:
    """An edit in the moment of a worker's start is in force there as everywhere."""
    store, _ = watched
    used: list[Policy] = []
    await watching(watch_policy(store, "the version from before", used.append), lambda: until(lambda: used))


@pytest.mark.slow
async def test_a_copy_that_cannot_be_read_leaves_the_policy_in_force(watched: Watched) -> None:
    """A damaged copy changes nothing, and the next good one is taken."""
    store, profile = watched
    used: list[Policy] = []
    pointer = store._store / "current"

    async def scenario() -> None:
        for junk in (b"sha256:gone\n", b"\xff\xfe"):
            pointer.write_bytes(junk)
            await asyncio.sleep(0.05)
        assert used == []
        change(profile)
        store.publish()
        await until(lambda: used)

    await watching(watch_policy(store, store.current(), used.append), scenario)


@pytest.mark.slow
async def test_edits_are_published_or_told(watched: Watched) -> None:
    """A good edit is in force by itself; a broken one changes nothing and is told once."""
    store, profile = watched
    good = profile.read_text(encoding="utf-8")
    changed: list[Policy] = []
    broken: list[ProblemsError | OSError] = []
    first = store.current()

    async def scenario() -> None:
        await asyncio.sleep(0.1)
        assert (changed, broken) == ([], [])
        profile.write_text("profile: [", encoding="utf-8")
        await until(lambda: broken)
        await asyncio.sleep(0.1)
        assert (len(broken), changed, store.current()) == (1, [], first)
        profile.write_text(f"{good}# better\n", encoding="utf-8")
        await until(lambda: changed)
        assert store.current() == changed[0].version != first
        assert len(changed) == len(broken) == 1

    await watching(watch_edits(store, changed.append, broken.append), scenario)


async def test_an_edit_made_while_the_gateway_started_is_not_missed(watched: Watched) -> None:
    """What was saved between the first reading and the watching is in force all the same."""
    store, profile = watched
    change(profile)
    changed: list[Policy] = []
    await watching(watch_edits(store, changed.append, lambda _: None), lambda: until(lambda: changed))


async def test_lists_are_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was compiled anew is in force within a second."""
    monkeypatch.setattr(assembly, "POLL_SECONDS", 0.001)
    refreshed: list[bool] = []

    class Counting(Lists):
        def __init__(self) -> None:
            """Open nothing."""

        def refresh(self) -> bool:
            refreshed.append(True)
            return len(refreshed) == 2

    changed: list[int] = []
    work = watch_lists(Counting(), lambda: changed.append(len(refreshed)))
    await watching(work, lambda: until(lambda: len(refreshed) > 3))
    assert changed == [2], "what was allowed by the old lists is judged again"


def test_what_is_wrong_with_an_edit_is_said_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """The technician at the terminal reads that nothing changed, and every problem at its line."""
    tell_problems(ProblemsError([Problem("a.yaml", 1, 2, "wrong"), Problem("b.yaml", 3, 4, "also wrong")]))
    said = capsys.readouterr().err
    assert "the policy from before stays" in said
    assert "a.yaml:1:2: wrong\nb.yaml:3:4: also wrong\n" in said


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
