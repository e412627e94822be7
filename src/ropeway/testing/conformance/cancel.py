"""Ending jobs that nobody wants any more."""

from __future__ import annotations

import asyncio

from ropeway.decide import Keep
from ropeway.message import Failure, job_key
from ropeway.states import State
from ropeway.store import Backend, holder_name
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    LONG,
    claimer,
    counts,
    ids,
    job,
    message,
    promptly,
    put,
    second_claimer,
    sent,
    version_of,
    waiting,
)
from ropeway.transition import APPLIED, Answer, Cancel, Finish, Put, Reject, Release, Transition


async def cancel(backend: Backend, *job_ids: str, keep: float = 1000.0) -> Answer:
    """Ask for jobs to be cancelled."""
    cancels = tuple(Cancel(job_id, keep) for job_id in job_ids)
    (answer,) = await backend.commit([Transition(cancel=cancels)])
    return answer


class CancelCases:
    """`cancel` in a transition."""

    async def test_what_waits_is_cancelled(self, harness: Harness) -> None:
        """A job that waits, due or not, ends as cancelled and is handed to nobody.

        Broken: the answer says that it ended, and a worker runs it.
        """
        (ready,) = await sent(harness.backend)
        (delayed,) = await sent(harness.backend, delay=harness.unit)
        (other,) = await sent(harness.backend)
        version = await version_of(harness.backend, job_key(ready.id))
        answer = await cancel(harness.backend, ready.id, delayed.id)
        assert (answer.status, answer.flagged) == ("applied", ())
        assert set(answer.cancelled) == {ready.id, delayed.id}
        record = await job(harness.backend, ready.id)
        assert (record.state, record.attempt, record.cancelling) == (State.CANCELLED, 0, False)
        assert record.finished is not None
        assert await version_of(harness.backend, job_key(ready.id)) > version
        await harness.advance(harness.unit)
        assert ids(await claimer(harness).take(9)) == [other.id]
        assert (await counts(harness.backend)).ready == 0

    async def test_what_runs_is_flagged(self, harness: Harness) -> None:
        """A job that runs goes on; its holder is told when it renews, and its record says so.

        Broken: the lease is taken from it, and the worker finds out when it has done the work.
        """
        messages = await sent(harness.backend, 2)
        first = claimer(harness, units=2)
        fences = [each.fence for each in await first.take(2)]
        answer = await cancel(harness.backend, messages[0].id)
        assert (answer.cancelled, answer.flagged) == ((), (messages[0].id,))
        record = await job(harness.backend, messages[0].id)
        assert (record.state, record.cancelling) == (State.RUNNING, True)
        assert await harness.backend.extend(fences, 2 * harness.unit) == ["cancelled", "held"]

    async def test_a_flagged_lease_is_renewed(self, harness: Harness) -> None:
        """A holder that is told to cancel still holds the lease that it renewed.

        Broken: while it cleans up, its job is ended or run elsewhere.
        """
        (flagged,) = await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        await cancel(harness.backend, flagged.id)
        answers = await harness.backend.extend([delivery.fence], 3 * harness.unit)
        assert answers == ["cancelled"]
        await harness.advance(2 * harness.unit)
        assert await claimer(harness, "other").take(9) == []
        assert (await job(harness.backend, flagged.id)).state is State.RUNNING
        assert (await first.settle(delivery, Release("releases"))).ok

    async def test_a_release_of_a_flagged_job_ends_it(self, harness: Harness) -> None:
        """What was to be cancelled does not go back to its queue, whyever it is given back.

        Broken: an interrupted task is run again by the next worker.
        """
        error = Failure(type="Interrupted", message="x")
        for release in (Release("releases"), Release("failures", delay=1.0, error=error)):
            (flagged,) = await sent(harness.backend)
            first = claimer(harness)
            delivery = await first.take_one()
            await cancel(harness.backend, flagged.id)
            assert (await first.settle(delivery, release)).status == "applied"
            assert (await first.settle(delivery, release)).status == "repeated"
            record = await job(harness.backend, flagged.id)
            assert (record.state, record.cancelling) == (State.CANCELLED, False)
            assert (record.error, record.failures) == (release.error, release.error is not None)
            assert record.finished is not None
            await harness.advance(harness.unit)
            assert await first.take(9) == []

    async def test_finishing_first_wins(self, harness: Harness) -> None:
        """A flagged job that finishes, or is rejected, has ended as its holder says.

        Broken: the result of work that was done is thrown away.
        """
        done, bad = await sent(harness.backend, 2)
        first = claimer(harness)
        finished, rejected = await first.take(2)
        await cancel(harness.backend, done.id, bad.id)
        assert (await first.settle(finished, Finish(State.SUCCEEDED, b"1"))).status == "applied"
        assert (await first.settle(rejected, Reject("bad"))).status == "applied"
        record = await job(harness.backend, done.id)
        assert (record.state, record.value) == (State.SUCCEEDED, b"1")
        assert record.cancelling is False
        assert (await job(harness.backend, bad.id)).state is State.QUARANTINED

    async def test_an_expired_lease_of_a_flagged_job_ends_it(self, harness: Harness) -> None:
        """When the holder of a flagged job dies, nobody takes it over: the next claim ends it.

        Broken: a job that kills its workers cannot be stopped.
        """
        flagged, other = await sent(harness.backend, 2)
        dead = claimer(harness, "dead")
        delivery, _ = await dead.take(2)
        await cancel(harness.backend, flagged.id)
        await harness.advance(harness.unit)
        assert ids(await claimer(harness, "heir").take(9)) == [other.id]
        assert (await job(harness.backend, flagged.id)).state is State.CANCELLED
        assert (await dead.settle(delivery, Finish(State.SUCCEEDED))).reason == "lost"

    async def test_pruning_ends_it_too(self, harness: Harness) -> None:
        """In a queue that nobody serves, a flagged job ends when somebody prunes.

        Broken: it looks as if it were running for ever.
        """
        (flagged,) = await sent(harness.backend)
        await claimer(harness).take_one()
        await cancel(harness.backend, flagged.id)
        await harness.backend.prune(Keep(), 9)
        assert (await job(harness.backend, flagged.id)).state is State.RUNNING
        await harness.advance(harness.unit)
        await harness.backend.prune(Keep(), 9)
        assert (await job(harness.backend, flagged.id)).state is State.CANCELLED

    async def test_what_has_ended_stays(self, harness: Harness) -> None:
        """To cancel a settled or an unknown job does nothing, and refuses nothing.

        Broken: it becomes an error, so that whoever stops a whole run fails at its first job.
        """
        (done,) = await sent(harness.backend)
        first = claimer(harness)
        await first.settle(await first.take_one(), Finish(State.SUCCEEDED, b"1"))
        version = await version_of(harness.backend, job_key(done.id))
        assert await cancel(harness.backend, done.id, message().id) == APPLIED
        record = await job(harness.backend, done.id)
        assert (record.state, record.value) == (State.SUCCEEDED, b"1")
        assert await version_of(harness.backend, job_key(done.id)) == version

    async def test_a_cancelled_record_is_kept_as_asked(self, harness: Harness) -> None:
        """The record is kept for `keep` seconds after the end, however the job ended.

        Broken: it is gone before anybody has seen what became of the job, or stays for ever.
        """
        waits, released, expired = await sent(harness.backend, 3)
        first = claimer(harness)
        one, second, _ = await first.take(3)
        await first.settle(one, Release("none"))
        keep = 2.5 * harness.unit
        await cancel(harness.backend, waits.id, released.id, expired.id, keep=keep)
        await first.settle(second, Release("releases"))
        await harness.advance(harness.unit)
        await harness.backend.prune(Keep(), 9)  # ends the third
        await harness.advance(harness.unit)
        await harness.backend.prune(Keep(), 9)
        for each in (waits, released, expired):
            assert (await job(harness.backend, each.id)).state is State.CANCELLED
        await harness.advance(harness.unit)
        await harness.backend.prune(Keep(), 9)
        gone = await harness.backend.get([job_key(each.id) for each in (waits, released, expired)])
        assert [record is None for record in gone] == [True, True, False]
        await harness.advance(harness.unit)
        await harness.backend.prune(Keep(), 9)
        assert await harness.backend.get([job_key(expired.id)]) == [None]

    async def test_cancelling_is_guarded_like_any_write(self, harness: Harness) -> None:
        """A refused transition cancels nothing; one that is applied does all it holds.

        Broken: a workflow that was not stopped has lost half of its jobs.
        """
        (waits,) = await sent(harness.backend)
        version = await put(harness.backend, "r")
        stop = Transition(expect={"r": version}, put=(Put("r", b"2"),), cancel=(Cancel(waits.id),))
        (answer,) = await harness.backend.commit([Transition(expect={"r": 9}, cancel=stop.cancel)])
        assert (answer.reason, answer.cancelled) == ("conflict", ())
        assert (await job(harness.backend, waits.id)).state is State.QUEUED
        (answer,) = await harness.backend.commit([stop])
        assert (answer.versions, answer.cancelled) == ({"r": version + 1}, (waits.id,))

    async def test_a_message_of_the_same_transition(self, harness: Harness) -> None:
        """What a transition publishes and cancels is cancelled, and nobody runs it.

        Broken: the writes are done in another order than that of the fields.
        """
        new = message()
        both = Transition(publish=(new,), cancel=(Cancel(new.id),))
        (answer,) = await harness.backend.commit([both])
        assert answer.cancelled == (new.id,)
        assert await claimer(harness).take(9) == []


class CancelHintCases:
    """Who hears of it, for those who wait."""

    async def test_the_end_of_a_cancelled_job_is_told(self, harness: Harness) -> None:
        """Who waits for the result of a job hears that it was cancelled, waiting or running.

        Broken: `result()` waits for its timeout when somebody else has cancelled the job.
        """
        other = await second_claimer(harness)
        for running in (False, True):
            (new,) = await sent(harness.backend)
            found = await other.take(1) if running else []

            async def ended(job_id: str = new.id) -> None:
                while not (await job(harness.backend, job_id)).state.final:
                    await harness.backend.wait([job_key(job_id)], LONG)
                    await asyncio.sleep(0)

            async with waiting(ended()) as waiter:
                await cancel(other.backend, new.id)
                for delivery in found:
                    await other.settle(delivery, Release("releases"))
                async with promptly("the end of the job"):
                    await waiter

    async def test_the_holder_is_told(self, harness: Harness) -> None:
        """The holder of a job that is flagged elsewhere hears of it at once, by its name.

        Broken: it finds out at its next renewal, and the task runs on for that long.
        """
        await sent(harness.backend)
        delivery = await claimer(harness).take_one()
        other, name = await harness.second(), holder_name("first")
        await harness.backend.wait([name], 0)

        async def told() -> None:
            while not await harness.backend.wait([name], LONG):  # noqa: ASYNC110  it waits
                await asyncio.sleep(0)

        async with waiting(told()) as waiter:
            await cancel(other, delivery.fence.id)
            async with promptly("the request"):
                await waiter
        assert await harness.backend.extend([delivery.fence], 1.0) == ["cancelled"]
