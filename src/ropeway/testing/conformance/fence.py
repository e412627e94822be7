"""Only the attempt that holds the lease changes anything."""

from __future__ import annotations

from msgspec.structs import replace

from ropeway.message import Fence, job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    ids,
    job,
    message,
    put,
    second_claimer,
    sent,
    settled,
    value_of,
    version_of,
)
from ropeway.transition import Answer, Drop, Finish, Put, Reject, Release, Transition


def _assert_lost(answer: Answer, job_id: str, version: int) -> None:
    assert (answer.status, answer.reason) == ("refused", "lost")
    assert (answer.key, answer.current) == (job_key(job_id), version)


class FenceCases:
    """`fence` in a transition."""

    async def test_a_stale_fence_settles_nothing(self, harness: Harness) -> None:
        """An attempt whose lease was taken over is refused; the other one settles, and that stays.

        Broken: the slow first worker overwrites the result of the second, or ends it under it.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        stale = await first.take_one()
        await harness.advance(harness.unit)
        second = await second_claimer(harness)
        current = await second.take_one()
        version = await version_of(harness.backend, job_key(message.id))
        for settle in (Finish(State.FAILED), Release("failures"), Reject("stale")):
            _assert_lost(await first.settle(stale, settle), message.id, version)
        answer = await second.settle(current, Finish(State.SUCCEEDED, b"second"))
        assert answer.status == "applied"
        answer = await first.settle(stale, Finish(State.SUCCEEDED, b"first"))
        _assert_lost(answer, message.id, version + 1)
        record = await job(harness.backend, message.id)
        assert (record.state, record.value) == (State.SUCCEEDED, b"second")
        assert (record.failures, record.holder, record.attempt) == (0, "second", 2)

    async def test_an_expired_lease_nobody_took_over_settles(self, harness: Harness) -> None:
        """Expiry alone takes nothing away: until somebody takes over, the holder may settle.

        Broken: work that took a moment too long is thrown away and done again.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        await harness.advance(5 * harness.unit)
        answer = await first.settle(delivery, Finish(State.SUCCEEDED, b"late"))
        assert answer.status == "applied"
        assert await claimer(harness, "other").take() == []
        assert (await job(harness.backend, message.id)).value == b"late"

    async def test_every_part_of_a_fence_counts(self, harness: Harness) -> None:
        """Another holder, another attempt, or an unknown id is refused.

        Broken: two workers of one name, or two attempts of one worker, pass for each other.
        """
        await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        fence, commit = delivery.fence, harness.backend.commit
        version = await version_of(harness.backend, job_key(fence.id))
        for holder, attempt in (("other", 1), ("first", 2), ("first", 0)):
            wrong = replace(fence, holder=holder, attempt=attempt)
            (answer,) = await commit([Transition(fence=wrong, settle=Finish(State.FAILED))])
            _assert_lost(answer, fence.id, version)
        nobodys = Fence(message().id, 1, "first")
        (answer,) = await commit([Transition(fence=nobodys, settle=Finish(State.FAILED))])
        _assert_lost(answer, nobodys.id, 0)
        assert (await first.settle(delivery, Finish(State.SUCCEEDED))).ok

    async def test_a_refused_fence_changes_nothing(self, harness: Harness) -> None:
        """With its lease lost, nothing of a transition is done: no record, no message, no settle.

        Broken: a worker that was given up starts the successors of a job that another one runs.
        """
        await put(harness.backend, "kept", b"old")
        (message,) = await sent(harness.backend)
        stale = await claimer(harness).take_one()
        await harness.advance(harness.unit)
        await claimer(harness, "other", units=9).take_one()
        successor, progress = await _everything(harness, settled(stale, Finish(State.FAILED)))
        assert (successor.status, progress.status) == ("refused", "refused")
        assert await value_of(harness.backend, "kept") == b"old"
        assert await value_of(harness.backend, "new") is None
        assert (await job(harness.backend, message.id)).state is State.RUNNING
        assert await claimer(harness, "third").take(9) == []

    async def test_the_holder_may_change_everything_at_once(self, harness: Harness) -> None:
        """While the lease is held, the whole transition is applied: records, messages, settle.

        Broken: a settle drops its companions, and a workflow stops after the first step.
        """
        await put(harness.backend, "kept", b"old")
        (message,) = await sent(harness.backend)
        delivery = await claimer(harness).take_one()
        whole, _ = await _everything(harness, settled(delivery, Finish(State.SUCCEEDED)))
        assert whole.status == "applied"
        assert whole.versions == {"new": 1}
        assert await value_of(harness.backend, "kept") is None
        assert await value_of(harness.backend, "new") == b"new"
        assert (await job(harness.backend, message.id)).state is State.SUCCEEDED
        found = await claimer(harness).take(9)
        assert [each.message.body for each in found] == [b"follower"]

    async def test_a_fence_without_a_settle(self, harness: Harness) -> None:
        """A fence may guard writes alone; the attempt goes on, and may write and settle later.

        Broken: recording progress ends the attempt, or a worker that lost its lease still does it.
        """
        await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        for progress in (b"1", b"2"):
            write = Transition(fence=delivery.fence, put=(Put("progress", progress),))
            (answer,) = await harness.backend.commit([write])
            assert answer.status == "applied"
        assert (await first.settle(delivery, Finish(State.SUCCEEDED))).status == "applied"
        late = Transition(fence=delivery.fence, put=(Put("progress", b"3"),))
        (answer,) = await harness.backend.commit([late])
        assert (answer.status, answer.reason) == ("refused", "lost")
        assert await value_of(harness.backend, "progress") == b"2"

    async def test_what_was_released_is_not_the_holders(self, harness: Harness) -> None:
        """After a release the attempt is over, before anybody has taken the message again.

        Broken: who gave a job back at shutdown can still end it.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        await first.settle(delivery, Release("releases"))
        version = await version_of(harness.backend, job_key(message.id))
        answer = await first.settle(delivery, Finish(State.FAILED))
        _assert_lost(answer, message.id, version)
        assert ids(await first.take(9)) == [message.id]


async def _everything(harness: Harness, settle: Transition) -> list[Answer]:
    """Commit a settle with every other kind of write, and the fence with a record alone."""
    whole = replace(
        settle,
        put=(Put("new", b"new"),),
        drop=(Drop("kept"),),
        publish=(message(body=b"follower"),),
    )
    alone = Transition(fence=settle.fence, put=(Put("alone", b""),))
    return await harness.backend.commit([whole, alone])
