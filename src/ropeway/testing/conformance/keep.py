"""How long what is settled stays."""

from __future__ import annotations

from ropeway.message import Finish, Reject, Release, job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import claimer, sent, value_of


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
        assert await harness.backend.prune(100) == 0
        await harness.advance(2 * unit)
        assert await harness.backend.prune(100) == 2
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
        assert await harness.backend.prune(2) == 2
        kept = [await value_of(harness.backend, job_key(each.id)) for each in messages]
        assert [value is not None for value in kept] == [True, True, True, False, False]
        assert await harness.backend.prune(2) == 2
        assert await harness.backend.prune(2) == 1
        assert await harness.backend.prune(2) == 0
