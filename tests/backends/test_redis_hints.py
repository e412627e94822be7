"""Hints of Redis: of many ends in one commit, those are told of which somebody waits for."""

from __future__ import annotations

import asyncio

import pytest

from ropeway.backends.redis.address import parse
from ropeway.backends.redis.backend import RedisBackend
from ropeway.backends.redis.looped import LoopedLink
from ropeway.claims import Claim
from ropeway.states import State
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
