"""Keys: one at a time, in the order of publishing."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from ropeway.decide import Keep
from ropeway.message import Delivery, Message
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    Claimer,
    claimer,
    counts,
    ids,
    job,
    message,
    promptly,
    second_claimer,
    send,
    sent,
    waiting,
)
from ropeway.transition import Cancel, Finish, Reject, Release, Transition

_DONE = Finish(State.SUCCEEDED)


async def _work_off(worker: Claimer, n: int) -> list[Delivery]:
    """Take and finish `n` at a time until nothing is left."""
    done: list[Delivery] = []
    while found := await worker.take(n):
        for delivery in found:
            await worker.settle(delivery, _DONE)
        done += found
    return done


class KeyCases:
    """Messages with a `key`."""

    async def test_one_of_a_key_is_in_flight(self, harness: Harness) -> None:
        """Of the messages of a key one is handed out, also to two that ask at once.

        Broken: two workers change the same account at the same time.
        """
        first, *_ = await sent(harness.backend, 5, key="a")
        other = await second_claimer(harness)
        one = claimer(harness)
        found = await asyncio.gather(one.take(9), other.take(9))
        assert ids([each for some in found for each in some]) == [first.id]
        assert await one.take(9) == []
        assert await other.take(9) == []

    async def test_a_key_goes_in_order(self, harness: Harness) -> None:
        """Messages of a key come in the order of publishing, whatever their bands and due times.

        Broken: an update overtakes the creation of what it updates.
        """
        now = await harness.backend.now()
        orders = [(1, now), (9, now - 100), (5, now - 50), (9, now - 200)]
        messages = [message(key="a", band=band, due=due) for band, due in orders]
        await send(harness.backend, *messages)
        assert ids(await _work_off(claimer(harness), 9)) == ids(messages)

    async def test_a_retry_keeps_its_key(self, harness: Harness) -> None:
        """A message that waits for its retry holds back those behind it.

        Broken: what failed is done after what depends on it.
        """
        messages = await sent(harness.backend, 3, key="a")
        first = claimer(harness)
        delivery = await first.take_one()
        await first.settle(delivery, Release("failures", delay=2 * harness.unit))
        assert await first.take(9) == []
        await harness.advance(harness.unit)
        assert await first.take(9) == []
        await harness.advance(harness.unit)
        assert ids(await _work_off(first, 9)) == ids(messages)

    async def test_a_delayed_head_keeps_its_key(self, harness: Harness) -> None:
        """A message that is not due yet holds back those that were published after it.

        Broken: a key is in order only while nobody delays anything.
        """
        (head,) = await sent(harness.backend, key="a", delay=harness.unit)
        (behind,) = await sent(harness.backend, key="a")
        first = claimer(harness)
        assert await first.take(9) == []
        await harness.advance(harness.unit)
        assert ids(await _work_off(first, 9)) == ids([head, behind])

    async def test_a_lost_attempt_keeps_its_key(self, harness: Harness) -> None:
        """After an expired lease, and after a release, the same message is next.

        Broken: the death of a worker lets two of a key run, or turns their order.
        """
        messages = await sent(harness.backend, 3, key="a")
        first, other = claimer(harness), await second_claimer(harness)
        await first.take_one()
        await harness.advance(harness.unit)
        again = await other.take(9)
        assert ids(again) == [messages[0].id]
        await other.settle(again[0], Release("releases"))
        assert ids(await _work_off(first, 9)) == ids(messages)

    async def test_every_end_frees_the_next(self, harness: Harness) -> None:
        """A head that fails, is rejected, cancelled or expires lets the next one go.

        Broken: one bad message blocks its key for ever.
        """
        now = await harness.backend.now()
        messages = [message(key="a") for _ in range(6)]
        messages[3] = message(key="a", expires=now + harness.unit / 2)
        await send(harness.backend, *messages)
        first = claimer(harness)
        await first.settle(await first.take_one(), Finish(State.FAILED, counts="failures"))
        await first.settle(await first.take_one(), Reject("bad"))
        await harness.backend.commit([Transition(cancel=(Cancel(messages[2].id),))])
        await harness.advance(harness.unit)
        assert await harness.backend.prune(Keep(), 9) == 1
        found = await first.take(9)
        assert ids(found) == [messages[4].id]
        await harness.backend.commit([Transition(cancel=(Cancel(found[0].message.id),))])
        await first.settle(found[0], Release("releases"))
        assert ids(await first.take(9)) == [messages[5].id]

    async def test_the_end_of_one_behind_frees_nobody(self, harness: Harness) -> None:
        """When one that waits behind its key ends, the order of the others stays.

        Broken: cancelling the second lets the third run beside the first.
        """
        messages = await sent(harness.backend, 3, key="a")
        first = claimer(harness)
        delivery = await first.take_one()
        await harness.backend.commit([Transition(cancel=(Cancel(messages[1].id),))])
        assert await first.take(9) == []
        await first.settle(delivery, _DONE)
        assert ids(await first.take(9)) == [messages[2].id]

    async def test_keys_are_apart(self, harness: Harness) -> None:
        """A key holds back nothing of another key, of another queue, or without one.

        Broken: the keys of two teams, who know nothing of each other, block each other.
        """
        heads = [message(key="a"), message(key="b"), message(), message(key="")]
        elsewhere = message(key="a", queue="another")
        behind = [message(key=key) for key in ("a", "b", "")]
        await send(harness.backend, *heads, *behind, elsewhere, message())
        first = claimer(harness)
        found = await first.take(9)
        assert ids(found)[:4] == ids(heads)
        assert len(found) == 5
        assert ids(await first.take(9, queue="another")) == [elsewhere.id]

    async def test_keys_take_turns(self, harness: Harness) -> None:
        """A key that was served goes behind the others that have a message ready.

        Broken: one customer's thousand messages are worked off before another's one.
        """
        keys = "aaaabbc"
        messages = [message(key=key) for key in keys]
        await send(harness.backend, *messages)
        first, order = claimer(harness), ""
        for _ in keys:
            delivery = await first.take_one()
            order += delivery.message.key or "-"
            await harness.advance(harness.unit / 100)
            await first.settle(delivery, _DONE)
        assert order == "abcabaa"

    async def test_the_due_time_of_one_freed_stays(self, harness: Harness) -> None:
        """Its turn changes nothing of when a message was due, for its counters and for people.

        Broken: a message that waited for its key looks as if it had just been sent.
        """
        due = await harness.backend.now() - 100
        messages = await sent(harness.backend, 2, key="a", due=due)
        first = claimer(harness)
        await first.settle(await first.take_one(), _DONE)
        assert (await job(harness.backend, messages[1].id)).due == due
        assert (await counts(harness.backend)).oldest_due == due
        assert (await first.take_one()).due == due

    async def test_what_waits_for_its_key_is_counted(self, harness: Harness) -> None:
        """Messages behind their key are among what waits, and their queue is named.

        Broken: a backlog behind a stuck key is invisible.
        """
        await sent(harness.backend, 3, key="a")
        await sent(harness.backend, 2, key="a", delay=harness.unit)
        found = await counts(harness.backend)
        assert (found.ready, found.delayed, found.leased) == (3, 2, 0)
        await claimer(harness).take_one()
        found = await counts(harness.backend)
        assert (found.ready, found.delayed, found.leased) == (2, 2, 1)
        assert [each.queue for each in await harness.backend.stats()] == ["default"]

    async def test_a_keyed_message_twice_is_repeated(self, harness: Harness) -> None:
        """A repeated send of a message with a key is told from a new one, and adds nothing.

        Broken: it takes a second place in line that nobody ever leaves.
        """
        new, other = message(key="a"), message(key="a")
        for _ in range(2):
            answers = await harness.backend.commit([Transition(publish=(new,))])
        assert answers[0].status == "repeated"
        await send(harness.backend, other)
        assert ids(await _work_off(claimer(harness), 9)) == ids([new, other])

    async def test_many_keys_at_once(self, harness: Harness) -> None:
        """However claims and settles of many keys meet, each key keeps its order.

        Broken: order holds for one key at a time.
        """
        messages = [message(key=f"{i % 7}") for i in range(60)]
        await send(harness.backend, *messages)
        other = await second_claimer(harness)
        workers = [claimer(harness, "a"), other, claimer(harness, "c")]
        order: dict[str | None, list[str]] = defaultdict(list)

        async def work(worker: Claimer) -> None:
            while len(found := await worker.take(2)) or sum(map(len, order.values())) < 60:
                for delivery in found:
                    order[delivery.message.key].append(delivery.message.id)
                    await asyncio.sleep(0)
                    await worker.settle(delivery, _DONE)
                await asyncio.sleep(0)

        await asyncio.gather(*map(work, workers))
        expected = [_of_key(messages, key) for key in order]
        assert list(order.values()) == expected


class KeyWaitingCases:
    """Keys and `receive` with a wait."""

    async def test_waiting_for_a_key(self, harness: Harness) -> None:
        """A worker that waits gets the next of a key soon after the one before it was settled.

        Broken: each message of a key waits for a poll, and a key never runs at full speed.
        """
        messages = await sent(harness.backend, 2, key="a")
        other = await second_claimer(harness)
        delivery = await other.take_one()
        async with waiting(claimer(harness).wait_one()) as waiter:
            await other.settle(delivery, _DONE)
            async with promptly("the next of the key"):
                assert (await waiter).message == messages[1]


def _of_key(messages: list[Message], key: str | None) -> list[str]:
    return [each.id for each in messages if each.key == key]
