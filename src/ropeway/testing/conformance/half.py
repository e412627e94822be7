"""What `Paired` relies on in a broker that cannot take part in a transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ropeway.broker_half import Arrival, BrokerHalf
from ropeway.ids import new_id
from ropeway.message import Kind, Message
from ropeway.testing.conformance.steps import LONG, ids, message, promptly, waiting

Connect = Callable[[], Awaitable[BrokerHalf]]
"""A fixture of this type makes open connections to one broker, and closes them in the end."""


class HalfCases:
    """The contract `BrokerHalf`; each case has a queue of its own."""

    async def test_what_is_published_arrives(self, connect: Connect) -> None:
        """Confirmed messages arrive whole, at another connection, in order, and unmarked.

        Broken: the broker's envelope loses a field, or a confirm comes before the message is kept.
        """
        one, two, sent = await connect(), await connect(), _messages(3)
        await one.publish(sent)
        arrivals = await two.get(sent[0].queue, 2)
        arrivals += await two.get(sent[0].queue, 9)
        assert [each.message for each in arrivals] == sent
        assert not any(each.redelivered for each in arrivals)
        assert await one.get(sent[0].queue, 9) == []

    async def test_what_was_not_acknowledged_comes_back(self, connect: Connect) -> None:
        """When a connection ends, what it held is handed over again, first and marked.

        What it had only been sent ahead of need may be marked as well.

        Broken: a message is acknowledged as it is handed over, and dies with its worker.
        """
        one, two, sent = await connect(), await connect(), _messages(3)
        await one.publish(sent)
        first, second = await one.get(sent[0].queue, 2)
        await one.ack([first.tag])
        assert second.message == sent[1]
        await one.close()
        arrivals = await two.get(sent[0].queue, 9)
        assert ids(_of(arrivals)) == ids(sent[1:])
        assert arrivals[0].redelivered

    async def test_what_was_acknowledged_is_gone(self, connect: Connect) -> None:
        """An acknowledged message comes back to nobody, whichever connections end.

        Broken: an ack is lost in a buffer, and everything runs again after a restart.
        """
        one, two, sent = await connect(), await connect(), _messages(2)
        await one.publish(sent)
        await one.ack([each.tag for each in await one.get(sent[0].queue, 9)])
        await one.close()
        assert await two.get(sent[0].queue, 9) == []

    async def test_what_is_given_back_is_free(self, connect: Connect) -> None:
        """A nack with `requeue` frees a message at once; without, it leaves the queue.

        Broken: what a worker cannot take in stays with it, or comes back for ever.
        """
        one, two, sent = await connect(), await connect(), _messages(2)
        await one.publish(sent)
        first, second = await one.get(sent[0].queue, 9)
        await one.nack([first.tag], requeue=True)
        await one.nack([second.tag], requeue=False)
        (again,) = await two.get(sent[0].queue, 9)
        assert (again.message, again.redelivered) == (first.message, True)

    async def test_a_publishers_duplicate_is_no_redelivery(self, connect: Connect) -> None:
        """What its sender published twice arrives twice, and neither copy is marked.

        Broken: a healthy worker's job is taken from it because its sender lost a reply.
        """
        one, sent = await connect(), _messages(1)
        await one.publish(sent)
        await one.publish(sent)
        arrivals = await one.get(sent[0].queue, 9)
        assert [(each.message, each.redelivered) for each in arrivals] == [(sent[0], False)] * 2
        assert len({each.tag for each in arrivals}) == 2

    async def test_a_kind_is_taken_alone(self, connect: Connect) -> None:
        """What is not asked for stays where it is, and holds nothing back that is.

        Broken: a long backlog for threads is carried over before the first call for a loop is seen.
        """
        one, queue = await connect(), new_id()
        kinds: tuple[Kind, ...] = ("threads", "loop", "threads", "cpu", "loop")
        sent = [message(queue=queue, kind=kind) for kind in kinds]
        await one.publish(sent)
        assert await one.get(queue, 9, ()) == []
        assert _of(await one.get(queue, 1, kinds[1:2])) == [sent[1]]
        some = _of(await one.get(queue, 9, kinds[3:5]))
        assert sorted(ids(some)) == sorted(ids([sent[3], sent[4]]))
        assert (await one.depths([queue]))[queue] == 2
        assert _of(await one.get(queue, 9)) == [sent[0], sent[2]]

    async def test_depths_count_what_rests(self, connect: Connect) -> None:
        """What is with a connection is not counted, nor is a queue that is empty or unknown.

        Broken: people see a backlog that is being worked on.
        """
        one, sent = await connect(), _messages(3)
        queue, unknown = sent[0].queue, new_id()
        await one.publish(sent)
        await one.get(queue, 1)
        assert (await one.depths([queue, unknown])).get(queue) == 2
        assert not (await one.depths([unknown])).get(unknown)
        assert (await one.depths())[queue] == 2

    async def test_waiting_for_a_queue(self, connect: Connect) -> None:
        """Who waits for a queue hears soon of a message that another connection published.

        Broken: every job of a quiet system starts late.
        """
        one, two, sent = await connect(), await connect(), _messages(1)
        queue = sent[0].queue
        async with promptly("the first wait"):
            assert await one.wait([queue], LONG) == [queue]
        async with waiting(one.wait([queue], LONG)) as waiter:
            await two.publish(sent)
            async with promptly("the message"):
                assert await waiter == [queue]


def _messages(count: int) -> list[Message]:
    queue = new_id()
    return [message(queue=queue, body=b"\x00\xff", headers={"a": "ä"}) for _ in range(count)]


def _of(arrivals: Sequence[Arrival]) -> list[Message]:
    return [each.message for each in arrivals]
