"""Limits: how many at once, and how many in a time."""

from __future__ import annotations

import asyncio

from ropeway.claims import AGEING, Claim, Limit
from ropeway.message import DEFAULT_QUEUE
from ropeway.states import State
from ropeway.store import Backend
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    counts,
    ids,
    message,
    promptly,
    second_claimer,
    send,
    sent,
    waiting,
)
from ropeway.transition import Cancel, Finish, Reject, Release, Transition

_DONE = Finish(State.SUCCEEDED)


async def _declare(harness: Harness, name: str = "l", **fields: float) -> None:
    fields.setdefault("burst", 1)
    await harness.backend.declare([Limit(name=name, **fields)])  # type: ignore[arg-type]


class LimitCases:
    """Messages that name `limits`, and the verb `declare`."""

    async def test_no_more_than_the_limit_are_leased(self, harness: Harness) -> None:
        """At most so many of a limit are handed out, also to two that ask at once.

        Broken: two workers look, both see room, and the service that must not be overrun is.
        """
        await _declare(harness, in_flight=3)
        messages = await sent(harness.backend, 8, limits=("l",))
        one, other = claimer(harness), await second_claimer(harness)
        claims = await asyncio.gather(one.take(2), other.take(2), one.take(2))
        found = [each for some in claims for each in some]
        assert len(found) == 3
        assert await other.take(9) == []
        await one.settle(found[0], _DONE)
        assert ids(await other.take(9)) == [messages[3].id]

    async def test_every_end_frees_a_place(self, harness: Harness) -> None:
        """A place is free again after a finish, a rejection, a release, a cancelled attempt.

        Broken: a limit runs full over the weeks, and one day nothing moves.
        """
        await _declare(harness, in_flight=1)
        await sent(harness.backend, 6, limits=("l",))
        first = claimer(harness)
        for settle in (_DONE, Reject("bad"), Release("failures", delay=9 * harness.unit)):
            delivery = await first.take_one()
            assert await first.take(9) == []
            await first.settle(delivery, settle)
        delivery = await first.take_one()
        await harness.backend.commit([Transition(cancel=(Cancel(delivery.fence.id),))])
        await first.settle(delivery, Release("releases"))
        delivery = await first.take_one()
        await harness.backend.commit([Transition(cancel=(Cancel(delivery.fence.id),))])
        await harness.advance(harness.unit)
        await first.take_one()

    async def test_an_expired_lease_counts(self, harness: Harness) -> None:
        """A lease that has ended keeps its place until another takes it over, with that place.

        Broken: a paused worker's call runs beside one more than the limit allows, or the place
        of each dead worker is gone for good.
        """
        await _declare(harness, in_flight=1)
        await sent(harness.backend, 3, limits=("l",))
        first = claimer(harness)
        await first.take_one()
        await harness.advance(harness.unit)
        again = await claimer(harness, "other").take(9)
        assert [each.fence.attempt for each in again] == [2]
        assert await first.take(9) == []
        await first.settle(again[0], _DONE)
        assert len(await first.take(9)) == 1

    async def test_a_limit_holds_back_its_own_alone(self, harness: Harness) -> None:
        """Messages that need not wait pass those that have to, however many these are.

        Broken: a full limit at the head of a queue stops the queue.
        """
        await _declare(harness, in_flight=1)
        limited = [message(band=9, limits=("l",)) for _ in range(300)]
        free = [message(band=9), message(band=0), message(band=9, limits=("another",))]
        await send(harness.backend, *limited, *free)
        first = claimer(harness)
        found = [await first.take_one() for _ in range(4)]
        assert ids(found) == ids([limited[0], free[0], free[2], free[1]])
        assert await first.take(9) == []

    async def test_the_first_in_line_is_next(self, harness: Harness) -> None:
        """Of those that wait for a place the higher bands and the longer due come first.

        Broken: whoever asks at the right moment gets it, and some wait for ever.
        """
        now = await harness.backend.now()
        await _declare(harness, in_flight=1)
        orders = [(5, now - 3), (5, now - 2), (7, now - 1), (0, now - 9 * AGEING), (5, now - 4)]
        held, *messages = [message(limits=("l",), band=band, due=due) for band, due in orders]
        first = claimer(harness)
        await send(harness.backend, held)
        delivery = await first.take_one()
        await send(harness.backend, *messages)
        assert await first.take(9) == []
        low, middle, high, early = messages[2], messages[0], messages[1], messages[3]
        for expected in (low, high, early, middle):
            await first.settle(delivery, _DONE)
            (delivery,) = await first.take(9)
            assert delivery.message.id == expected.id

    async def test_a_rate_is_kept(self, harness: Harness) -> None:
        """No more are handed out in a time than the rate says, and not fewer.

        Broken: the rate holds for each worker, or only while somebody asks often enough.
        """
        await _declare(harness, rate=2 / harness.unit)
        await sent(harness.backend, 6, limits=("l",))
        one, other, taken = claimer(harness, units=99), await second_claimer(harness), list[int]()
        for _ in range(4):
            taken.append(len(await one.take(9)) + len(await other.take(9)))
            await harness.advance(harness.unit / 2)
        assert taken == [1, 1, 1, 1]

    async def test_a_burst_after_a_pause(self, harness: Harness) -> None:
        """After a pause up to `burst` come at once, and after them the rate again.

        Broken: what was not used adds up without an end, or is lost.
        """
        await _declare(harness, rate=1 / harness.unit, burst=3)
        await sent(harness.backend, 12, limits=("l",))
        first = claimer(harness, units=99)
        assert len(await first.take(9)) == 3
        await harness.advance(harness.unit)
        assert len(await first.take(9)) == 1
        await harness.advance(20 * harness.unit)
        assert len(await first.take(9)) == 3
        assert await first.take(9) == []

    async def test_all_limits_must_have_room(self, harness: Harness) -> None:
        """A message that names several limits waits for each, and holds a place in each.

        Broken: only the first name is looked at, or a place is taken while another is awaited.
        """
        await _declare(harness, "one", in_flight=1)
        await _declare(harness, "two", in_flight=2)
        both = [message(limits=("one", "two")) for _ in range(2)]
        second = [message(limits=("two",)) for _ in range(2)]
        await send(harness.backend, *both, *second)
        first = claimer(harness)
        found = await first.take(9)
        assert ids(found) == ids([both[0], second[0]])
        await first.settle(found[1], _DONE)
        (third,) = await first.take(9)
        assert third.message.id == second[1].id
        await first.settle(found[0], _DONE)
        (last,) = await first.take(9)
        assert last.message.id == both[1].id

    async def test_a_limit_that_changes(self, harness: Harness) -> None:
        """A raised limit lets more out at once; a lowered one takes nothing away.

        Broken: what waits stays aside until something else happens, or nothing fits any more.
        """
        await _declare(harness, in_flight=1)
        await sent(harness.backend, 6, limits=("l",))
        first = claimer(harness)
        found = await first.take(9)
        await _declare(harness, in_flight=3)
        found += await first.take(9)
        assert len(found) == 3
        await _declare(harness, in_flight=2)
        await first.settle(found[0], _DONE)
        assert await first.take(9) == []
        await first.settle(found[1], _DONE)
        assert len(await first.take(9)) == 1

    async def test_what_ran_before_the_limit_counts(self, harness: Harness) -> None:
        """A limit nobody declared limits nothing; once it is declared, what is leased counts.

        Broken: naming a limit before it exists stops the message, or the first deploy of a limit
        lets twice as many run.
        """
        await sent(harness.backend, 6, limits=("l",))
        first = claimer(harness)
        found = await first.take(2)
        assert len(found) == 2
        await _declare(harness, in_flight=2)
        assert await first.take(9) == []
        await first.settle(found[0], _DONE)
        assert len(await first.take(9)) == 1

    async def test_a_name_twice_is_one_place(self, harness: Harness) -> None:
        """A message that names a limit twice counts once, and is no different otherwise.

        Broken: it never fits, or leaves a place taken.
        """
        await _declare(harness, in_flight=1)
        messages = await sent(harness.backend, 3, limits=("l", "l"))
        first = claimer(harness)
        for expected in messages:
            delivery = await first.take_one()
            assert delivery.message == expected
            assert await first.take(9) == []
            await first.settle(delivery, _DONE)

    async def test_a_limit_spans_queues(self, harness: Harness) -> None:
        """A limit counts whatever names it, and a place that is freed serves either queue.

        Broken: each queue has a limit of its own, or a queue whose limit was full stays asleep.
        """
        await _declare(harness, in_flight=1)
        (here,) = await sent(harness.backend, limits=("l",))
        (there,) = await sent(harness.backend, limits=("l",), queue="another")
        first = claimer(harness)
        both = [Claim(DEFAULT_QUEUE, 9), Claim("another", 9)]
        found = await first.claim(*both)
        assert ids(found) == [here.id]
        assert await first.claim(*both) == []
        await first.settle(found[0], _DONE)
        assert ids(await first.take(9, queue="another")) == [there.id]

    async def test_keys_and_limits_together(self, harness: Harness) -> None:
        """A message waits for both its key and its limit; one that waits for the second alone
        still keeps its key.

        Broken: the next of the key passes the one that waits for a place.
        """
        await _declare(harness, in_flight=1)
        (running,) = await sent(harness.backend, limits=("l",))
        head = message(key="a", limits=("l",))
        behind = message(key="a")
        await send(harness.backend, head, behind)
        first = claimer(harness)
        (delivery,) = await first.take(9)
        assert delivery.message == running
        assert await first.take(9) == []
        await first.settle(delivery, _DONE)
        (delivery,) = await first.take(9)
        assert delivery.message == head
        await first.settle(delivery, _DONE)
        assert ids(await first.take(9)) == [behind.id]

    async def test_what_waits_for_a_limit_is_counted(self, harness: Harness) -> None:
        """Messages that a limit holds back are among what waits, and can be cancelled.

        Broken: a queue full of them looks empty.
        """
        await _declare(harness, in_flight=0)
        due = await harness.backend.now() - 100
        messages = await sent(harness.backend, 3, limits=("l",), due=due)
        first = claimer(harness)
        assert await first.take(9) == []
        found = await counts(harness.backend)
        assert (found.ready, found.delayed, found.oldest_due) == (3, 0, due)
        assert [each.queue for each in await harness.backend.stats()] == ["default"]
        cancels = Transition(cancel=(Cancel(messages[0].id),))
        (answer,) = await harness.backend.commit([cancels])
        assert answer.cancelled == (messages[0].id,)
        await _declare(harness, in_flight=9)
        assert ids(await first.take(9)) == ids(messages[1:])

    async def test_what_of_a_limit_is_used_is_told(self, harness: Harness) -> None:
        """Who asks hears what each limit allows, what of it is leased, and how far its rate is spent.

        Broken: nobody can say why nothing moves, or a limit that was set is not the one in force.
        """
        limit = Limit(name="l", in_flight=5, rate=1 / (999 * harness.unit), burst=3)
        await harness.backend.declare([limit])
        await sent(harness.backend, 4, limits=("l",))
        first = claimer(harness)
        settled, _ = await first.take(2)
        other = await harness.second()
        assert await self._told(other) == (limit, 2, 1)
        await first.settle(settled, _DONE)
        assert await self._told(other) == (limit, 1, 1)
        raised = Limit(name="l", in_flight=1)
        await harness.backend.declare([raised])
        assert await self._told(other) == (raised, 1, 0)

    @staticmethod
    async def _told(backend: Backend) -> tuple[Limit, int, int | None]:
        (meter,) = await backend.meters(["l"])
        return meter.limit, meter.leased, meter.room(await backend.now())

    async def test_each_limit_is_told_of_in_the_order_asked(self, harness: Harness) -> None:
        """Also one that nobody declared: it allows everything, and what its messages use is told.

        Broken: a limit stands in the line of another, or a name that is new to it is an error.
        """
        await _declare(harness, "b", in_flight=2)
        await sent(harness.backend, 3, limits=("a",))
        assert len(await claimer(harness).take(9)) == 3
        found = await harness.backend.meters(["never", "b", "a", "b"])
        allowed = [(each.limit.name, each.limit.in_flight, each.leased) for each in found]
        assert allowed == [("never", None, 0), ("b", 2, 0), ("a", None, 3), ("b", 2, 0)]
        assert await harness.backend.meters([]) == []


class LimitWaitingCases:
    """Limits and `receive` with a wait."""

    async def test_waiting_for_a_place(self, harness: Harness) -> None:
        """A worker that waits gets the next message soon after a place was freed elsewhere.

        Broken: each message of a full limit waits for a poll.
        """
        await _declare(harness, in_flight=1)
        await sent(harness.backend, 2, limits=("l",))
        other = await second_claimer(harness)
        delivery = await other.take_one()
        async with waiting(claimer(harness).wait_one()) as waiter:
            await other.settle(delivery, _DONE)
            async with promptly("the message that has a place"):
                await waiter

    async def test_waiting_for_a_rate(self, harness: Harness) -> None:
        """A worker that waits gets the next message when the rate allows it.

        Broken: nobody tells of it, so it comes with the next unrelated message.
        """
        await _declare(harness, rate=1 / harness.unit)
        await sent(harness.backend, 2, limits=("l",))
        first = claimer(harness, units=9)
        await first.take_one()
        async with waiting(first.wait_one()) as waiter:
            assert not waiter.done()
            await harness.advance(harness.unit)
            async with promptly("the message that the rate allows"):
                await waiter

    async def test_waiting_for_a_raised_limit(self, harness: Harness) -> None:
        """A worker that waits hears of a limit that was raised elsewhere.

        Broken: a limit of none, as a brake, cannot be released.
        """
        await _declare(harness, in_flight=0)
        await sent(harness.backend, limits=("l",))
        other = await harness.second()
        assert await claimer(harness).take() == []
        async with waiting(claimer(harness).wait_one()) as waiter:
            await other.declare([Limit(name="l", in_flight=1)])
            async with promptly("the message that was held back"):
                await waiter
