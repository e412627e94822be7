"""Round trips: a lone message is published, and claimed, in one each, whatever goes wrong in it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import msgspec
import pytest

from ropeway.backends.postgres import Address, Link, PostgresBackend
from ropeway.backends.postgres.hints import Hints, payloads, unpacked
from ropeway.backends.postgres.sessions import Connection
from ropeway.claims import Claim
from ropeway.errors import Indeterminate
from ropeway.ids import new_id
from ropeway.message import Delivery, Fence, Message, job_key
from ropeway.states import State
from ropeway.transition import Answer, Append, Finish, Transition
from tests.backends.postgres_rig import database, schema_url, side
from tests.servers.fixtures import open_folder
from tests.servers.postgres import Postgres

__all__ = ["database", "schema_url", "side"]

# What stands for the procedures of the schema, with another end.
_ENDING_BADLY = """
create or replace procedure publish_alike_and_tell(joined text, bodies bytea[], task text, queue text,
    band smallint, kind smallint, due float8, delay float8, expiry float8, within float8, head bytea,
    channel text, hints text[], inout known text[]) language plpgsql as $$
begin
    known := publish_alike(string_to_array(joined, ','), bodies, task, queue, band, kind, due, delay,
        expiry, within, head);
    commit;
    raise exception 'as planned' using errcode = '{code}';
end $$;
create or replace procedure publish_and_tell(ids text[], tasks text[], queues text[], bands smallint[],
    kinds smallint[], dues float8[], delays float8[], expiries float8[], withins float8[],
    heads bytea[], bodies bytea[], channel text, hints text[], inout known text[]) language plpgsql
as $$
begin
    known := publish(ids, tasks, queues, bands, kinds, dues, delays, expiries, withins, heads, bodies);
    commit;
    raise exception 'as planned' using errcode = '{code}';
end $$;
"""


@pytest.fixture
async def backend(schema_url: str) -> AsyncIterator[PostgresBackend]:
    """Return a backend that is open, and listens."""
    backend = PostgresBackend(Link(Address.of(schema_url)))
    await backend.open()
    await backend.wait(["queue/default"], 0)
    yield backend
    await backend.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the statements that are sent, from now on."""
    sent: list[str] = []
    for verb in "fetch", "fetchval", "execute":
        monkeypatch.setattr(asyncpg.Connection, verb, _noting(verb, sent))
    return sent


def _noting(verb: str, sent: list[str]) -> Callable[..., object]:
    real = getattr(asyncpg.Connection, verb)

    def note(connection: Connection, statement: str, *values: object) -> object:
        sent.append(statement)
        return real(connection, statement, *values)

    return note


def _message(**fields: Any) -> Transition:
    return Transition(publish=(Message(id=new_id(), task="t", **fields),))


async def _receive(backend: PostgresBackend, holder: str = "me/1") -> list[Delivery]:
    return await backend.receive([Claim("default", 9)], holder, 60)


async def test_a_lone_message_is_one_round_trip_each_way(
    backend: PostgresBackend, asked: list[str]
) -> None:
    """Published and told of in one, looked for and leased in one, settled in one."""
    await backend.commit([_message()])
    assert len(asked) == 1
    (delivery,) = await _receive(backend)
    assert len(asked) == 2
    await backend.commit([Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED))])
    assert len(asked) == 3


async def test_events_are_appended_in_one_round_trip_and_read_in_one(
    backend: PostgresBackend, asked: list[str]
) -> None:
    """To several logs, and told of; who waits for them asks nobody."""
    await backend.wait(["log/a"], 0)
    appends = (Append("a", b"1"), Append("b", b"2"), Append("a", b"3"))
    (answer,) = await backend.commit([Transition(append=appends)])
    assert answer.offsets == {"a": 2, "b": 1}
    assert len(asked) == 1
    assert await backend.wait(["log/a"], 0.4) == ["log/a"]
    assert [each.value for each in await backend.read("a")] == [b"1", b"3"]
    assert len(asked) == 2


@pytest.mark.parametrize("code", ["54000", "53100"])
async def test_what_could_not_be_told_is_published_once(
    code: str, backend: PostgresBackend, side: Connection
) -> None:
    """As when the server's queue of notifications is full: the message is there before that."""
    await backend.commit([_message()])
    await side.execute(_ENDING_BADLY.format(code=code))
    for commit in [_message(), _message()], [_message(), _message(band=7)]:  # alike, and not
        assert {answer.ok for answer in await backend.commit(commit)} == {True}
        assert await backend.commit(commit) == 2 * [Answer(status="repeated")]
    assert len(await _receive(backend)) == 5


async def test_what_is_ended_in_the_middle_may_have_been_published(
    backend: PostgresBackend, side: Connection
) -> None:
    """So the sender is told that nobody knows, and may send the same again."""
    await backend.commit([_message()])
    await side.execute(_ENDING_BADLY.format(code="57014"))
    transition = _message()
    with pytest.raises(Indeterminate):
        await backend.commit([transition])
    assert len(await _receive(backend)) == 2


async def test_settles_of_one_batch_are_answered_and_told_of_one_by_one(
    backend: PostgresBackend, asked: list[str]
) -> None:
    """One round trip where all hold; what does not hold is not noted as done with the others."""
    await backend.commit([_message() for _ in range(3)])
    first, second, third = await _receive(backend)
    settled = [
        Transition(fence=each.fence, settle=Finish(State.SUCCEEDED, keep=0.0))
        for each in (third, first, second)
    ]
    lost = msgspec.structs.replace(settled[1], fence=Fence(first.fence.id, 1, "another/1"))
    mixed = [settled[0], lost, settled[2]]
    told = backend.link.telling([job_key(second.fence.id)]).tokens
    await backend.wait([*told], 0)
    for answers in await backend.commit(mixed), await backend.commit(mixed):
        assert [each.ok for each in answers] == [True, False, True]
    assert await backend.wait([*told], 0) == [*told]
    assert await backend.commit([settled[0], settled[2]]) == 2 * [Answer(status="repeated")]
    del asked[:]
    assert [each.ok for each in await backend.commit([settled[1]])] == [True]
    assert len(asked) == 1


def test_a_hint_says_who_tells() -> None:
    """However many texts it takes; who told it himself does not look again."""
    tokens = [f"queue/{number}" for number in range(2_000)]
    texts = [*payloads(tokens, Hints().teller)]
    assert len(texts) > 1
    assert max(map(len, texts)) < 8000
    assert {unpacked(text)[0] for text in texts} != {""}
    assert [token for text in texts for token in unpacked(text)[1]] == tokens
    assert [*payloads([], "me")] == []


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """Return a server to be killed; what no commit flushes it would flush long after that."""
    with open_folder() as folder:
        server = Postgres(folder / "server", wal_writer_delay="10s")
        server.start()
        yield server
        server.stop()


async def _crash(server: Postgres, backend: PostgresBackend) -> None:
    os.kill(server.server.pid, signal.SIGQUIT)  # none of its processes flushes anything
    server.stop()
    server.start()
    await backend.now()  # finds out that its connections are gone


async def _unflushed(server: Postgres) -> Transition:
    """Publish as far as the procedures do before they wait for the disk."""
    transition = _message(body=b"[]")
    (message,) = transition.publish
    server.sql(
        "set search_path = ropeway; set synchronous_commit = off;"
        f" select publish_alike(array['{message.id}'], array['[]'::bytea], '{message.task}',"
        f" '{message.queue}', {message.band}::smallint, 0::smallint, null, 0, null, null, null)",
        "jobs",
    )
    return transition


async def test_what_anybody_was_told_outlives_a_crash_of_the_server(own_server: Postgres) -> None:
    """A send that was answered, a known message that was, and a claim of what nobody flushed."""
    backend = PostgresBackend(Link(Address.of(own_server.create("jobs"))))
    await backend.commit([_message()])
    lost = await _unflushed(own_server)
    await _crash(own_server, backend)
    # So what is asked for below is seen to be done by those who ask.
    assert await backend.commit([lost]) == [Answer(status="applied")]
    known = await _unflushed(own_server)
    assert await backend.commit([known]) == [Answer(status="repeated")]
    await _crash(own_server, backend)
    assert len(await _receive(backend)) == 3
    await _unflushed(own_server)
    (delivery,) = await _receive(backend)
    await _crash(own_server, backend)
    # No number of an attempt is given out twice, while the first may still be running.
    assert await _receive(backend, "somebody else/1") == []
    assert await backend.extend([delivery.fence], 60) == ["held"]
    await backend.close()
