"""What is handed over first, and what not yet."""

from __future__ import annotations

from ropeway.claims import Claim
from ropeway.message import DEFAULT_QUEUE
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import claimer, ids, message, send, sent


class OrderCases:
    """Bands before due times before the order of publishing."""

    async def test_higher_bands_come_first(self, harness: Harness) -> None:
        """A higher band is handed over before a lower one, whatever is older or due earlier.

        Broken: an urgent message waits behind everything that was sent before it.
        """
        now = await harness.backend.now()
        low, high = message(band=0, due=now - harness.unit), message(band=9)
        middle = [message(band=band) for band in (4, 6, 5)]
        await send(harness.backend, low, *middle, high)
        four, six, five = middle
        found = await claimer(harness).take(10)
        assert ids(found) == ids([high, six, five, four, low])

    async def test_earlier_due_times_come_first(self, harness: Harness) -> None:
        """Within a band, what was due earlier is handed over earlier.

        Broken: messages come in the order of their ids or of their publishing alone.
        """
        now = await harness.backend.now()
        late, early = message(due=now - 1), message(due=now - 3)
        between = message(due=now - 2)
        await send(harness.backend, late, early, between)
        assert ids(await claimer(harness).take(10)) == ids([early, between, late])

    async def test_equals_come_in_the_order_of_publishing(self, harness: Harness) -> None:
        """Messages of one band and one due time come in the order in which they were published.

        Broken: the order of equals is that of their ids, or none.
        """
        due = await harness.backend.now() - 1
        messages = [message(due=due) for _ in range(20)]
        messages.reverse()  # so that the ids do not grow
        await send(harness.backend, *messages[:5])
        await send(harness.backend, *messages[5:])
        claimed = [await claimer(harness).take_one() for _ in range(20)]
        assert ids(claimed) == ids(messages)

    async def test_the_first_n_are_taken(self, harness: Harness) -> None:
        """A claim for few messages takes the first in order, and hands them over in order.

        Broken: some of the first are taken, whichever come to hand, or they are shuffled.
        """
        messages = [message(band=band) for band in (3, 8, 1, 9, 8)]
        await send(harness.backend, *messages)
        three, eight, one, nine, eight_again = messages
        first = claimer(harness)
        assert ids(await first.take(3)) == ids([nine, eight, eight_again])
        assert ids(await first.take(3)) == ids([three, one])

    async def test_a_claim_takes_from_its_bands_only(self, harness: Harness) -> None:
        """A claim names the bands that it takes from, both ends included.

        Broken: a worker that was kept free for urgent messages is filled with others.
        """
        messages = [message(band=band) for band in range(10)]
        await send(harness.backend, *messages)
        first = claimer(harness)
        found = await first.claim(Claim(DEFAULT_QUEUE, 10, lowest=3, highest=6))
        assert [each.message.band for each in found] == [6, 5, 4, 3]
        rest = await first.take(10)
        assert [each.message.band for each in rest] == [9, 8, 7, 2, 1, 0]

    async def test_a_delay_counts_from_the_backends_now(self, harness: Harness) -> None:
        """A delayed message is not handed over before its delay has passed, and then it is.

        Broken: it runs early, or only when something else wakes it.
        """
        delay = 2 * harness.unit
        before = await harness.backend.now()
        await sent(harness.backend, delay=delay)
        after = await harness.backend.now()
        first = claimer(harness)
        assert await first.take() == []
        await harness.advance(harness.unit)
        assert await first.take() == []
        await harness.advance(harness.unit)
        delivery = await first.take_one()
        assert before + delay <= delivery.due <= after + delay
        assert delivery.first_due == delivery.enqueued + delay

    async def test_a_due_date_is_kept(self, harness: Harness) -> None:
        """A message with a date is handed over when the backend's clock shows it, not before.

        Broken: it runs early, or the date that the user gave is changed on the way.
        """
        due = await harness.backend.now() + 2 * harness.unit
        await sent(harness.backend, due=due)
        first = claimer(harness)
        await harness.advance(harness.unit)
        assert await first.take() == []
        await harness.advance(harness.unit)
        delivery = await first.take_one()
        assert (delivery.due, delivery.first_due) == (due, due)

    async def test_a_date_in_the_past_is_due(self, harness: Harness) -> None:
        """A date that has passed makes a message ready at once, and keeps its value.

        Broken: it is refused or never found, or it is moved to now and loses its place.
        """
        due = await harness.backend.now() - 1000 * harness.unit
        (old,) = await sent(harness.backend, due=due)
        delivery = await claimer(harness).take_one()
        assert (delivery.message, delivery.due) == (old, due)
        assert delivery.first_due == delivery.enqueued

    async def test_what_is_delayed_holds_nothing_back(self, harness: Harness) -> None:
        """Messages that are due pass those of a higher band that are not.

        Broken: the head of a queue sleeps, and all behind it with it.
        """
        await sent(harness.backend, 30, band=9, delay=harness.unit)
        (ready,) = await sent(harness.backend, band=0)
        assert ids(await claimer(harness).take(10)) == [ready.id]
