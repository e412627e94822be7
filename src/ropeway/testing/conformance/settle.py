"""How an attempt ends, and what is known of the job then."""

from __future__ import annotations

from ropeway.message import Failure, job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    counts,
    ids,
    job,
    message,
    second_claimer,
    send,
    sent,
    version_of,
)
from ropeway.transition import Finish, Reject, Release

_ERROR = Failure(type="builtins.KeyError", message="'ä'", traceback="Traceback ...\n")


class SettleCases:
    """`Finish`, `Release` and `Reject`."""

    async def test_finish_is_recorded(self, harness: Harness) -> None:
        """The state, the result, the error and the counters are in the job's record, at once.

        Broken: the result comes later than the end, or the record forgets who did what.
        """
        (message,) = await sent(harness.backend, body=b"in", headers={"a": "b"})
        first = claimer(harness)
        delivery = await first.take_one()
        await first.settle(delivery, Release("failures"))
        delivery = await first.take_one()
        version = await version_of(harness.backend, job_key(message.id))
        before = await harness.backend.now()
        assert (await first.settle(delivery, Finish(State.SUCCEEDED, b"\x00\xff"))).ok
        record = await job(await harness.second(), message.id)
        assert (record.state, record.value, record.error) == (State.SUCCEEDED, b"\x00\xff", None)
        assert record.message == message
        assert (record.attempt, record.failures, record.holder) == (2, 1, "first")
        assert record.finished is not None
        assert before <= record.finished <= await harness.backend.now()
        assert record.started is not None
        assert record.enqueued == delivery.enqueued <= record.started <= record.finished
        assert await version_of(harness.backend, job_key(message.id)) > version

    async def test_every_final_state(self, harness: Harness) -> None:
        """A job can end in each of the final states, with or without a result, and stays ended.

        Broken: failed or expired jobs come back after a lease, or an empty result becomes none.
        """
        await sent(harness.backend, 4)
        first = claimer(harness)
        ends = [
            Finish(State.SUCCEEDED, b""),
            Finish(State.FAILED, None, _ERROR, counts="failures"),
            Finish(State.CANCELLED),
            Finish(State.EXPIRED, None, _ERROR),
        ]
        for delivery, end in zip(await first.take(4), ends, strict=True):
            assert (await first.settle(delivery, end)).status == "applied"
            record = await job(harness.backend, delivery.fence.id)
            assert (record.state, record.value, record.error) == (end.state, end.value, end.error)
            assert record.failures == (end.counts == "failures")
        await harness.advance(5 * harness.unit)
        assert await first.take(9) == []
        found = await counts(harness.backend)
        assert (found.ready, found.delayed, found.leased) == (0, 0, 0)

    async def test_a_record_is_kept_as_long_as_asked(self, harness: Harness) -> None:
        """The record of a settled job can be looked up for at least `keep` seconds.

        Broken: a job is forgotten with its message, and whoever waits for the result never hears.
        """
        done, bad = await sent(harness.backend, 2)
        first = claimer(harness)
        finished, rejected = await first.take(2)
        await first.settle(finished, Finish(State.SUCCEEDED, b"1", keep=4 * harness.unit))
        await first.settle(rejected, Reject("bad", keep=4 * harness.unit))
        await harness.advance(3 * harness.unit)
        await sent(harness.backend)
        assert (await job(harness.backend, done.id)).value == b"1"
        assert (await job(harness.backend, bad.id)).state is State.QUARANTINED

    async def test_reject_keeps_the_bytes_and_the_reason(self, harness: Harness) -> None:
        """A rejected message is in quarantine, intact, with the reason; nothing runs it again.

        Broken: what could not be read is thrown away, or handed out for ever.
        """
        (message,) = await sent(harness.backend, body=b"\xff{", content_type="no/such")
        first = claimer(harness)
        await first.settle(await first.take_one(), Reject("undecodable", "at 1", "losses"))
        record = await job(harness.backend, message.id)
        assert (record.state, record.message) == (State.QUARANTINED, message)
        assert record.error == Failure(type="undecodable", message="at 1")
        assert (record.losses, record.failures) == (1, 0)
        assert record.finished is not None
        await harness.advance(2 * harness.unit)
        assert await first.take() == []

    async def test_release_goes_back_to_the_old_place(self, harness: Harness) -> None:
        """A released message is before those that were behind it, and behind those before it.

        Broken: it goes to the back of the queue, so that every deploy delays what it interrupts.
        """
        due = await harness.backend.now() - 1
        messages = [message(due=due) for _ in range(4)]
        await send(harness.backend, *messages)
        first = claimer(harness)
        one, two = await first.take(2)
        await harness.advance(harness.unit / 10)
        await sent(harness.backend)
        for delivery in (two, one):
            assert (await first.settle(delivery, Release("releases"))).status == "applied"
        assert ids(await first.take(4)) == ids(messages)

    async def test_release_is_free_at_once(self, harness: Harness) -> None:
        """Another worker may take a released message right away; its record says that it waits.

        Broken: it stays leased until the lease of the one that gave it up has expired.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        await first.settle(await first.take_one(), Release("failures", error=_ERROR))
        record = await job(harness.backend, message.id)
        assert (record.state, record.error) == (State.QUEUED, _ERROR)
        assert (record.finished, record.value) == (None, None)
        delivery = await (await second_claimer(harness)).take_one()
        assert (delivery.message, delivery.fence.attempt) == (message, 2)

    async def test_release_with_a_delay(self, harness: Harness) -> None:
        """A released message is due `delay` seconds from the backend's now, whatever it was before.

        Broken: a retry runs at once, or its delay counts from the day the message was sent.
        """
        await sent(harness.backend, due=await harness.backend.now() - 100)
        first = claimer(harness)
        delivery = await first.take_one()
        before = await harness.backend.now()
        await first.settle(delivery, Release("failures", delay=2 * harness.unit))
        after = await harness.backend.now()
        await harness.advance(harness.unit)
        assert await first.take() == []
        await harness.advance(harness.unit)
        again = await first.take_one()
        assert before <= again.due - 2 * harness.unit <= after
        assert (again.enqueued, again.message) == (delivery.enqueued, delivery.message)

    async def test_release_until_a_date(self, harness: Harness) -> None:
        """A released message is due at the date that was given, also one in the past.

        Broken: the date is taken for a delay, or moved.
        """
        await sent(harness.backend)
        first = claimer(harness)
        ahead = await harness.backend.now() + harness.unit
        await first.settle(await first.take_one(), Release("none", at=ahead))
        assert await first.take() == []
        await harness.advance(harness.unit)
        delivery = await first.take_one()
        assert delivery.due == ahead
        await first.settle(delivery, Release("none", at=12.5))
        assert (await first.take_one()).due == 12.5

    async def test_each_charge_has_its_counter(self, harness: Harness) -> None:
        """A release charges what it names and nothing else; the next delivery tells.

        Broken: a deploy is counted as a failure, and a healthy job runs out of retries.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        two, three = [Release("losses")] * 2, [Release("releases")] * 3
        releases = [Release("failures"), *two, *three, Release("none")]
        for release in releases:
            await first.settle(await first.take_one(), release)
        delivery = await first.take_one()
        assert (delivery.failures, delivery.losses, delivery.releases) == (1, 2, 3)
        assert delivery.unknown == 0
        assert delivery.fence.attempt == len(releases) + 1
        await first.settle(delivery, Reject("x", counts="failures"))
        record = await job(harness.backend, message.id)
        assert (record.failures, record.losses, record.releases) == (2, 2, 3)

    async def test_releases_of_the_unknown_are_counted_twice(self, harness: Harness) -> None:
        """What nobody knew is a release, free as any other, and told apart from the others.

        Broken: stopping workers use up the time that a rolling deploy has to bring the task.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        for release in ("releases", "unknown", "releases", "unknown", "releases"):
            await first.settle(await first.take_one(), Release(release))
        delivery = await first.take_one()
        assert (delivery.failures, delivery.losses) == (0, 0)
        assert (delivery.releases, delivery.unknown, delivery.abandoned) == (5, 2, 0)
        record = await job(harness.backend, message.id)
        assert (record.releases, record.unknown) == (5, 2)
