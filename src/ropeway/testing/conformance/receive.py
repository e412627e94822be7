"""What `receive` hands over, and how it waits."""

from __future__ import annotations

import asyncio

from ropeway.claims import Claim
from ropeway.message import DEFAULT_QUEUE, job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    LATE,
    LONG,
    Claimer,
    claimer,
    counts,
    ids,
    job,
    promptly,
    second_claimer,
    sent,
    version_of,
    waiting,
)


async def _drain(worker: Claimer) -> list[str]:
    """Take a few at a time until nothing is left."""
    taken: list[str] = []
    while found := await worker.take(7):
        taken += ids(found)
        await asyncio.sleep(0)
    return taken


class ReceiveCases:
    """The verb `receive`."""

    async def test_two_claimers_never_share_a_message(self, harness: Harness) -> None:
        """Claimers that meet, in one process and in two, take each message once.

        Broken: between the look and the take another one takes the same, and a task runs twice.
        """
        messages = await sent(harness.backend, 60)
        other = await second_claimer(harness)
        workers = [claimer(harness, "a"), claimer(harness, "b"), other]
        taken = await asyncio.gather(*(_drain(worker) for worker in workers))
        assert sorted(i for some in taken for i in some) == sorted(ids(messages))

    async def test_what_is_not_due_stands_in_nobodys_way(self, harness: Harness) -> None:
        """Of several queues that are served at once, one alone has something that is due.

        Broken: what waits for later in the others is taken for what was claimed, or hides it.
        """
        for queue in ("a", "c"):
            await sent(harness.backend, queue=queue, delay=LONG)
        due = await sent(harness.backend, 3, queue="b")
        found = await claimer(harness).claim(Claim("a", 9), Claim("b", 9), Claim("c", 9))
        assert ids(found) == ids(due)
        assert {each.message.queue for each in found} == {"b"}

    async def test_at_most_n_for_each_claim(self, harness: Harness) -> None:
        """Each claim is answered with at most its own `n`, from its own queue.

        Broken: a worker gets more than it has room for, or one busy queue takes the room of others.
        """
        for queue in ("a", "b", "c"):
            await sent(harness.backend, 5, queue=queue)
        found = await claimer(harness).claim(Claim("b", 2), Claim("a", 9), Claim("none", 3))
        assert [each.message.queue for each in found] == ["b", "b", *"aaaaa"]
        assert len({each.fence.id for each in found}) == 7
        assert (await counts(harness.backend, "c")).ready == 5

    async def test_two_claims_on_one_queue(self, harness: Harness) -> None:
        """Two claims on the same queue take different messages.

        Broken: both claims look before either takes, and a message is handed over twice.
        """
        messages = await sent(harness.backend, 3, band=9)
        claims = [Claim(DEFAULT_QUEUE, 2, lowest=5), Claim(DEFAULT_QUEUE, 2)]
        assert ids(await claimer(harness).claim(*claims)) == ids(messages)

    async def test_no_claims_is_no_wait(self, harness: Harness) -> None:
        """Without a claim there is nothing to wait for, so the answer comes at once.

        Broken: a worker whose slots are full stands still for the whole of `wait`.
        """
        await sent(harness.backend)
        async with promptly("the answer to no claims"):
            assert await claimer(harness).claim(wait=LONG) == []

    async def test_what_is_taken_runs(self, harness: Harness) -> None:
        """A message that was received is running, leased and told as such; it is not settled.

        Broken: it is acknowledged when it is handed over, so that a crash loses it.
        """
        (message,) = await sent(harness.backend)
        version = await version_of(harness.backend, job_key(message.id))
        before = await harness.backend.now()
        delivery = await claimer(harness).take_one()
        record = await job(harness.backend, message.id)
        assert (record.state, record.holder, record.attempt) == (State.RUNNING, "first", 1)
        assert record.started is not None
        assert before <= record.started <= await harness.backend.now()
        assert (record.finished, record.value, record.error) == (None, None, None)
        assert (record.enqueued, record.due) == (delivery.enqueued, delivery.due)
        assert await version_of(harness.backend, job_key(message.id)) > version
        found = await counts(harness.backend)
        assert (found.ready, found.leased) == (0, 1)

    async def test_waiting_ends(self, harness: Harness) -> None:
        """After `wait` seconds without a message the answer is empty.

        Broken: a worker that is to stop hangs in its last `receive`.
        """
        await sent(harness.backend, queue="another")
        async with promptly("the end of the wait"):
            assert await claimer(harness).claim(Claim(DEFAULT_QUEUE, 1), wait=LATE / 20) == []


class WaitingCases:
    """`receive` with a wait, beside others on the same loop."""

    async def test_waiting_for_a_message(self, harness: Harness) -> None:
        """A worker that waits gets a message soon after it was published.

        Broken: it sleeps to the end of `wait`, and every job of a quiet system starts late.
        """
        async with waiting(claimer(harness).wait_one()) as waiter:
            (message,) = await sent(harness.backend)
            async with promptly("the message"):
                assert (await waiter).message == message

    async def test_waiting_for_another_handles_message(self, harness: Harness) -> None:
        """The same when another process publishes it.

        Broken: only the senders of the own process wake a worker.
        """
        other = await harness.second()
        async with waiting(claimer(harness).wait_one()) as waiter:
            (message,) = await sent(other)
            async with promptly("the message"):
                assert (await waiter).message == message

    async def test_waiting_for_a_delay_to_pass(self, harness: Harness) -> None:
        """A message that becomes due while a worker waits is handed over then.

        Broken: nobody tells of it, so a retry waits for the next unrelated message.
        """
        await sent(harness.backend, delay=harness.unit)
        async with waiting(claimer(harness).wait_one()) as waiter:
            await harness.advance(harness.unit)
            async with promptly("the message that became due"):
                await waiter

    async def test_waiting_for_a_lease_to_expire(self, harness: Harness) -> None:
        """A lease that expires while another worker waits is taken over then.

        Broken: the work of a dead worker stays with it until something else happens.
        """
        await sent(harness.backend)
        await claimer(harness, "dead").take_one()
        async with waiting(claimer(harness, "heir").wait_one()) as waiter:
            await harness.advance(harness.unit)
            async with promptly("the message whose lease expired"):
                assert (await waiter).fence.attempt == 2

    async def test_a_wait_that_is_given_up_takes_nothing(self, harness: Harness) -> None:
        """A worker that stops waiting leaves no claim behind.

        Broken: what is published next goes to a worker that no longer listens.
        """
        async with waiting(claimer(harness, "gone").wait_one()):
            pass
        (message,) = await sent(harness.backend)
        delivery = await claimer(harness).take_one()
        assert (delivery.message, delivery.fence.attempt) == (message, 1)
