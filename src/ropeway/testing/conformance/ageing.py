"""Waiting lifts a message: low bands are late, and never starved."""

from __future__ import annotations

from ropeway.claims import AGEING, Claim
from ropeway.message import DEFAULT_QUEUE
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import claimer, ids, message, send
from ropeway.transition import Release


class AgeingCases:
    """Bands, with what has waited taken into account."""

    async def test_waiting_lifts_a_band(self, harness: Harness) -> None:
        """What has been due for `AGEING` seconds longer counts as one band higher.

        Broken: under a steady load of urgent messages a low band waits for ever.
        """
        now = await harness.backend.now()
        ages = [(3, 3.5), (5, 1.0), (4, 2.2), (6, 0.4), (5, 1.6)]
        messages = [message(band=band, due=now - AGEING * age) for band, age in ages]
        await send(harness.backend, *messages)
        by_rank = sorted(ages, key=sum, reverse=True)
        found = await claimer(harness).take(5)
        assert ids(found) == [messages[ages.index(each)].id for each in by_rank]

    async def test_a_lift_lasts_no_longer_than_the_wait(self, harness: Harness) -> None:
        """Each message is lifted for its own waiting: those behind it in its band are not.

        Broken: one old message pulls its whole band before everything that is urgent.
        """
        now = await harness.backend.now()
        dues = [(0, now - 3.5 * AGEING), (0, now - AGEING), (0, now), (2, now)]
        old, less_old, new, high = [message(band=band, due=due) for band, due in dues]
        await send(harness.backend, new, less_old, old, high)
        first = claimer(harness)
        assert ids(await first.take(2)) == ids([old, high])
        assert ids(await first.take(2)) == ids([less_old, new])

    async def test_equal_ranks_go_by_band(self, harness: Harness) -> None:
        """Of two that count as the same band for all their waiting, the higher band is first.

        Broken: their order is left to chance, or a backlog and what is urgent take turns.
        """
        now = await harness.backend.now()
        low = [message(band=4, due=now - 2 * AGEING) for _ in range(3)]
        high = [message(band=5, due=now - AGEING) for _ in range(3)]
        await send(harness.backend, *low, *high)
        assert ids(await claimer(harness).take(6)) == ids([*high, *low])

    async def test_what_is_not_due_does_not_age(self, harness: Harness) -> None:
        """A message is lifted for the time since it was due, not since it was sent.

        Broken: what was sent long ago for today passes what is urgent today.
        """
        now = await harness.backend.now()
        due = now + harness.unit
        low, high = message(band=0, due=due), message(band=1, due=due)
        long_due = message(band=0, due=due - 2 * AGEING)
        await send(harness.backend, low, long_due)
        await harness.advance(harness.unit)
        await send(harness.backend, high)
        assert ids(await claimer(harness).take(9)) == ids([long_due, high, low])

    async def test_ageing_stays_within_the_bands_asked_for(self, harness: Harness) -> None:
        """However long a message waits, a claim of other bands does not take it.

        Broken: a worker kept free for urgent messages is filled with old ones.
        """
        now = await harness.backend.now()
        old, new = message(band=0, due=now - 20 * AGEING), message(band=7)
        await send(harness.backend, old, new)
        first = claimer(harness)
        found = await first.claim(Claim(DEFAULT_QUEUE, 9, lowest=5))
        assert ids(found) == [new.id]
        await first.settle(found[0], Release("none"))
        assert ids(await first.take(9)) == ids([old, new])
