"""A caller that lost a reply may send the same again."""

from __future__ import annotations

from ropeway.message import job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    ids,
    job,
    message,
    second_claimer,
    sent,
    version_of,
)
from ropeway.transition import Finish, Put, Reject, Release, Settle

_ENDS: tuple[Settle, ...] = (
    Finish(State.SUCCEEDED, b"1"),
    Finish(State.FAILED, counts="failures"),
    Release("failures", delay=1.0),
    Release("releases"),
    Reject("undecodable", "at 1"),
)


class RepeatCases:
    """The answer `repeated`, and where it ends."""

    async def test_a_settle_after_a_lost_reply_is_repeated(self, harness: Harness) -> None:
        """The same settle of the same attempt again is known, and changes nothing more.

        Broken: the worker is told that it lost its lease and reports a duplicate run, or the
        failure is counted twice.
        """
        await sent(harness.backend, len(_ENDS))
        first = claimer(harness)
        for delivery, end in zip(await first.take(len(_ENDS)), _ENDS, strict=True):
            assert (await first.settle(delivery, end)).status == "applied"
            key = job_key(delivery.fence.id)
            before = await harness.backend.get([key])
            answer = await first.settle(delivery, end)
            assert (answer.status, answer.ok) == ("repeated", True)
            assert await harness.backend.get([key]) == before

    async def test_a_repeat_from_another_handle(self, harness: Harness) -> None:
        """A repeat is known wherever it arrives, for most of a lease after the settle.

        Broken: the memory of it is the connection's, which is just what broke.
        """
        await sent(harness.backend)
        first, other = claimer(harness), await second_claimer(harness)
        delivery = await first.take_one()
        end = Finish(State.SUCCEEDED, b"1")
        await first.settle(delivery, end)
        await harness.advance(0.9 * harness.unit)
        assert (await other.settle(delivery, end)).status == "repeated"

    async def test_a_repeat_writes_nothing_again(self, harness: Harness) -> None:
        """What was written and published with the settle is not written or published again.

        Broken: a lost reply doubles the successors of a job.
        """
        await sent(harness.backend)
        first, follower = claimer(harness), message()
        delivery = await first.take_one()
        more = {"put": (Put("r", b"1"),), "publish": (follower,)}
        for status in ("applied", "repeated"):
            answer = await first.settle(delivery, Finish(State.SUCCEEDED), **more)
            assert answer.status == status
        assert await version_of(harness.backend, "r") == 1
        assert ids(await first.take(9)) == [follower.id]

    async def test_another_settle_is_not_a_repeat(self, harness: Harness) -> None:
        """The same attempt with anything different, after its settle, is refused as lost.

        Broken: a worker believes that its second result was kept, and the first one is there.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        await first.settle(delivery, Finish(State.SUCCEEDED, b"1"))
        version = await version_of(harness.backend, job_key(message.id))
        for end in (Finish(State.SUCCEEDED, b"2"), Finish(State.FAILED), Release("failures")):
            answer = await first.settle(delivery, end)
            assert (answer.status, answer.reason) == ("refused", "lost")
            assert (answer.key, answer.current) == (job_key(message.id), version)
        answer = await first.settle(delivery, Finish(State.SUCCEEDED, b"1"), put=(Put("r", b""),))
        assert (answer.status, answer.reason) == ("refused", "lost")
        assert (await job(harness.backend, message.id)).value == b"1"

    async def test_a_repeat_after_the_next_claim_does_nothing(self, harness: Harness) -> None:
        """A release that is sent again after somebody took the message releases nothing.

        Broken: the late duplicate of a reply ends the attempt of another worker.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        await first.settle(delivery, Release("releases"))
        other = await second_claimer(harness)
        current = await other.take_one()
        assert (await first.settle(delivery, Release("releases"))).status != "applied"
        assert (await job(harness.backend, message.id)).state is State.RUNNING
        assert (await other.settle(current, Finish(State.SUCCEEDED))).status == "applied"
        assert (await first.settle(delivery, Release("releases"))).status != "applied"
        assert (await job(harness.backend, message.id)).state is State.SUCCEEDED
