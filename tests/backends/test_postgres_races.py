"""What only a server with several open transactions can get wrong, forced to happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from ropeway.backends.postgres import Address, Link, PostgresBackend
from ropeway.backends.postgres.sessions import Connection
from ropeway.states import State
from ropeway.testing.conformance.steps import Claimer, apply, ids, job, message, settled
from ropeway.transition import Arrive, Cancel, Finish, Join, Put, Transition, Update
from tests.backends.postgres_rig import database, schema_url, side
from tests.conftest import AsyncEventually

__all__ = ["database", "schema_url", "side"]

_DONE = Finish(State.SUCCEEDED)


@pytest.fixture
async def backends(schema_url: str) -> AsyncIterator[Callable[[], PostgresBackend]]:
    """Return what makes backends on one schema, closed at the end."""
    made: list[PostgresBackend] = []

    def make() -> PostgresBackend:
        made.append(PostgresBackend(Link(Address.of(schema_url))))
        return made[-1]

    await make().open()
    yield make
    for backend in made:
        await backend.close()


async def _is_waiting(side: Connection, count: int = 1) -> bool:
    """Whether so many sessions of this database wait for a lock."""
    asked = "select count(*) from pg_stat_activity where datname = current_database() and {}"
    found: int = await side.fetchval(asked.format("wait_event_type = 'Lock'"))
    return found >= count


async def test_a_repeated_send_beside_the_settle_of_its_job(
    backends: Callable[[], PostgresBackend], side: Connection, aeventually: AsyncEventually
) -> None:
    """A message that is sent again while its job is on its way to the settled is not sent anew.

    The insert waits for the settle, finds the id free, and the settled job is too new for it to see.
    """
    backend, other, new = backends(), backends(), message()
    await backend.commit([Transition(publish=(new,))])
    (delivery,) = await Claimer(backend, "w", 60.0).take(1)
    schema = await side.fetchval("select current_schema()")
    async with side.transaction():
        await side.execute(
            f"with gone as (delete from {schema}.job returning *) insert into {schema}.finished "
            "(serial, due, enqueued, finished, purge, attempt, failures, losses, releases, unknown, "
            "version, state, band, id, task, queue, body) select serial, place, enqueued, 1e9, 1e12,"
            " 1, 0, 0, 0, 0, 3, 2, band, id, task, queue, body from gone"
        )
        again = asyncio.ensure_future(other.commit([Transition(publish=(new,))]))
        watcher = await asyncpg.connect(backend.link.address.dsn)
        await aeventually(lambda: _is_waiting(watcher))
        await watcher.close()
    (answer,) = await again
    assert answer.status == "repeated"
    assert (await job(backend, new.id)).state is State.SUCCEEDED
    assert await Claimer(backend, "x", 60.0).take(9) == []
    assert delivery.fence.id == new.id


async def test_a_commit_that_needs_more_locks_than_it_names(
    backends: Callable[[], PostgresBackend],
) -> None:
    """The key of a job is known only when it is loaded: cancelling and moving begin again with it."""
    backend, other = backends(), backends()
    messages = [message(key=f"k{number % 3}", limits=("l",)) for number in range(30)]
    await backend.commit([Transition(publish=(each,)) for each in messages])
    cancels = [Transition(cancel=(Cancel(each.id),)) for each in messages[:10]]
    moves = [Transition(update=(Update(each.id, queue="q"),)) for each in messages[10:20]]
    answers = await asyncio.gather(
        *(backend.commit([each]) for each in cancels), *(other.commit([each]) for each in moves)
    )
    assert all(answer.ok for (answer,) in answers)
    taken: list[str] = []
    for queue in ("default", "q"):
        me = Claimer(backend, "w", 60.0)
        while found := await me.take(9, queue):
            keys = [each.message.key for each in found]
            assert len(set(keys)) == len(keys)
            taken += ids(found)
            await backend.commit([settled(each, _DONE) for each in found])
    assert sorted(taken) == sorted(ids(messages[10:]))


async def test_no_two_commits_wait_in_a_circle(
    backends: Callable[[], PostgresBackend], side: Connection
) -> None:
    """Commits that name the same things in another order wait for each other, and all go through."""
    first, second = backends(), backends()
    keys = [f"r{number}" for number in range(40)]
    messages = [message(key=f"k{number}") for number in range(20)]
    await first.commit([Transition(publish=(each,)) for each in messages])

    def batch(turn: int) -> list[Transition]:
        order = keys if turn % 2 else keys[::-1]
        jobs = messages if turn % 2 else messages[::-1]
        changes = [Transition(put=(Put(key, b"%d" % turn),)) for key in order]
        changes += [Transition(update=(Update(each.id, band=turn % 9),)) for each in jobs]
        return [*changes, *(Transition(arrive=(Arrive(key, f"{turn}"),)) for key in order)]

    before = await _deadlocks(side)
    answers = await asyncio.gather(
        *(each.commit(batch(turn)) for turn in range(12) for each in (first, second))
    )
    assert all(answer.ok for some in answers for answer in some)
    assert await _deadlocks(side) == before
    then = message()
    fired = await apply(first, join=(Join("r0", 12, (then,)),))
    assert fired.fired == ("r0",)


async def _deadlocks(side: Connection) -> int:
    await asyncio.sleep(0)
    await side.execute("select pg_stat_clear_snapshot()")
    asked = "select deadlocks from pg_stat_database where datname = current_database()"
    found: int = await side.fetchval(asked)
    return found


async def test_a_settle_that_keeps_nothing_may_be_repeated(
    backends: Callable[[], PostgresBackend],
) -> None:
    """With `keep=0` the same settle again is known as well, from any handle, and another is not."""
    backend, other, none = backends(), backends(), Finish(State.SUCCEEDED, keep=0.0)
    await backend.commit([Transition(publish=(message(key=key),)) for key in (None, "k")])
    for each in await Claimer(backend, "w", 60.0).take(2):
        assert (await backend.commit([settled(each, none)]))[0].status == "applied"
        for handle in (backend, other):
            assert (await handle.commit([settled(each, none)]))[0].status == "repeated"
        (answer,) = await backend.commit([settled(each, _DONE)])
        assert (answer.reason, answer.current) == ("lost", 0)


async def test_a_text_that_cannot_be_stored(backends: Callable[[], PostgresBackend]) -> None:
    """PostgreSQL has no text with a NUL in it: whoever sends one is told so, and nothing is sent."""
    backend = backends()
    with pytest.raises(ValueError, match="take out the NUL"):
        await backend.commit([Transition(publish=(message(task="a\0b"),))])
    with pytest.raises(ValueError, match="take out the NUL"):
        await backend.commit([Transition(publish=(message(key="a\0b"),))])
    assert (await backend.stats(["default"], 9))[0].ready == 0
