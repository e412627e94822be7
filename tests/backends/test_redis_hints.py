"""Hints of Redis: of many ends in one commit, those are told of which somebody waits for."""

from __future__ import annotations

import asyncio

import pytest

from ropeway import Ropeway
from ropeway.backends.redis.address import parse
from ropeway.backends.redis.backend import POLL, RedisBackend
from ropeway.backends.redis.looped import LoopedLink
from ropeway.claims import Claim
from ropeway.errors import ResultTimeout
from ropeway.states import State
from ropeway.stepping import step
from ropeway.testing.conformance.steps import sent
from ropeway.transition import Finish, Transition
from tests.backends.redis_world import World
from tests.conftest import AsyncEventually
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


def _nothing() -> None:
    """Do nothing."""
