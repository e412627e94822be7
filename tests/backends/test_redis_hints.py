"""Hints of Redis: of many ends in one commit, those are told of which somebody waits for."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from ropeway import Ropeway
from ropeway.backends.redis.address import parse
from ropeway.backends.redis.backend import POLL, RedisBackend
from ropeway.backends.redis.looped import LoopedLink
from ropeway.claims import Claim
from ropeway.errors import ResultTimeout
from ropeway.jobs import seen
from ropeway.message import Failure
from ropeway.results import _ending_of, _told
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Told
from ropeway.testing.conformance.steps import sent
from ropeway.transition import Finish, Revive, Transition
from tests.backends.redis_world import World
from tests.conftest import AsyncEventually, Eventually
from tests.servers.valkey import Valkey
from tests.servers.valkeys import said

_MANY = 20


@pytest.mark.parametrize("may_ask", [True, False])
async def test_many_ends_are_told_to_those_who_wait(
    valkey: Valkey, aeventually: AsyncEventually, may_ask: bool
) -> None:
    """Also when the user of the server may not ask who waits: then all are told."""
    world = World(valkey.url)
    less = "" if may_ask else " -pubsub"
    said(valkey.port, f"ACL SETUSER {world.namespace} on >pw ~* &* +@all{less}")
    url = valkey.url.replace("//", f"//{world.namespace}:pw@")
    backend, waiter = (
        RedisBackend(LoopedLink(parse(f"{url}?namespace={world.namespace}"))) for _ in range(2)
    )
    await sent(backend, _MANY)
    deliveries = await backend.receive([Claim("default", _MANY)], "me", 60.0)
    wanted = f"job/{deliveries[7].fence.id}"
    # It looks by itself only when the time is over, and hears of nothing else.
    hint = asyncio.create_task(waiter.wait([wanted], 30.0))
    await aeventually(lambda: world.client.pubsub_shardchannels(f"*{world.namespace}*"))
    world.client.config_resetstat()
    finish = Finish(State.SUCCEEDED, keep=60.0)
    await backend.commit([Transition(fence=each.fence, settle=finish) for each in deliveries])
    assert await hint == [wanted]
    told = world.client.info("commandstats")["cmdstat_spublish"]["calls"]
    assert told == (1 if may_ask else _MANY)
    for each in (backend, waiter):
        await each.close()
    said(valkey.port, f"ACL DELUSER {world.namespace}")
    world.close()


async def test_what_is_known_to_be_empty_is_not_asked_for_again(valkey: Valkey) -> None:
    """A claim that got all there was says how long that holds; a hint in between ends it.

    Broken: an idle worker asks twice for each job; or, for what came between two claims, not before
    it looks by itself.
    """
    world = World(valkey.url)
    backend, sender = world.looped(), world.looped()
    claims = [Claim("default", 5), Claim("other", 5)]

    async def receive(wait: float) -> tuple[int, int]:
        """How many came, and how many claims were made for them."""
        world.client.config_resetstat()
        found = await backend.receive(claims, "me", 60.0, wait)
        return len(found), world.client.info("commandstats")["cmdstat_evalsha"]["calls"]

    await backend.receive(claims, "me", 60.0, 0.01)  # from now on it hears of both
    await sent(sender, 1)
    assert await receive(5.0) == (1, 1)
    assert await receive(0.2) == (0, 1)  # only at the end of the time
    for _ in range(3):
        await sent(sender, 2)
        started = asyncio.get_running_loop().time()
        assert await receive(30.0) == (2, 1)
        assert asyncio.get_running_loop().time() - started < POLL
    await sent(sender, 7)
    assert await receive(5.0) == (5, 1)
    assert await receive(5.0) == (2, 1)  # it was full, so it is not known to be empty
    await sender.close()
    await backend.close()
    world.close()


async def test_another_claim_is_not_taken_for_the_empty_one(valkey: Valkey) -> None:
    """That there was nothing of one band or kind says nothing of the others."""
    world = World(valkey.url)
    backend = world.looped()
    await sent(backend, 1)
    high = Claim("default", 5, lowest=9)
    assert await backend.receive([high], "me", 60.0, 0.01) == []
    assert await backend.receive([high], "me", 60.0, 0.01) == []
    started = asyncio.get_running_loop().time()
    assert len(await backend.receive([Claim("default", 5)], "me", 60.0, 30.0)) == 1
    assert asyncio.get_running_loop().time() - started < POLL
    await backend.close()
    world.close()


def test_who_waits_at_once_for_what_it_sent_looks_once(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It listens first, and then looks: nothing can come in between.

    Broken: each round trip costs one more look at the server.
    """
    monkeypatch.setattr("ropeway.results._AT_ONCE", 60.0)
    world = World(valkey.url)
    app = Ropeway(f"{valkey.url}?namespace={world.namespace}")
    looks: list[str] = []
    app.connection.events.subscribe(lambda event: looks.append(event.verb))
    job = app.task(_nothing).send()
    looks.clear()
    with pytest.raises(ResultTimeout):
        job.result(timeout=0.1)
    assert looks.count("get") == 2  # and once more when the time is over
    step(app.connection.blocking().close())
    world.close()


@pytest.mark.parametrize("lost", [False, True])
def test_a_waiter_is_told_the_result_and_looks_only_if_the_hint_is_lost(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch, eventually: Eventually, lost: bool
) -> None:
    """Nothing depends on what a hint tells: without it the record is read.

    Broken: whoever waits asks the server for what the hint has brought, or hangs without it.
    """
    monkeypatch.setattr("ropeway.results._AT_ONCE", 60.0)
    monkeypatch.setattr("ropeway.results._SOON", 30.0)
    world = World(valkey.url)
    app = Ropeway(f"{valkey.url}?namespace={world.namespace}")
    verbs: list[str] = []
    app.connection.events.subscribe(lambda event: verbs.append(event.verb))
    job, worker = app.task(_word).send(), world.blocking()
    if lost:
        monkeypatch.setattr("ropeway.backends.redis.hearing.Heard.told", lambda *_: None)
    verbs.clear()
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(job.result, 30.0)
        eventually(lambda: world.client.pubsub_shardchannels(f"*{world.namespace}*"))
        (delivery,) = step(worker.receive([Claim("default", 1)], "me", 60.0))
        finish = Finish(State.SUCCEEDED, value=b'"done"', keep=60.0)
        step(worker.commit([Transition(fence=delivery.fence, settle=finish)]))
        assert result.result() == "done"
    assert verbs.count("get") == (1 if lost else 0)
    step(app.connection.blocking().close())
    world.close()


def test_an_end_that_was_before_what_was_seen_is_not_taken_for_the_end(valkey: Valkey) -> None:
    """A hint may come late: after the answer to whoever had the job run again.

    Broken: a job that runs again returns the result of the run before.
    """
    world = World(valkey.url)
    waiter, backend = world.blocking(), world.blocking()
    step(sent(backend, 1))
    (delivery,) = step(backend.receive([Claim("default", 1)], "me", 60.0))
    name = f"job/{delivery.fence.id}"
    step(waiter.wait([name], 0.0))
    finish = Finish(State.SUCCEEDED, value=b"1", keep=60.0)
    step(backend.commit([Transition(fence=delivery.fence, settle=finish)]))
    (told,) = heard = step(waiter.wait([name], 30.0))
    (ended,) = step(backend.get([name]))
    assert ended is not None
    assert isinstance(told, Told) and told.ending.version == ended.version
    again = Transition(revive=(Revive(delivery.fence.id, None, None),))
    step(backend.commit([again]))
    (revived,) = step(backend.get([name]))
    assert revived is not None
    assert _told(heard, revived.version) is None
    assert _told(heard, ended.version - 1) == told.ending
    world.close()


@pytest.mark.parametrize("value", [b"", b"1", b"x" * 10_000, None])
async def test_what_is_told_is_what_is_kept(valkey: Valkey, value: bytes | None) -> None:
    """An end that is long is not told, and one with an error is told with it."""
    world = World(valkey.url)
    backend, waiter = world.looped(), world.looped()
    await sent(backend, 1)
    (delivery,) = await backend.receive([Claim("default", 1)], "me", 60.0)
    name = f"job/{delivery.fence.id}"
    await waiter.wait([name], 0.0)
    error = None if value is not None else Failure(type="ValueError", message="no", fingerprint="f")
    state = State.FAILED if error else State.SUCCEEDED
    finish = Finish(state, value=value, error=error, keep=60.0)
    await backend.commit([Transition(fence=delivery.fence, settle=finish)])
    (told,) = await waiter.wait([name], 30.0)
    (kept,) = await backend.get([name])
    assert kept is not None
    if value is not None and len(value) > 4096:
        assert not isinstance(told, Told)
    else:
        assert isinstance(told, Told)
        assert told.ending == _ending_of(seen(kept))
    for each in (backend, waiter):
        await each.close()
    world.close()


def _nothing() -> None:
    """Do nothing."""


def _word() -> str:
    """Return a word."""
    return "done"
