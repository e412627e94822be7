"""Changing jobs that wait."""

from __future__ import annotations

from ropeway.message import job_key
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    counts,
    ids,
    job,
    message,
    promptly,
    send,
    sent,
    value_of,
    version_of,
    waiting,
)
from ropeway.transition import Answer, Finish, Put, Release, Transition, Update


async def update(backend: Backend, job_id: str, **changes: object) -> Answer:
    """Change one job that waits."""
    change = Update(job_id, **changes)  # type: ignore[arg-type]  # the caller names its fields
    (answer,) = await backend.commit([Transition(update=(change,))])
    return answer


class UpdateCases:
    """`update` in a transition."""

    async def test_a_job_is_given_another_due_time(self, harness: Harness) -> None:
        """A job that waits is due when the update says, earlier or later, and at its new place.

        Broken: the record shows the new time, and the job runs at the old one.
        """
        now = await harness.backend.now()
        (sooner,) = await sent(harness.backend, delay=9 * harness.unit)
        later, stays = await sent(harness.backend, 2, due=now - 5)
        version = await version_of(harness.backend, job_key(sooner.id))
        assert (await update(harness.backend, sooner.id, due=now - 9)).status == "applied"
        await update(harness.backend, later.id, due=now + harness.unit)
        assert (await job(harness.backend, sooner.id)).due == now - 9
        assert await version_of(harness.backend, job_key(sooner.id)) > version
        first = claimer(harness)
        assert ids(await first.take(9)) == ids([sooner, stays])
        await harness.advance(harness.unit)
        found = [each for each in await first.take(9) if each.message.id == later.id]
        assert [each.due for each in found] == [now + harness.unit]

    async def test_a_job_is_moved(self, harness: Harness) -> None:
        """A job can be given another queue and another band, and is found there alone.

        Broken: it is handed out twice, by its old place and by its new one.
        """
        moved, stays = await sent(harness.backend, 2, band=1)
        await send(harness.backend, message(queue="another", band=3))
        await update(harness.backend, moved.id, queue="another", band=7)
        first = claimer(harness)
        assert ids(await first.take(9)) == [stays.id]
        found = await first.take(9, queue="another")
        assert [each.message.band for each in found] == [7, 3]
        assert (found[0].message.id, found[0].message.queue) == (moved.id, "another")
        assert (await counts(harness.backend)).ready == 0
        assert len((await harness.backend.search(Filter(queue="another"))).jobs) == 2

    async def test_a_body_is_changed(self, harness: Harness) -> None:
        """A job can be given another body; whatever is not named stays as it is.

        Broken: an update that corrects the arguments resets the band or the headers.
        """
        (sent_one,) = await sent(
            harness.backend, body=b"1", band=2, headers={"a": "b"}, key="k", limits=("l",)
        )
        await update(harness.backend, sent_one.id, body=b"2")
        message_now = (await claimer(harness).take_one()).message
        assert message_now.body == b"2"
        assert (message_now.band, message_now.queue) == (2, "default")
        assert (message_now.headers, message_now.key) == ({"a": "b"}, "k")
        assert message_now.limits == ("l",)

    async def test_an_update_keeps_the_counters(self, harness: Harness) -> None:
        """What has been counted of a job, and when it was sent, stays.

        Broken: a poison job that is moved aside begins anew with its retries.
        """
        (retried,) = await sent(harness.backend)
        first = claimer(harness)
        await first.settle(await first.take_one(), Release("failures", delay=harness.unit))
        before = await job(harness.backend, retried.id)
        await update(harness.backend, retried.id, due=1.0, body=b"new")
        delivery = await first.take_one()
        assert (delivery.failures, delivery.fence.attempt) == (1, 2)
        assert (delivery.enqueued, delivery.due) == (before.enqueued, 1.0)

    async def test_only_what_waits_is_changed(self, harness: Harness) -> None:
        """A job that runs, is settled or unknown is not changed, and that is a conflict.

        Broken: the arguments of a running task change under it, or nobody learns that it is late.
        """
        runs, done = await sent(harness.backend, 2, body=b"old")
        first = claimer(harness)
        _, delivery = await first.take(2)
        await first.settle(delivery, Finish(State.SUCCEEDED))
        unknown = message()
        for job_id in (runs.id, done.id, unknown.id):
            version = await version_of(harness.backend, job_key(job_id))
            answer = await update(harness.backend, job_id, body=b"new")
            assert (answer.status, answer.reason) == ("refused", "conflict")
            assert (answer.key, answer.current) == (job_key(job_id), version)
        assert (await job(harness.backend, runs.id)).message.body == b"old"

    async def test_a_refused_update_changes_nothing(self, harness: Harness) -> None:
        """With one job that does not wait, nothing of the transition is done.

        Broken: half of a batch is moved, and nobody knows which half.
        """
        runs, waits = await sent(harness.backend, 2)
        await claimer(harness).take_one()
        changes = (Update(waits.id, band=9), Update(runs.id, band=9))
        (answer,) = await harness.backend.commit([Transition(update=changes, put=(Put("r", b""),))])
        assert answer.reason == "conflict"
        assert await value_of(harness.backend, "r") is None
        assert (await job(harness.backend, waits.id)).message.band == waits.band

    async def test_a_moved_job_keeps_its_key(self, harness: Harness) -> None:
        """A keyed job that comes to another queue waits there behind what is open of its key.

        Broken: after the move two of a key run in one queue, or what it leaves behind is stuck.
        """
        here = await sent(harness.backend, 2, key="a")
        there = await sent(harness.backend, 2, key="a", queue="another")
        first = claimer(harness)
        running = await first.take_one("another")
        await update(harness.backend, here[0].id, queue="another")
        assert await first.take(9, "another") == []
        assert ids(await first.take(9)) == [here[1].id]
        order = [running]
        while True:
            await first.settle(order[-1], Finish(State.SUCCEEDED))
            found = await first.take(9, "another")
            if not found:
                break
            order += found
        assert ids(order) == ids([there[0], here[0], there[1]])

    async def test_a_head_that_is_changed_stays_the_head(self, harness: Harness) -> None:
        """Changing the first of a key, or one behind it, leaves the order of the key alone.

        Broken: an edited message loses its place, or passes those before it.
        """
        messages = await sent(harness.backend, 3, key="a")
        now = await harness.backend.now()
        await update(harness.backend, messages[0].id, body=b"2", due=now + harness.unit)
        await update(harness.backend, messages[2].id, due=now - 100, band=9)
        first, order = claimer(harness), list[str]()
        assert await first.take(9) == []
        await harness.advance(harness.unit)
        while found := await first.take(9):
            order += ids(found)
            await first.settle(found[0], Finish(State.SUCCEEDED))
        assert order == ids(messages)


class UpdateWaitingCases:
    """An update and `receive` with a wait."""

    async def test_waiting_for_a_job_that_is_hurried(self, harness: Harness) -> None:
        """A worker that waits gets a job soon after it was made due.

        Broken: "run it now" means "when somebody looks".
        """
        (delayed,) = await sent(harness.backend, delay=99 * harness.unit)
        other = await harness.second()
        now = await other.now()
        async with waiting(claimer(harness).wait_one()) as waiter:
            await update(other, delayed.id, due=now)
            async with promptly("the job that was made due"):
                assert (await waiter).message.id == delayed.id
