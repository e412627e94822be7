"""Many transitions in one commit: each is a change of its own."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from ropeway.claims import MAX_BATCH
from ropeway.message import Message, job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    counts,
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
from ropeway.transition import Answer, Drop, Finish, Put, Transition


class BatchCases:
    """The verb `commit`, given many."""

    async def test_nothing_to_commit(self, harness: Harness) -> None:
        """No transitions, no answers; an empty transition is applied.

        Broken: an empty batch is an error, or waits for company.
        """
        assert await harness.backend.commit([]) == []
        (answer,) = await harness.backend.commit([Transition()])
        assert answer.status == "applied"

    async def test_refused_items_in_a_batch_of_100(self, harness: Harness) -> None:
        """Refused items of a batch are told apart in their places; all others are applied.

        Broken: one bad item fails its neighbours, or the answers are shifted.
        """
        (taken,) = await sent(harness.backend)
        lost = replace((await claimer(harness).take_one()).fence, holder="somebody else")
        await put(harness.backend, "there")
        batch = [Transition(publish=(message(),)) for _ in range(100)]
        reasons: dict[int, str] = {}
        for place in range(3, 100, 10):
            batch[place] = Transition(publish=(replace(taken, body=b"another"),))
            batch[place + 1] = replace(batch[place + 1], fence=lost)
            batch[place + 2] = replace(batch[place + 2], expect={"there": 0})
            reasons |= {place: "duplicate", place + 1: "lost", place + 2: "conflict"}
        answers = await harness.backend.commit(batch)
        assert [each.reason for each in answers] == [reasons.get(place) for place in range(100)]
        assert all(answers[p].status == "applied" for p in range(100) if p not in reasons)
        good = [batch[place].publish[0] for place in range(100) if place not in reasons]
        assert ids(await claimer(harness).take(100)) == ids(good)

    async def test_conflicts_on_one_record_in_a_batch(self, harness: Harness) -> None:
        """Of many that expect the same version of a record, the first wins; the others hear why.

        Broken: guards are checked before the batch and not before each item, so that all win.
        """
        racing = [Transition(expect={"r": 0}, put=(Put("r", b"%d" % i),)) for i in range(50)]
        first, *others = await harness.backend.commit(racing)
        assert first == Answer(status="applied", versions={"r": 1})
        conflict = Answer(status="refused", reason="conflict", key="r", current=1)
        assert others == [conflict] * 49
        assert await value_of(harness.backend, "r") == b"0"

    async def test_each_sees_the_writes_before_it(self, harness: Harness) -> None:
        """Within a batch, an item finds the records, messages and settles of those before it.

        Broken: a batch that a wrapper made of several callers is not what they would get alone.
        """
        await sent(harness.backend)
        delivery = await claimer(harness).take_one()
        new = message()
        answers = await harness.backend.commit(
            [
                *(Transition(expect={"r": i}, put=(Put("r", b"%d" % i),)) for i in range(5)),
                Transition(drop=(Drop("r"),), expect={"r": 5}),
                Transition(put=(Put("r", b"again"),), expect={"r": 0}),
                Transition(publish=(new,)),
                Transition(publish=(new,)),
                Transition(publish=(replace(new, body=b"x"),)),
                settled(delivery, Finish(State.SUCCEEDED, b"1")),
                settled(delivery, Finish(State.SUCCEEDED, b"1")),
                settled(delivery, Finish(State.SUCCEEDED, b"2")),
            ]
        )
        told = [each.reason or each.status for each in answers]
        assert told[:7] == ["applied"] * 7
        assert told[7:10] == ["applied", "repeated", "duplicate"]
        assert told[10:] == ["applied", "repeated", "lost"]
        assert await value_of(harness.backend, "r") == b"again"
        assert (await job(harness.backend, delivery.fence.id)).value == b"1"

    async def test_more_than_one_batch_holds(self, harness: Harness) -> None:
        """A list of any length is applied whole, in order, with an answer for each.

        Broken: what is above some limit is left out, or overtakes the rest.
        """
        count = 2 * MAX_BATCH + 50
        messages = [message() for _ in range(count)]
        answers = await harness.backend.commit([Transition(publish=(each,)) for each in messages])
        assert [each.status for each in answers] == ["applied"] * count
        claimed: list[str] = []
        while found := await claimer(harness).take(MAX_BATCH):
            claimed += ids(found)
        assert claimed == ids(messages)

    async def test_mixed_sizes_with_one_refused(self, harness: Harness) -> None:
        """200 items of a byte or a megabyte, one of them refused: 199 are applied and whole.

        Broken: a batch that is split by its size loses, doubles or shifts something.
        """
        large = b"\xfe" * 1_048_576
        messages = [message(body=large if i % 10 == 0 else b"%c" % i) for i in range(200)]
        messages[117] = replace(messages[116], body=b"another")
        answers = await harness.backend.commit([Transition(publish=(each,)) for each in messages])
        assert [place for place, each in enumerate(answers) if not each.ok] == [117]
        assert answers[117].reason == "duplicate"
        claimed: list[Message] = []
        while found := await claimer(harness).take(50):
            claimed += [each.message for each in found]
        del messages[117]
        assert claimed == messages

    async def test_callers_that_meet_get_their_own_answers(self, harness: Harness) -> None:
        """Commits, claims and renewals that are asked for at once are each answered as if alone.

        Broken: what is done in one transaction for several callers is answered to the wrong one,
        or one that is refused spoils it for all.
        """
        (taken,) = await sent(harness.backend, queue="taken")
        held = await claimer(harness, units=5).take_one("taken")
        bad = Transition(publish=(replace(taken, body=b"another"),))
        good = [Transition(publish=(message(),)) for _ in range(40)]
        other = await second_claimer(harness)
        commits = [harness.backend.commit([each]) for each in (*good[:20], bad, *good[20:])]
        claims = [claimer(harness, f"c{i}").take(2) for i in range(10)]
        lost = replace(held.fence, attempt=7)
        answers, found, (told, theirs) = await asyncio.gather(
            asyncio.gather(*commits, other.backend.commit([bad])),
            asyncio.gather(*claims, other.take(2)),
            asyncio.gather(
                harness.backend.extend([held.fence, lost], harness.unit),
                other.backend.extend([lost], harness.unit),
            ),
        )
        reasons = [answer.reason for (answer,) in answers]
        assert reasons == [None] * 20 + ["duplicate"] + [None] * 20 + ["duplicate"]
        assert (told, theirs) == (["held", "lost"], ["lost"])
        assert all(d.fence.holder == f"c{i}" for i in range(10) for d in found[i])
        found.append(await claimer(harness).take(50))
        assert sorted(i for some in found for i in ids(some)) == sorted(
            each.publish[0].id for each in good
        )

    async def test_many_settles_at_once(self, harness: Harness) -> None:
        """The ends of many jobs in one commit are each recorded for their own.

        Broken: results are mixed up, or only the last one is kept.
        """
        await sent(harness.backend, 100)
        deliveries = await claimer(harness).take(100)
        ends = [
            settled(each, Finish(State.SUCCEEDED, each.fence.id.encode())) for each in deliveries
        ]
        assert all(answer.status == "applied" for answer in await harness.backend.commit(ends))
        for each in deliveries:
            assert (await job(harness.backend, each.fence.id)).value == each.fence.id.encode()
        assert (await counts(harness.backend)).leased == 0
        assert await version_of(harness.backend, job_key(deliveries[0].fence.id)) > 0
