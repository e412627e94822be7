"""How long joins are remembered, and that what is over is removed by and by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.clock import ManualClock
from ropeway.decide import Keep
from ropeway.message import Message
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.transition import FIRED_KEPT, OPEN_KEPT, Arrive, Join, Put, Transition

FOLLOWER = Message(id="follower", task="t")
TABLES = ("record", "join_point", "join_then", "join_member")

Make = Callable[[ManualClock, Path], Backend]


def memory(clock: ManualClock, _: Path) -> Backend:
    return MemoryBackend(clock)


def sqlite(clock: ManualClock, folder: Path) -> SqliteBackend:
    database = Database(folder / "ropeway.db", clock)
    return SqliteBackend(database, Blocking(database))


def made(backend: Backend, name: str = "j", need: int = 1) -> tuple[str, ...]:
    """Make a join; return what fired."""
    (answer,) = step(backend.commit([Transition(join=(Join(name, need, (FOLLOWER,)),))]))
    return answer.fired


def arrived(backend: Backend, *members: str, name: str = "j") -> tuple[str, ...]:
    """Let members arrive; return what fired."""
    arrive = tuple(Arrive(name, each) for each in members)
    (answer,) = step(backend.commit([Transition(arrive=arrive)]))
    return answer.fired


def pruned(backend: Backend, limit: int = 100) -> list[int]:
    """Prune until nothing is over; return what each call removed."""
    removed = [step(backend.prune(Keep(), limit))]
    while removed[-1]:
        removed.append(step(backend.prune(Keep(), limit)))
    return removed


@pytest.fixture(params=[memory, sqlite])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


def test_a_fired_join_is_remembered_for_a_day(make: Make, tmp_path: Path) -> None:
    """Until then it does not fire again; then it is forgotten, and the same join is a new one."""
    clock = ManualClock()
    backend = make(clock, tmp_path)
    made(backend)
    assert arrived(backend, "a") == ("j",)
    clock.advance(FIRED_KEPT - 1)
    assert pruned(backend) == [0]
    assert (made(backend), arrived(backend, "b")) == ((), ())
    clock.advance(2)
    assert sum(pruned(backend)) > 0
    assert (made(backend), arrived(backend, "a")) == ((), ("j",))
    step(backend.close())


def test_an_open_join_is_given_up_after_a_year(make: Make, tmp_path: Path) -> None:
    """What it holds is owed: it waits for its last member longer than any job is delayed."""
    clock = ManualClock()
    backend = make(clock, tmp_path)
    for name in ("waits", "given up"):
        made(backend, name, need=2)
        arrived(backend, "a", name=name)
    arrived(backend, "a", name="never made")
    clock.advance(OPEN_KEPT - 1)
    assert pruned(backend) == [0]
    assert arrived(backend, "b", name="waits") == ("waits",)
    clock.advance(2)
    assert sum(pruned(backend)) > 0
    assert arrived(backend, "b", name="given up") == ()
    assert made(backend, "never made") == ()
    step(backend.close())


def test_nothing_of_what_is_over_stays_in_the_file(tmp_path: Path) -> None:
    """Records, joins and members that are over are removed in steps, and no row of them is left."""
    clock = ManualClock()
    backend = sqlite(clock, tmp_path)
    for name in ("fired", "never fired"):
        made(backend, name, need=150 if name == "fired" else 151)
        arrived(backend, *map(str, range(150)), name=name)
    step(backend.commit([Transition(put=(Put(str(i), b"", ttl=1),)) for i in range(250)]))
    clock.advance(OPEN_KEPT + 1)
    removed = pruned(backend, limit=120)
    assert max(removed) <= 120
    assert sum(removed) == 250 + 2 * 151
    rows = " union all ".join(f"select count(*) from {table}" for table in TABLES)
    assert backend.database.read(lambda execute: execute(rows).fetchall()) == [(0,)] * len(TABLES)
    step(backend.close())
