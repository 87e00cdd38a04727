"""How a worker is replaced by another while it serves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance import supervisor
from appliance.supervisor import Supervisor
from tests.test_supervisor import SERVE, Counters, Started, alive, keep, pids, program, python, until

LEAVES = """
def leave(*_):
    open(os.environ['LEFT'], 'a').write(f'{os.getpid()}\\n')
    sys.exit(0)
signal.signal(signal.SIGUSR1, leave)
"""


@pytest.mark.slow
def test_a_worker_is_renewed_without_a_moment_in_which_nobody_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new worker serves before the old one is asked to leave, and that is no restart after a death."""
    monkeypatch.setenv("LEFT", str(tmp_path / "left"))
    left = tmp_path / "left"

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: keeper._slots[0].serving)
        (first,) = pids(keeper)
        keeper.renew(0, "age")
        while pids(keeper) == [first]:
            assert keeper._slots[0].serving
            await asyncio.sleep(0.001)
        assert alive(pids(keeper)[0])
        await until(lambda: left.exists() and left.read_text() == f"{first}\n")
        await until(lambda: not alive(first))
        assert keeper.serving[0].pid == pids(keeper)[0] != first

    counters = keep(python(LEAVES, SERVE), scenario)
    assert (counters.restarts, counters.renewed) == (0, ["age"])


@pytest.mark.slow
def test_a_worker_stays_where_its_successor_does_not_come(caplog: pytest.LogCaptureFixture) -> None:
    """A renewal that fails costs a line in the log, and nobody is sent away for it."""
    starts = iter([python(SERVE), python("sys.exit(1)"), program("/nonexistent/python")])

    async def start(place: int) -> Started:
        return await next(starts)(place)

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: keeper._slots[0].serving)
        (first,) = pids(keeper)
        for count in (1, 2):
            keeper.renew(0, "memory")
            await until(lambda: caplog.text.count("the old one goes on") >= count)  # noqa: B023 - at once
            assert pids(keeper) == [first]
            assert alive(first)

    counters = keep(start, scenario)
    assert (counters.restarts, counters.renewed) == (0, [])


@pytest.mark.slow
def test_a_worker_that_does_not_leave_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's endless download does not keep an old worker for ever."""
    monkeypatch.setattr(supervisor, "_GRACE_SECONDS", 0.1)

    async def scenario(keeper: Supervisor) -> None:
        await until(lambda: keeper._slots[0].serving)
        (first,) = pids(keeper)
        keeper.renew(0, "age")
        await until(lambda: pids(keeper) != [first])
        await until(lambda: not alive(first))

    keep(python("signal.signal(signal.SIGUSR1, signal.SIG_IGN)", SERVE), scenario)


@pytest.mark.slow
def test_workers_can_be_left_to_whoever_comes_next() -> None:
    """When the program starts anew, its workers go on serving, and it says which they are."""
    began: list[Started] = []

    async def start(place: int) -> Started:
        began.append(await python(SERVE)(place))
        return began[-1]

    async def run() -> list[int]:
        keeper = Supervisor(start, 2, Counters())
        task = asyncio.create_task(keeper.run(lambda: None))
        await until(lambda: len(keeper.serving) == 2 and keeper.settled)
        found = keeper.let_go()
        await task
        assert found == sorted(pids(keeper))
        assert all(alive(pid) for pid in found)
        for each in began:
            each.kill()
            await each.wait()
        return found

    assert len(asyncio.run(run())) == 2
