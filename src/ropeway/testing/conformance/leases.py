"""How long a message is somebody's."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.claims import Claim
from ropeway.message import CHARGED_AFTER, DEFAULT_QUEUE, Delivery, Fence, solo_key, solo_mark
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import claimer, counts, ids, second_claimer, send, sent
from ropeway.testing.conformance.steps import message as make
from ropeway.transition import Finish, Put, Release, Transition


class LeaseCases:
    """Leases: their length, their expiry, and `extend`."""

    async def test_a_live_lease_is_not_taken(self, harness: Harness) -> None:
        """Until its lease expires a message is handed to nobody else.

        Broken: a slow task runs beside itself.
        """
        await sent(harness.backend)
        await claimer(harness, units=2).take_one()
        other = await second_claimer(harness)
        assert await other.take() == []
        await harness.advance(harness.unit)
        assert await other.take() == []

    async def test_a_dead_workers_message_comes_back(self, harness: Harness) -> None:
        """When its holder is silent for a lease, a message is handed to the next who asks.

        Broken: it was acknowledged at hand-over, or the lease never ends: the job is lost.
        """
        (message,) = await sent(harness.backend)
        before = await claimer(harness).take_one()
        await harness.advance(harness.unit)
        delivery = await (await second_claimer(harness)).take_one()
        assert delivery.message == message
        assert delivery.fence == Fence(message.id, 2, "second")
        assert (delivery.due, delivery.enqueued) == (before.due, before.enqueued)

    async def test_a_silent_end_is_abandoned(self, harness: Harness) -> None:
        """An attempt that ended without a settle is charged to nobody, and counted all the same.

        Broken: a message that kills whole machines cannot be told from one that never ran.
        """
        await sent(harness.backend)
        first = claimer(harness)
        for expected in range(3):
            delivery = await first.take_one()
            assert delivery.abandoned == expected
            assert (delivery.failures, delivery.losses, delivery.releases) == (0, 0, 0)
            await harness.advance(harness.unit)

    async def test_the_silent_end_of_a_solo_run_is_a_loss(self, harness: Harness) -> None:
        """From the fifth on a run that began alone is charged, by whoever takes it over.

        Broken: nothing ever counts against a message that kills whole machines.
        """
        await sent(harness.backend, 2)
        first, second = claimer(harness), await second_claimer(harness)
        for each in await first.take(2):
            await first.settle(each, Release("none"))
        for losses in (0, 0, 0, 0, 1, 2):
            found = await first.take(2)
            assert [each.losses for each in found] == [losses] * 2
            await _begin_alone(harness, found)
            await harness.advance(harness.unit)
            first, second = second, first

    async def test_who_waits_to_run_alone_is_not_charged(self, harness: Harness) -> None:
        """A run that had not begun ends silently as often as it likes; nor do other attempts count.

        Broken: jobs that wait behind poison are charged with what it does to the worker.
        """
        await sent(harness.backend)
        first = claimer(harness)
        for turn in range(CHARGED_AFTER + 3):
            delivery = await first.take_one()
            assert (delivery.losses, delivery.abandoned) == (0, turn)
            if turn == CHARGED_AFTER:
                await _begin_alone(harness, [delivery], attempt=turn)
            await harness.advance(harness.unit)

    async def test_what_is_given_back_never_runs_solo(self, harness: Harness) -> None:
        """An attempt that was charged to anything, also to a release, is not abandoned.

        Broken: after a few deploys every job runs alone, and the next expiry is charged to it.
        """
        await sent(harness.backend)
        first = claimer(harness)
        for settle in (Release("releases"), Release("failures"), Release("losses")) * 2:
            await first.settle(await first.take_one(), settle)
        delivery = await first.take_one()
        assert (delivery.abandoned, delivery.solo) == (0, False)
        await harness.advance(harness.unit)
        delivery = await first.take_one()
        assert (delivery.failures, delivery.losses, delivery.releases) == (2, 2, 2)
        assert (delivery.abandoned, delivery.solo) == (1, False)

    async def test_the_attempt_only_grows(self, harness: Harness) -> None:
        """Every claim has an attempt larger than all before, however the last one ended.

        Broken: a release starts from one again, so that an old holder's fence fits a new attempt.
        """
        await sent(harness.backend)
        first = claimer(harness)
        for attempt, ending in enumerate((Release("releases"), None, Release("failures"), None)):
            delivery = await first.take_one()
            assert delivery.fence.attempt == attempt + 1
            if ending is None:
                await harness.advance(harness.unit)
            else:
                await first.settle(delivery, ending)

    async def test_an_expired_lease_comes_before_a_long_queue(self, harness: Harness) -> None:
        """What a dead worker left behind is taken first, before hundreds that wait.

        Broken: the oldest job, which has suffered already, waits for the whole backlog.
        """
        (old,) = await sent(harness.backend, band=5)
        await claimer(harness).take_one()
        await sent(harness.backend, 300, band=9)
        await harness.advance(harness.unit)
        other = await second_claimer(harness)
        assert ids(await other.take(3))[0] == old.id

    async def test_expired_leases_are_claimed_as_asked(self, harness: Harness) -> None:
        """A claim takes expired leases of its own queue and bands, and at most `n` in all.

        Broken: recovery ignores what the claim says, and a worker gets what it did not ask for.
        """
        low, high, other = make(band=1), make(band=8), make(queue="other", band=8)
        await send(harness.backend, low, high, other)
        dead = claimer(harness, "dead")
        await dead.claim(Claim(DEFAULT_QUEUE, 9), Claim("other", 9))
        (waiting,) = await sent(harness.backend, band=8)
        await harness.advance(harness.unit)
        heir = claimer(harness, "heir")
        found = await heir.claim(Claim(DEFAULT_QUEUE, 1, lowest=5))
        assert ids(found) == [high.id]
        found = await heir.claim(Claim(DEFAULT_QUEUE, 9, lowest=5))
        assert ids(found) == [waiting.id]
        assert ids(await heir.take(9)) == [low.id]

    async def test_each_lease_has_its_own_end(self, harness: Harness) -> None:
        """A lease lasts for the seconds that its own `receive` asked for.

        Broken: one length for all, and a long task is handed over while it runs.
        """
        short, long = await sent(harness.backend, 2)
        await claimer(harness, units=1).take_one()
        await claimer(harness, units=3).take_one()
        other = claimer(harness, "other", units=9)
        await harness.advance(harness.unit)
        assert ids(await other.take(9)) == [short.id]
        await harness.advance(harness.unit)
        assert await other.take(9) == []
        await harness.advance(harness.unit)
        assert ids(await other.take(9)) == [long.id]

    async def test_extend_keeps_a_lease(self, harness: Harness) -> None:
        """A renewed lease lasts for its seconds from the renewal, and no longer.

        Broken: renewing does nothing, or it makes a lease that outlives its holder for ever.
        """
        await sent(harness.backend)
        first = claimer(harness, units=2)
        delivery = await first.take_one()
        other = claimer(harness, "other")
        await harness.advance(harness.unit)
        assert await harness.backend.extend([delivery.fence], 2 * harness.unit) == ["held"]
        await harness.advance(1.5 * harness.unit)
        assert await other.take() == []
        await harness.advance(0.5 * harness.unit)
        assert (await other.take_one()).fence.attempt == 2

    async def test_an_expired_lease_can_be_renewed(self, harness: Harness) -> None:
        """A lease that has expired is held again, if nobody took the message over.

        Broken: a worker that was paused for a moment throws its work away for nothing.
        """
        await sent(harness.backend)
        delivery = await claimer(harness).take_one()
        await harness.advance(3 * harness.unit)
        assert await harness.backend.extend([delivery.fence], harness.unit) == ["held"]
        assert await claimer(harness, "other").take() == []

    async def test_a_lease_that_was_taken_over_is_lost(self, harness: Harness) -> None:
        """Who asks to renew a lease that another holds is told so, and changes nothing.

        Broken: the old holder gets the lease back, or prolongs the new one's with its own clock.
        """
        await sent(harness.backend)
        old = await claimer(harness).take_one()
        await harness.advance(harness.unit)
        other = await second_claimer(harness)
        new = await other.take_one()
        assert await harness.backend.extend([old.fence], 9 * harness.unit) == ["lost"]
        assert await other.backend.extend([new.fence], harness.unit) == ["held"]
        await harness.backend.extend([old.fence], 9 * harness.unit)
        await harness.advance(harness.unit)
        assert (await claimer(harness, "third").take_one()).fence.attempt == 3

    async def test_a_settled_lease_is_lost(self, harness: Harness) -> None:
        """After a settle there is nothing to renew, whether the message ended or was given back.

        Broken: a late renewal revives a lease, and a released message waits for it to expire.
        """
        await sent(harness.backend, 2)
        first = claimer(harness)
        finished, released = await first.take(2)
        await first.settle(finished, Finish(State.SUCCEEDED))
        await first.settle(released, Release("releases"))
        fences = [finished.fence, released.fence]
        assert await harness.backend.extend(fences, harness.unit) == ["lost", "lost"]
        assert ids(await claimer(harness, "other").take(9)) == [released.fence.id]

    async def test_extend_answers_for_each_in_order(self, harness: Harness) -> None:
        """Held and lost leases in one call are told apart, each in its place.

        Broken: one lost lease loses all, or the answers are shifted.
        """
        await sent(harness.backend, 4)
        fences = [each.fence for each in await claimer(harness).take(4)]
        fences[1] = replace(fences[1], holder="somebody else")
        fences[2] = replace(fences[2], attempt=2)
        unknown = Fence(make().id, 1, "first")
        extend = harness.backend.extend
        assert await extend([], harness.unit) == []
        assert await extend([*fences, unknown], 2 * harness.unit) == [
            "held",
            "lost",
            "lost",
            "held",
            "lost",
        ]
        await harness.advance(harness.unit)
        assert len(await claimer(harness, "other").take(9)) == 2
        assert (await counts(harness.backend)).leased == 4


async def _begin_alone(
    harness: Harness, found: Sequence[Delivery], attempt: int | None = None
) -> None:
    for each in found:
        fence = each.fence
        mark = solo_mark(fence.attempt if attempt is None else attempt)
        begin = Transition(fence=fence, put=(Put(solo_key(fence.id), mark, ttl=3600.0),))
        assert (await harness.backend.commit([begin]))[0].ok
