"""How long what is settled stays."""

from __future__ import annotations

from ropeway.decide import NOT_STARTED, Keep
from ropeway.message import Terms, job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    ids,
    job,
    message,
    put,
    send,
    sent,
    value_of,
)
from ropeway.transition import Finish, Reject, Release

_KEEP = Keep()


class KeepCases:
    """The verb `prune`, and the `keep` of a settle."""

    async def test_what_is_over_goes_and_nothing_else(self, harness: Harness) -> None:
        """Settled jobs go when their own time is over; open ones stay however old they are.

        Broken: a result goes before its caller was promised, or a job that waits is removed.
        """
        me, unit = claimer(harness), harness.unit
        short, long, quarantined, released, leased, waiting = await sent(harness.backend, 6)
        deliveries = await me.take(5)
        await me.settle(deliveries[0], Finish(State.SUCCEEDED, b"1", keep=unit))
        await me.settle(deliveries[1], Finish(State.FAILED, keep=9 * unit))
        await me.settle(deliveries[2], Reject("bad", keep=unit))
        await me.settle(deliveries[3], Release(counts="releases"))
        assert await harness.backend.prune(_KEEP, 100) == 0
        await harness.advance(2 * unit)
        assert await harness.backend.prune(_KEEP, 100) == 2
        gone = [short, quarantined]
        for each in (short, long, quarantined, released, leased, waiting):
            kept = await value_of(harness.backend, job_key(each.id)) is not None
            assert kept == (each not in gone)

    async def test_pruning_is_bounded(self, harness: Harness) -> None:
        """One call removes at most `limit`, those first whose time was over first.

        Broken: one call removes a million rows, and everybody else waits for it.
        """
        me, unit = claimer(harness), harness.unit
        messages = await sent(harness.backend, 5)
        for number, delivery in enumerate(await me.take(5)):
            await me.settle(delivery, Finish(State.SUCCEEDED, keep=(6 - number) * unit))
        await harness.advance(6 * unit)
        assert await harness.backend.prune(_KEEP, 2) == 2
        kept = [await value_of(harness.backend, job_key(each.id)) for each in messages]
        assert [value is not None for value in kept] == [True, True, True, False, False]
        assert await harness.backend.prune(_KEEP, 2) == 2
        assert await harness.backend.prune(_KEEP, 2) == 1
        assert await harness.backend.prune(_KEEP, 2) == 0

    async def test_the_newest_records_of_a_state_stay(self, harness: Harness) -> None:
        """Of each final state the newest stay, whatever their age; the older ones go.

        Broken: a million records of jobs that failed push out the result of one that succeeded.
        """
        me, unit = claimer(harness), harness.unit
        messages = await sent(harness.backend, 7)
        deliveries = await me.take(7)
        for delivery in deliveries[:5]:
            await me.settle(delivery, Finish(State.SUCCEEDED, keep=100 * unit))
            await harness.advance(unit)
        for delivery in deliveries[5:]:
            await me.settle(delivery, Finish(State.FAILED, keep=900 * unit))
            await harness.advance(unit)
        assert await harness.backend.prune(Keep(newest=2), 100) == 3
        assert await harness.backend.prune(Keep(newest=2), 100) == 0
        kept = [await value_of(harness.backend, job_key(each.id)) for each in messages]
        assert [value is not None for value in kept] == [
            False,
            False,
            False,
            True,
            True,
            True,
            True,
        ]

    async def test_what_waits_past_its_time_ends(self, harness: Harness) -> None:
        """A job that waits past its `expires` ends as expired, whether or not anybody serves it.

        Broken: whoever waits for it waits for ever, because no worker serves its queue.
        """
        me, backend, unit = claimer(harness), harness.backend, harness.unit
        now = await backend.now()
        late = message(expires=now + unit, queue="nobody")
        in_time, plain = message(expires=now + 9 * unit), message()
        await send(backend, late, in_time, plain)
        assert await backend.prune(_KEEP, 100) == 0
        await harness.advance(2 * unit)
        assert await backend.prune(_KEEP, 100) == 1
        ended = await job(backend, late.id)
        assert (ended.state, ended.attempt, ended.error) == (State.EXPIRED, 0, NOT_STARTED)
        assert ended.finished is not None
        assert ended.finished >= now + unit
        assert await me.take(1, "nobody") == []
        assert sorted(ids(await me.take(9))) == sorted(ids([in_time, plain]))

    async def test_a_time_to_start_in_counts_from_the_due_time(self, harness: Harness) -> None:
        """A job whose terms say so ends a time after it was due, not after it was sent.

        Broken: a job that was delayed for longer than that never runs.
        """
        me, backend, unit = claimer(harness), harness.backend, harness.unit
        soon = message(terms=Terms(expires=unit), queue="nobody")
        delayed = message(terms=Terms(expires=2 * unit), delay=2 * unit)
        await send(backend, soon, delayed)
        await harness.advance(3 * unit)
        assert await backend.prune(_KEEP, 100) == 1
        assert (await job(backend, soon.id)).state is State.EXPIRED
        assert ids(await me.take(9)) == [delayed.id]

    async def test_what_is_not_kept_goes_at_once(self, harness: Harness) -> None:
        """A settle that keeps its record for 0 seconds removes it, and whoever waits is told.

        Broken: a million jobs of which nothing is to be kept fill the store until it is pruned.
        """
        me, backend = claimer(harness), harness.backend
        plain, keyed, follower = message(), message(key="k"), message(key="k")
        await send(backend, plain, keyed, follower)
        deliveries = await me.take(9)
        assert sorted(ids(deliveries)) == sorted(ids([plain, keyed]))
        await backend.wait([job_key(plain.id)], 0)
        for delivery in deliveries:
            assert (await me.settle(delivery, Finish(State.SUCCEEDED, keep=0.0))).ok
        assert await backend.get([job_key(plain.id), job_key(keyed.id)]) == [None, None]
        assert await backend.wait([job_key(plain.id)], harness.unit) == [job_key(plain.id)]
        assert ids(await me.take(9)) == [follower.id]

    async def test_what_has_started_does_not_expire(self, harness: Harness) -> None:
        """A running job goes on past its `expires`, and its record is kept from its end on.

        Broken: a job that started in time is ended under its worker's hands.
        """
        me, backend, unit = claimer(harness), harness.backend, harness.unit
        only = message(expires=await backend.now() + unit)
        await send(backend, only)
        (delivery,) = await me.take(1)
        await harness.advance(2 * unit)
        assert await backend.prune(_KEEP, 100) == 0
        assert (await me.settle(delivery, Finish(State.SUCCEEDED, b"1"))).ok

    async def test_removing_records_is_bounded(self, harness: Harness) -> None:
        """One call removes at most `limit` records that are over, and none that is not.

        Broken: a million records that ended together are removed in one step.
        """
        backend, unit = harness.backend, harness.unit
        await put(backend, "stays", b"1")
        await put(backend, "lasts", b"2", ttl=9 * unit)
        for number in range(5):
            await put(backend, f"over/{number}", ttl=unit)
        await harness.advance(2 * unit)
        removed = [await backend.prune(_KEEP, 2) for _ in range(6)]
        assert max(removed) <= 2
        assert removed[-1] == 0
        assert [each.key for each in await backend.scan("")] == ["lasts", "stays"]

    async def test_expiring_is_bounded(self, harness: Harness) -> None:
        """One call ends and removes at most `limit` jobs together, and keeps what it just ended.

        Broken: a queue of a million late jobs is ended in one step, and everybody waits for it.
        """
        backend, unit = harness.backend, harness.unit
        now = await backend.now()
        await send(backend, *(message(expires=now + unit) for _ in range(5)))
        await harness.advance(2 * unit)
        assert [await backend.prune(_KEEP, 2) for _ in range(4)] == [2, 2, 1, 0]
