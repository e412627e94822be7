"""Many calls for Redis: client and server work at the same time, and nothing is lost by that."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
import redis

from ropeway import Ropeway
from ropeway.backends.redis.blocking_wire import BlockingWire
from ropeway.calls import Call
from ropeway.errors import BadArguments
from ropeway.jobs import seen
from ropeway.message import job_key
from ropeway.states import State
from ropeway.stepping import step
from ropeway.task import Task
from tests.servers.valkey import Valkey


def test_many_calls_are_made_while_the_server_works_on_the_last(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next thousand is drawn before answers are waited for; one that raises ends it cleanly.

    Broken: client and server work by turns; or answers of before are taken for those of later calls.
    """
    app, add, ids = _sender(valkey)
    app.send_many([add.call(0)])
    steps: list[str] = []
    read = BlockingWire._read

    def noted(wire: BlockingWire) -> object:
        steps.append("read")
        return read(wire)

    monkeypatch.setattr(BlockingWire, "_read", noted)

    def calls(last: int) -> Iterator[Call[int]]:
        for n in range(2_500):
            steps.append("draw")
            yield add.call(n if n < last else "no")  # type: ignore[arg-type]  # refused

    assert len({job.id for job in app.send_many(calls(2_500))}) == 2_500
    assert steps[:2_001] == [*["draw"] * 2_000, "read"]
    with pytest.raises(BadArguments):
        app.send_many(calls(2_400))
    assert ids() == 1 + 2_500 + 2_000
    assert add.send(1).status() is State.QUEUED
    step(app.connection.blocking().close())


def test_many_calls_whose_connection_is_cut_are_each_there_once(valkey: Valkey) -> None:
    """What had no answer is sent again by itself.

    Broken: a call is lost, or its job is not that of its place.
    """
    app, add, ids = _sender(valkey)

    def calls() -> Iterator[Call[int]]:
        for n in range(5_000):
            if n in {1_500, 3_200}:
                redis.Redis.from_url(valkey.url).client_kill_filter(_type="normal", skipme=True)
            yield add.call(n)

    jobs = app.send_many(calls())
    assert len({job.id for job in jobs}) == 5_000
    assert ids() == 5_000
    records = step(app.connection.blocking().get([job_key(jobs[4_321].id)]))
    assert records[0] is not None
    assert b"4321" in seen(records[0]).record.message.body
    step(app.connection.blocking().close())


def _sender(valkey: Valkey) -> tuple[Ropeway, Task[[int], int], Callable[[], int]]:
    """Return an app, its task, and what says how many jobs there are."""
    namespace = f"many-{secrets.token_hex(4)}"
    app = Ropeway(f"{valkey.url}?namespace={namespace}")

    def ids() -> int:
        with redis.Redis.from_url(valkey.url) as client:
            return int(client.zcard(f"{{{namespace}}}:ids"))

    return app, app.task(_same), ids


def _same(n: int) -> int:
    return n
