"""Joins: what is published when enough members have arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.decide import Keep
from ropeway.message import Message
from ropeway.states import State
from ropeway.store import Backend
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    apply,
    claimer,
    ids,
    job,
    message,
    put,
    second_claimer,
    sent,
    settled,
)
from ropeway.transition import Arrive, Finish, Join, Transition


async def _made(backend: Backend, need: int, *then: Message) -> Sequence[str]:
    """Make the join `j`; return what fired."""
    return (await apply(backend, join=(Join("j", need, then),))).fired


async def _arrived(backend: Backend, *members: str) -> Sequence[str]:
    """Let members arrive at `j` in one transition; return what fired."""
    return (await apply(backend, arrive=tuple(Arrive("j", each) for each in members))).fired


class JoinCases:
    """`join` and `arrive` in a transition."""

    async def test_the_last_arrival_fires(self, harness: Harness) -> None:
        """What a join holds is published with the arrival that completes it, and not before.

        Broken: it runs before its members are done, or is published by somebody later, or never.
        """
        me, then = claimer(harness), [message(), message()]
        assert await _made(harness.backend, 3, *then) == ()
        assert await _arrived(harness.backend, "a") == ()
        assert await _arrived(await harness.second(), "b") == ()
        assert await me.take(9) == []
        assert await _arrived(harness.backend, "c") == ("j",)
        assert [each.message for each in await me.take(9)] == then

    async def test_a_member_counts_once(self, harness: Harness) -> None:
        """A member that arrives again is not counted again, in one transition or in many.

        Broken: a job that ran twice stands for another one that has not run.
        """
        await _made(harness.backend, 2, message())
        for _ in range(3):
            assert await _arrived(harness.backend, "a", "a") == ()
        assert await claimer(harness).take(9) == []
        assert await _arrived(harness.backend, "b") == ("j",)

    async def test_arrivals_before_the_join_count(self, harness: Harness) -> None:
        """Members may arrive before the join is made; made complete, it fires at once.

        Broken: a quick member is forgotten, and what it held back waits for ever.
        """
        then = message()
        assert await _arrived(harness.backend, "a", "b", "a") == ()
        assert await _made(harness.backend, 2, then) == ("j",)
        assert ids(await claimer(harness).take(9)) == [then.id]

    async def test_a_join_of_none_fires_at_once(self, harness: Harness) -> None:
        """A join that needs nobody is complete when it is made.

        Broken: a step that follows on an empty list waits for ever.
        """
        then = message()
        assert await _made(harness.backend, 0, then) == ("j",)
        assert ids(await claimer(harness).take(9)) == [then.id]

    async def test_need_is_raised_and_never_lowered(self, harness: Harness) -> None:
        """The same join made again needs the most that it was ever said to need.

        Broken: members that become known while others arrive are not waited for.
        """
        then = message()
        await _made(harness.backend, 2, then)
        assert await _arrived(harness.backend, "a") == ()
        assert await _made(harness.backend, 3, then) == ()
        assert await _made(harness.backend, 1, then) == ()
        assert await _arrived(harness.backend, "b") == ()
        assert await _arrived(harness.backend, "c") == ("j",)

    async def test_a_join_made_again_keeps_what_it_holds(self, harness: Harness) -> None:
        """What the first making gave is published, also if that is nothing.

        Broken: the second one takes the place of the first, or is added to it.
        """
        first = message()
        await _made(harness.backend, 1, first)
        await _made(harness.backend, 1, message(), message())
        await apply(harness.backend, join=(Join("empty", 1),))
        await apply(harness.backend, join=(Join("empty", 1, (message(),)),))
        await apply(harness.backend, arrive=(Arrive("j", "a"), Arrive("empty", "a")))
        assert ids(await claimer(harness).take(9)) == [first.id]

    async def test_a_join_fires_once(self, harness: Harness) -> None:
        """After it has fired nothing changes it: arrivals, joins and pruning.

        Broken: what follows runs once more for each late member, or after each round of cleaning.
        """
        me, then = claimer(harness), message()
        await _made(harness.backend, 1, then)
        assert await _arrived(harness.backend, "a", "b") == ("j",)
        await me.settle(await me.take_one(), Finish(State.SUCCEEDED, keep=0.0))
        await harness.advance(harness.unit)
        for _ in range(2):
            assert await _arrived(harness.backend, "a", "c") == ()
            assert await _made(harness.backend, 1, then, message()) == ()
            assert await _made(harness.backend, 4, then) == ()
            assert await _arrived(harness.backend, "d", "e", "f") == ()
            while await harness.backend.prune(Keep(), 100):
                pass
        assert await me.take(9) == []

    async def test_what_is_there_is_not_published_again(self, harness: Harness) -> None:
        """A message of a join whose id is known stays as it is, open or settled; others come.

        Broken: what was published in another way too runs twice, or the arrival is refused.
        """
        me, (done, waits), new = claimer(harness), await sent(harness.backend, 2), message()
        await me.settle(await me.take_one(), Finish(State.SUCCEEDED, b"1"))
        await _made(harness.backend, 1, done, replace(waits, body=b"other"), new)
        assert await _arrived(harness.backend, "a") == ("j",)
        assert [each.message for each in await me.take(9)] == [waits, new]
        assert (await job(harness.backend, done.id)).value == b"1"

    async def test_a_delay_counts_from_the_firing(self, harness: Harness) -> None:
        """What a join publishes with a delay is due so long after the last arrival.

        Broken: the delay is over before the wait for the members is.
        """
        me, then = claimer(harness), message(delay=2 * harness.unit)
        await _made(harness.backend, 1, then)
        await harness.advance(3 * harness.unit)
        await _arrived(harness.backend, "a")
        assert await me.take(9) == []
        await harness.advance(3 * harness.unit)
        assert ids(await me.take(9)) == [then.id]

    async def test_every_join_that_fires_is_told(self, harness: Harness) -> None:
        """One transition may complete several joins, also some that it makes; each is answered.

        Broken: only one is looked at, or an arrival does not see the join beside it.
        """
        then = [message() for _ in range(3)]
        joins = tuple(Join(f"j{number}", 1, (each,)) for number, each in enumerate(then))
        await apply(harness.backend, join=joins[:1])
        arrivals = tuple(Arrive(each.name, "a") for each in joins)
        answer = await apply(harness.backend, join=joins[1:], arrive=arrivals)
        assert sorted(answer.fired) == ["j0", "j1", "j2"]
        assert sorted(ids(await claimer(harness).take(9))) == sorted(ids(then))

    async def test_only_a_settle_that_stands_arrives(self, harness: Harness) -> None:
        """A member arrives with the settle of the attempt that holds the lease, once.

        Broken: a worker that lost its lease, or a guard that did not hold, completes a join.
        """
        await sent(harness.backend, 2)
        await put(harness.backend, "r")
        me, then = claimer(harness), message()
        first, second = await me.take(2)
        await _made(harness.backend, 2, then)
        end, arrive = Finish(State.SUCCEEDED), (Arrive("j", "a"),)
        lost = replace(second, fence=replace(second.fence, attempt=7))
        told = await harness.backend.commit(
            [
                settled(first, end, arrive=arrive),
                settled(first, end, arrive=arrive),
                settled(lost, end, arrive=(Arrive("j", "lost"),)),
                settled(second, end, arrive=(Arrive("j", "conflict"),), expect={"r": 0}),
            ]
        )
        assert [each.reason or each.status for each in told] == [
            "applied",
            "repeated",
            "lost",
            "conflict",
        ]
        assert await me.take(9) == []
        answer = await me.settle(second, end, arrive=(Arrive("j", "b"),))
        assert answer.fired == ("j",)
        assert ids(await me.take(9)) == [then.id]

    async def test_arrivals_never_conflict(self, harness: Harness) -> None:
        """Of many members that arrive at once on several handles none is refused; one fires.

        Broken: each tries to write what another has just changed, and most of them in vain.
        """
        other, then = await second_claimer(harness), message()
        await _made(harness.backend, 50, then)
        arrivals = [Transition(arrive=(Arrive("j", str(number % 50)),)) for number in range(100)]
        told = await asyncio.gather(
            *(
                (harness.backend, other.backend)[number % 2].commit([arrival])
                for number, arrival in enumerate(arrivals)
            )
        )
        assert [answer.status for (answer,) in told] == ["applied"] * 100
        assert [answer.fired for (answer,) in told if answer.fired] == [("j",)]
        assert ids(await other.take(9)) == [then.id]
