"""How many may wait in a queue: a guard of who publishes."""

from __future__ import annotations

import asyncio

from ropeway.decide import Keep
from ropeway.message import late_key
from ropeway.store import queue_name
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    counts,
    ids,
    message,
    send,
    sent,
    value_of,
    version_of,
)
from ropeway.transition import Cancel, Release, Transition


def bounded(most: int, **fields: object) -> Transition:
    """Make a transition that publishes one message if there is room for it."""
    one = message(**fields)
    return Transition(publish=(one,), room={one.queue: most})


class RoomCases:
    """`room` of a transition."""

    async def test_what_has_no_room_is_refused_alone(self, harness: Harness) -> None:
        """Of a batch what fits is taken; a refusal names the queue, and how many wait there.

        Broken: a full queue takes one more from everybody, or one too many fails its neighbours.
        """
        backend = harness.backend
        other = Transition(publish=(message(queue="other"),))
        asked = [bounded(2), bounded(2), bounded(2), other, bounded(2)]
        answers = await backend.commit(asked)
        assert [each.ok for each in answers] == [True, True, False, True, False]
        assert (answers[2].reason, answers[2].key) == ("full", queue_name("default"))
        assert answers[2].current == 2
        assert (await counts(backend)).ready == 2

    async def test_what_waits_counts_and_nothing_else(self, harness: Harness) -> None:
        """Delayed and blocked messages wait; what is leased, settled or in other queues does not.

        Broken: a queue of delayed messages grows without end, or a busy worker refuses new work.
        """
        backend, me = harness.backend, claimer(harness)
        await sent(backend, 2, key="k")
        await sent(backend, 1, delay=9 * harness.unit, kind="loop", band=1)
        await sent(backend, 5, queue="other")
        (refused,) = await backend.commit([bounded(3)])
        assert refused.reason == "full"
        held = await me.take_one()
        (answer,) = await backend.commit([bounded(3)])
        assert answer.ok
        await me.settle(held, Release(counts="none"))  # never refused: it had been accepted
        (refused,) = await backend.commit([bounded(3)])
        assert (refused.reason, refused.current) == ("full", 4)

    async def test_a_publish_may_be_repeated_when_it_is_full(self, harness: Harness) -> None:
        """What is there needs no room; what is new in the same step does.

        Broken: a lost reply becomes a refusal, and its caller sends the same work again.
        """
        backend = harness.backend
        first = bounded(1)
        assert (await backend.commit([first]))[0].status == "applied"
        assert (await backend.commit([first]))[0].status == "repeated"
        both = Transition(publish=(*first.publish, message()), room={"default": 1})
        assert (await backend.commit([both]))[0].reason == "full"
        unconcerned = Transition(publish=(message(queue="other"),), room={"default": 0})
        assert (await backend.commit([unconcerned]))[0].ok

    async def test_a_refused_step_does_nothing(self, harness: Harness) -> None:
        """Neither its other messages nor its cancels: and these make no room for it.

        Broken: the oldest is dropped for a message that is refused.
        """
        backend = harness.backend
        first = bounded(1)
        await backend.commit([first])
        (old,) = first.publish
        step = Transition(
            publish=(message(), message(queue="other")),
            cancel=(Cancel(old.id),),
            room={"default": 1},
        )
        assert (await backend.commit([step]))[0].reason == "full"
        assert (await counts(backend)).ready == 1
        assert (await counts(backend, "other")).ready == 0
        (told,) = await backend.commit([Transition(cancel=(Cancel(old.id),))])
        assert told.cancelled == (old.id,)
        assert (await backend.commit([bounded(1)]))[0].ok

    async def test_two_do_not_win_the_last_place(self, harness: Harness) -> None:
        """However many publish at once, from wherever, just as many are taken as there is room.

        Broken: each of two looks, sees one place left, and takes it.
        """
        handles = [harness.backend, await harness.second()]
        asked = (handles[n % 2].commit([bounded(5) for _ in range(3)]) for n in range(6))
        told = [each for answers in await asyncio.gather(*asked) for each in answers]
        assert sum(each.ok for each in told) == 5
        assert {each.reason for each in told if not each.ok} == {"full"}
        assert (await counts(harness.backend)).ready == 5

    async def test_a_late_end_is_noted(self, harness: Harness) -> None:
        """Of the queues that are asked for: so that somebody can see to it, once.

        Broken: what expired while nobody looked is never heard of again.
        """
        backend, now = harness.backend, await harness.backend.now()
        expires = now + harness.unit
        late, other = message(expires=expires), message(expires=expires, queue="other")
        kept = message()
        await send(backend, late, other, kept)
        await harness.advance(2 * harness.unit)
        assert await backend.prune(Keep(noted=("default", "none")), 100) == 2
        assert await value_of(backend, late_key(late.id)) == b""
        assert await version_of(backend, late_key(other.id)) == 0
        assert ids(await claimer(harness).take(9)) == [kept.id]
        assert [each.key for each in await backend.scan("late/")] == [late_key(late.id)]
