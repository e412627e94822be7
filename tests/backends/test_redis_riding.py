"""A claim that waits goes along with a commit: one trip, and no more doubt than two would leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from ropeway.backends.redis.address import parse
from ropeway.backends.redis.backend import RedisBackend
from ropeway.backends.redis.hearing import Seen
from ropeway.backends.redis.looped import LoopedLink
from ropeway.backends.redis.script import Script
from ropeway.claims import Claim, Limit
from ropeway.errors import Indeterminate
from ropeway.message import Delivery
from ropeway.states import State
from ropeway.store import queue_name
from ropeway.testing.conformance.steps import message, send
from ropeway.transition import Arrive, Finish, Join, Transition
from tests.conftest import AsyncEventually
from tests.servers.valkey import Valkey
from tests.servers.valkeys import said

_CLAIM = Claim("default", 5)


class _Noted(LoopedLink):
    """Notes which scripts were run; of those that are `lost` the reply does not come, or it is `late`."""

    ran: list[str]
    lost: str = ""
    late: asyncio.Event | None = None
    resting: asyncio.Event

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Any]) -> Any:
        self.ran.append(script.name)
        reply = await super().run(script, keys, args)
        if self.late is not None:
            await self.late.wait()
        if script.name == self.lost:
            raise Indeterminate
        return reply

    async def wait(
        self, names: Sequence[str], timeout: float, seen: Seen | None = None
    ) -> list[str]:
        self.resting.set()
        return await super().wait(names, timeout, seen)


@pytest.fixture
async def link(valkey: Valkey) -> AsyncIterator[_Noted]:
    """Return a link to the empty server."""
    said(valkey.port, "FLUSHALL")
    link = _Noted(parse(valkey.url))
    link.ran, link.resting = [], asyncio.Event()
    yield link
    await link.close()


async def _resting(link: _Noted, backend: RedisBackend) -> asyncio.Task[list[Delivery]]:
    """Have a claim wait, which has found that there is nothing."""
    await link.wait([queue_name("default")], 0.0)  # from now on hints are heard
    link.resting.clear()
    assert await backend.receive([_CLAIM], "me", 0.3) == []
    waits = asyncio.create_task(backend.receive([_CLAIM], "me", 0.3, 20.0))
    await link.resting.wait()
    return waits


async def _held(backend: RedisBackend, *then: str) -> Transition:
    """Lease a message; return the settle of it that readies others, in these queues."""
    await send(backend, message())
    (held,) = await backend.receive([_CLAIM], "me", 30.0)
    messages = tuple(message(queue=queue) for queue in then)
    await backend.commit([Transition(join=(Join("j", 1, messages),))])
    return Transition(fence=held.fence, settle=Finish(State.SUCCEEDED), arrive=(Arrive("j", "a"),))


async def test_settled_readied_and_claimed_in_one_trip(link: _Noted) -> None:
    """What the settle readies has been handed to who waits when its answer is there.

    Broken: the worker hears a hint of itself, and asks again for what it could have had.
    """
    backend = RedisBackend(link)
    settle = await _held(backend, "default")
    waits = await _resting(link, backend)
    link.ran.clear()
    (answer,) = await backend.commit([settle])
    assert (answer.status, answer.fired) == ("applied", ("j",))
    assert [each.fence.attempt for each in await waits] == [1]
    assert link.ran == ["commit_and_claim"]
    # The next one waits, too, without a look first: what was handed over was no news.
    again = asyncio.create_task(backend.receive([_CLAIM], "me", 0.3, 0.2))
    await asyncio.wait([again], timeout=0.1)
    assert link.ran == ["commit_and_claim"]
    await again


async def test_a_claim_that_goes_along_is_like_any(link: _Noted, valkey: Valkey) -> None:
    """It is handed what it asks for, by band, by its limits, from its queue, and when it is due.

    Broken: a step of a chain goes past what a person has set, or two workers have it.
    """
    backend, other = RedisBackend(link), RedisBackend(LoopedLink(parse(valkey.url)))
    await backend.declare([Limit(name="lone", in_flight=1)])
    await send(backend, message(limits=("lone",)))
    (held,) = await backend.receive([_CLAIM], "me", 30.0)
    plain = [message(band=3, body=b"%d" % number) for number in range(5)]
    high, late = message(band=9), message(delay=60.0)
    limited = [message(limits=("lone",)) for _ in range(2)]
    then = (*plain, *limited, late, message(queue="other"), high)
    await backend.commit([Transition(join=(Join("j", 1, then),))])
    waits = await _resting(link, backend)
    arrive = (Arrive("j", "a"),)
    await backend.commit(
        [Transition(fence=held.fence, settle=Finish(State.SUCCEEDED), arrive=arrive)]
    )
    found = await waits
    assert link.ran[-1] == "commit_and_claim"
    assert [each.message.id for each in found] == [
        each.id for each in (high, limited[0], *plain[:3])
    ]
    rest = await other.receive([Claim("default", 9)], "other", 30.0)
    assert [each.message.id for each in rest] == [each.id for each in plain[3:]]
    await backend.commit([Transition(fence=found[1].fence, settle=Finish(State.SUCCEEDED))])
    (last,) = await other.receive([Claim("default", 9)], "other", 30.0)
    assert last.message.id == limited[1].id
    await other.close()


async def test_others_hear_of_what_is_left(link: _Noted, valkey: Valkey) -> None:
    """Nobody is woken for what has been taken already, and of another queue they hear.

    Broken: every worker asks for each step of a chain; or none for what nobody took.
    """
    backend, other = RedisBackend(link), LoopedLink(parse(valkey.url))
    settle = await _held(backend, "default", "other")
    names = [queue_name("default"), queue_name("other")]
    await other.wait(names, 0.0)
    heard = asyncio.create_task(other.wait(names, 0.4))
    waits = await _resting(link, backend)
    await backend.commit([settle])
    assert len(await waits) == 1
    assert await heard == [queue_name("other")]
    await other.close()


async def test_the_reply_for_both_is_lost(link: _Noted) -> None:
    """The commit is in doubt and is repeated; what was claimed with it comes when its lease is over.

    Broken: the claim hangs for ever, or what it was handed is lost with the reply.
    """
    backend = RedisBackend(link)
    settle = await _held(backend, "default")
    waits = await _resting(link, backend)
    link.lost = "commit_and_claim"
    with pytest.raises(Indeterminate):
        await backend.commit([settle])
    link.lost = ""
    (answer,) = await backend.commit([settle])
    assert answer.status == "repeated"
    (found,) = await waits
    assert found.fence.attempt == 2


@pytest.mark.parametrize("lost", ["", "commit_and_claim"])
@pytest.mark.parametrize("stirred", [False, True])
async def test_who_waited_is_gone(
    link: _Noted, lost: str, stirred: bool, aeventually: AsyncEventually
) -> None:
    """A worker that stops gives up its claim; the commit that took it along tells what it did.

    Broken: a settle that stands fails, because nobody is there for what came with it.
    """
    backend = RedisBackend(link)
    settle = await _held(backend, "default")
    waits = await _resting(link, backend)
    link.lost, link.late = lost, asyncio.Event()
    commit = asyncio.create_task(backend.commit([settle]))
    await aeventually(lambda: link.ran[-1] == "commit_and_claim")
    if stirred:  # it waits for what the commit brings, and no more for a hint
        link.stir([queue_name("default")])
        await asyncio.wait([waits], timeout=0.01)
    waits.cancel()
    link.late.set()
    if lost:
        with pytest.raises(Indeterminate):
            await commit
    else:
        assert [each.status for each in await commit] == ["applied"]
    link.lost = ""
    (found,) = await backend.receive([_CLAIM], "me", 30.0, 5.0)
    assert found.fence.attempt == 2
