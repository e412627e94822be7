"""Opening, closing, the clock, and what a backend says of itself."""

from __future__ import annotations

from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    apply,
    claimer,
    ids,
    job,
    message,
    put,
    second_claimer,
    sent,
    value_of,
)
from ropeway.transition import Append, Arrive, Finish, Join, Put, Transition


class LifecycleCases:
    """The verbs `open`, `close` and `now`, and `capabilities`."""

    async def test_opening_again_changes_nothing(self, harness: Harness) -> None:
        """`open` may be called on an open backend, and by every process: the data stays.

        Broken: a second worker that starts empties the queues, or fails.
        """
        (new,) = await sent(harness.backend)
        await harness.backend.open()
        await put(harness.backend, "r", b"1")
        other = await second_claimer(harness)
        assert await value_of(other.backend, "r") == b"1"
        assert ids(await other.take(9)) == [new.id]

    async def test_closing_again_changes_nothing(self, harness: Harness) -> None:
        """`close` may be called twice, and leaves the handles of others alone.

        Broken: a clean-up that runs twice raises, or one process closes what another uses.
        """
        (new,) = await sent(harness.backend)
        other = await second_claimer(harness)
        await harness.backend.close()
        await harness.backend.close()
        assert ids(await other.take(9)) == [new.id]

    async def test_the_clock_only_advances(self, harness: Harness) -> None:
        """`now` is in seconds and moves with time; all handles have one clock.

        Broken: milliseconds, or each process compares due times with a clock of its own.
        """
        other, before = await harness.second(), await harness.backend.now()
        await harness.advance(2 * harness.unit)
        after = await harness.backend.now()
        # A server that is really waited for may be late, but not by as much again.
        assert 2 * harness.unit <= after - before < 4 * harness.unit
        assert after <= await other.now() < after + harness.unit

    async def test_capabilities_are_tested(self, harness: Harness) -> None:
        """What a backend declares is what this suite has looked at.

        Broken: a feature is offered, or refused, by a backend that says nothing true about it.
        """
        declared = harness.backend.capabilities
        assert declared.broker
        assert declared.store
        assert declared.atomic
        assert declared.search
        assert declared.durable is isinstance(self, DurableCases)


class DurableCases:
    """For a backend that declares `durable`."""

    async def test_what_was_acknowledged_survives(self, harness: Harness) -> None:
        """After all handles are closed, messages, leases, results and records are still there.

        Broken: something that `commit` had answered for was in memory only.
        """
        done, held, ready = await sent(harness.backend, 3)
        first = claimer(harness)
        delivery, leased = await first.take(2)
        end = Transition(
            fence=delivery.fence, settle=Finish(State.SUCCEEDED, b"1"), put=(Put("r", b"2"),)
        )
        await harness.backend.commit([end])
        await harness.backend.close()
        other = await second_claimer(harness)
        assert (await job(other.backend, done.id)).value == b"1"
        assert await value_of(other.backend, "r") == b"2"
        assert ids(await other.take(9)) == [ready.id]
        assert await other.backend.extend([leased.fence], harness.unit) == ["held"]
        assert (await job(other.backend, held.id)).state is State.RUNNING

    async def test_logs_and_joins_survive(self, harness: Harness) -> None:
        """After all handles are closed, a log goes on where it was, and so does a join.

        Broken: offsets begin anew, or a join waits for ever for members that have arrived.
        """
        then = message()
        await apply(
            harness.backend,
            append=(Append("l", b"1"),),
            join=(Join("j", 2, (then,)),),
            arrive=(Arrive("j", "a"),),
        )
        await harness.backend.close()
        other = await second_claimer(harness)
        answer = await apply(other.backend, append=(Append("l", b"2"),), arrive=(Arrive("j", "b"),))
        assert (answer.offsets, answer.fired) == ({"l": 2}, ("j",))
        assert [each.value for each in await other.backend.read("l")] == [b"1", b"2"]
        assert ids(await other.take(9)) == [then.id]
