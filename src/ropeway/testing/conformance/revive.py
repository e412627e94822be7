"""What a person does to settled jobs: having them run again, and forgetting them."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from ropeway.claims import Claim, Limit
from ropeway.decide import Keep
from ropeway.message import Delivery, Failure, Message, Terms, job_key
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    LONG,
    Claimer,
    apply,
    claimer,
    ids,
    job,
    message,
    promptly,
    second_claimer,
    sent,
    settled,
    value_of,
    version_of,
    waiting,
)
from ropeway.transition import (
    Answer,
    Arrive,
    Cancel,
    Finish,
    Join,
    Put,
    Reject,
    Release,
    Remove,
    Revive,
    Settle,
    Transition,
)

FAILED = Finish(State.FAILED, None, Failure(type="E", message="x"), 1000.0, "failures")


async def revive(backend: Backend, job_id: str, version: int = 0, **changes: Any) -> Answer:
    """Revive one job, if a `version` is given only one that has it."""
    expect = {job_key(job_id): version} if version else {}
    wanted = Transition(expect=expect, revive=(Revive(job_id, **changes),))
    (answer,) = await backend.commit([wanted])
    return answer


async def remove(backend: Backend, *job_ids: str) -> Answer:
    """Remove jobs in one transition."""
    (answer,) = await backend.commit([Transition(remove=tuple(map(Remove, job_ids)))])
    return answer


async def failed(by: Claimer, **fields: Any) -> tuple[Message, Delivery]:
    """Send a job and have it fail; return it with the delivery of its attempt."""
    (found,) = await sent(by.backend, **fields)
    delivery = await by.take_one(found.queue)
    await by.settle(delivery, FAILED)
    return found, delivery


async def ended(harness: Harness) -> dict[State, Message]:
    """Send a job for each final state, and end it in that."""
    first, found = claimer(harness), dict[State, Message]()
    settles: dict[State, Settle] = {
        State.SUCCEEDED: Finish(State.SUCCEEDED, b"1"),
        State.FAILED: FAILED,
        State.QUARANTINED: Reject("undecodable", "no JSON"),
    }
    for state, settle in settles.items():
        (found[state],) = await sent(harness.backend, body=state.encode())
        await first.settle(await first.take_one(), settle)
    (found[State.CANCELLED],) = await sent(harness.backend)
    delivery = await first.take_one()
    await harness.backend.commit([Transition(cancel=(Cancel(delivery.fence.id),))])
    await first.settle(delivery, Release("releases"))
    (found[State.EXPIRED],) = await sent(harness.backend, expires=1.0)
    await harness.backend.prune(Keep(), 10)
    return found


class ReviveCases:
    """`revive` in a transition."""

    async def test_every_end_can_be_revived(self, harness: Harness) -> None:
        """Whatever a job has ended as, it waits again under its own id, without its result.

        Broken: a failed job is sent as a new one, and whoever waits for the old id waits for ever.
        """
        first = claimer(harness)
        for state, message_of in (await ended(harness)).items():
            before = await job(harness.backend, message_of.id)
            assert before.state is state
            wanted = replace(before.message, expires=None)
            assert (await revive(harness.backend, wanted.id, message=wanted)).status == "applied"
            record = await job(harness.backend, wanted.id)
            assert (record.state, record.value) == (State.QUEUED, None)
            assert (record.error, record.finished) == (before.error, None)
            delivery = await first.take_one()
            assert delivery.message == wanted
            assert delivery.fence.attempt == before.attempt + 1
            await first.settle(delivery, Finish(State.SUCCEEDED, b"2"))
            assert (await job(harness.backend, wanted.id)).value == b"2"

    async def test_nothing_is_held_against_it(self, harness: Harness) -> None:
        """A revived job has all its retries, whatever was counted; its attempts go on.

        Broken: its first failure is its last, or it is run alone as a suspect of deaths.
        """
        first = claimer(harness)
        (poor,) = await sent(harness.backend)
        for counts_as in ("failures", "losses", "unknown", "releases", "none"):
            await first.settle(await first.take_one(), Release(counts_as))
        await first.settle(await first.take_one(), Reject("worker_lost", counts="losses"))
        await revive(harness.backend, poor.id)
        delivery = await first.take_one()
        assert (delivery.failures, delivery.losses, delivery.abandoned) == (0, 0, 0)
        assert (delivery.unknown, delivery.fence.attempt) == (0, 7)
        await first.settle(delivery, Release("failures"))
        delivery = await first.take_one()
        assert (delivery.failures, delivery.abandoned) == (1, 0)

    async def test_it_counts_as_just_sent(self, harness: Harness) -> None:
        """How long a job may be tried is counted from when it was revived.

        Broken: what failed a week ago is too old to be tried twice.
        """
        old, _ = await failed(claimer(harness))
        await harness.advance(3 * harness.unit)
        now = await harness.backend.now()
        await revive(harness.backend, old.id)
        delivery = await claimer(harness).take_one()
        assert delivery.enqueued >= now
        assert delivery.first_due >= now

    async def test_its_time_to_start_begins_anew(self, harness: Harness) -> None:
        """A job that may wait for so long may do that again, and no longer.

        Broken: what has expired and is wanted all the same expires again at once, or never.
        """
        terms = Terms(expires=harness.unit)
        (late,) = await sent(harness.backend, terms=terms, delay=harness.unit / 8)
        await harness.advance(2 * harness.unit)
        await harness.backend.prune(Keep(), 10)
        assert (await job(harness.backend, late.id)).state is State.EXPIRED
        await revive(harness.backend, late.id)
        await harness.backend.prune(Keep(), 10)
        assert (await job(harness.backend, late.id)).state is State.QUEUED
        await harness.advance(2 * harness.unit)
        await harness.backend.prune(Keep(), 10)
        assert (await job(harness.backend, late.id)).state is State.EXPIRED

    async def test_an_attempt_of_before_is_over(self, harness: Harness) -> None:
        """Nobody who ran it before can settle or renew a revived job, waiting or running.

        Broken: a reply that was lost is repeated, and settles what somebody just asked for.
        """
        first = claimer(harness)
        again, before = await failed(first)
        await revive(harness.backend, again.id)
        for _ in range(2):
            assert (await first.settle(before, FAILED)).reason == "lost"
            assert await harness.backend.extend([before.fence], 9.0) == ["lost"]
            await first.take(1)
        assert (await job(harness.backend, again.id)).state is State.RUNNING

    async def test_bytes_stay_as_they_are(self, harness: Harness) -> None:
        """What nobody can read is handed out byte for byte as it came.

        Broken: the message goes through a codec on its way, and is another one afterwards.
        """
        body = bytes(range(256)) + b'{"x": \xff'
        first = claimer(harness)
        (odd,) = await sent(
            harness.backend, body=body, content_type="odd/\x1b[0m", headers={"": ""}
        )
        await first.settle(await first.take_one(), Reject("undecodable"))
        assert (await job(harness.backend, odd.id)).message == odd
        await revive(harness.backend, odd.id)
        assert (await first.take_one()).message == odd

    async def test_it_can_be_put_right(self, harness: Harness) -> None:
        """The message that a revival brings takes the place of the old one, in every field.

        Broken: the body is another, and the job is found and run by what it was before.
        """
        await harness.backend.declare([Limit(name="l", in_flight=0)])
        first = claimer(harness)
        wrong, _ = await failed(first, body=b"{", expires=1e12)
        right = Message(
            id=wrong.id,
            task="right",
            body=b"{}",
            queue="another",
            band=8,
            key="k",
            kind="loop",
            headers={"a": "b"},
            content_type="x/y",
            limits=("l",),
        )
        await revive(harness.backend, wrong.id, message=right)
        assert (await job(harness.backend, wrong.id)).message == right
        assert await first.take(9) == []
        assert await first.take(9, "another") == []
        await harness.backend.declare([Limit(name="l", in_flight=1)])
        found = await first.claim(Claim("another", 9, kinds=(right.kind,)))
        assert [each.message for each in found] == [right]
        assert ids((await harness.backend.search(Filter(task="right"))).jobs) == [wrong.id]

    async def test_when_it_is_due(self, harness: Harness) -> None:
        """A revived job is due when it is said, or now, behind what is ready.

        Broken: a thousand revived jobs that were to be spread out come at once, before all others.
        """
        first = claimer(harness, units=9)
        later, _ = await failed(first)
        soon, _ = await failed(first)
        (ready,) = await sent(harness.backend, delay=harness.unit / 8)
        now = await harness.backend.now()
        await revive(harness.backend, later.id, due=now + harness.unit)
        await harness.advance(harness.unit / 4)
        await revive(harness.backend, soon.id)
        assert ids(await first.take(9)) == ids([ready, soon])
        assert (await job(harness.backend, later.id)).due == now + harness.unit
        await harness.advance(harness.unit)
        assert ids(await first.take(9)) == [later.id]

    async def test_only_what_has_ended_is_revived(self, harness: Harness) -> None:
        """A job that waits, runs or is unknown is not revived, and that is a conflict.

        Broken: a second press of the button makes a second run.
        """
        runs, waits = await sent(harness.backend, 2, delay=harness.unit / 8)
        first = claimer(harness)
        await harness.advance(harness.unit / 8)
        assert ids(await first.take(1)) == [runs.id]
        for job_id in (runs.id, waits.id, message().id):
            version = await version_of(harness.backend, job_key(job_id))
            answer = await revive(harness.backend, job_id, due=0.0)
            assert (answer.status, answer.reason) == ("refused", "conflict")
            assert (answer.key, answer.current) == (job_key(job_id), version)
        assert ids(await first.take(9)) == [waits.id]

    async def test_only_what_was_looked_at_is_revived(self, harness: Harness) -> None:
        """With its version a job is revived once, however many saw it fail, and not after a change.

        Broken: two people press the button, and a job that has failed again meanwhile runs thrice.
        """
        first = claimer(harness)
        seen, _ = await failed(first)
        version = await version_of(harness.backend, job_key(seen.id))
        assert (await revive(harness.backend, seen.id, version)).ok
        await first.settle(await first.take_one(), FAILED)
        assert (await revive(harness.backend, seen.id, version)).reason == "conflict"
        assert await first.take(9) == []

    async def test_a_refused_revival_changes_nothing(self, harness: Harness) -> None:
        """With one job that has not ended, nothing of the transition is done.

        Broken: half of a batch runs again, and nobody knows which half.
        """
        first = claimer(harness)
        over, _ = await failed(first)
        (runs,) = await sent(harness.backend)
        await first.take_one()
        both = (Revive(over.id), Revive(runs.id))
        (answer,) = await harness.backend.commit([Transition(revive=both, put=(Put("r", b""),))])
        assert answer.reason == "conflict"
        assert await value_of(harness.backend, "r") is None
        assert await first.take(9) == []
        assert (await job(harness.backend, over.id)).state is State.FAILED

    async def test_twice_in_one_transition_is_once(self, harness: Harness) -> None:
        """A job that a transition revives twice is handed out once.

        Broken: the second one finds it waiting and puts it in line again.
        """
        first = claimer(harness)
        over, _ = await failed(first, key="k")
        await apply(harness.backend, revive=(Revive(over.id), Revive(over.id)))
        delivery = await first.take_one()
        await first.settle(delivery, Finish(State.SUCCEEDED))
        (next_one,) = await sent(harness.backend, key="k")
        assert ids(await first.take(9)) == [next_one.id]

    async def test_a_revived_job_keeps_its_key(self, harness: Harness) -> None:
        """Of its key it goes where its publishing had put it, but not before who is at the head.

        Broken: it runs beside another one of its key, or is stuck behind all that come after it.
        """
        first = claimer(harness)
        old, _ = await failed(first, key="a")
        messages = await sent(harness.backend, 3, key="a")
        running = await first.take_one()
        await revive(harness.backend, old.id)
        assert await first.take(9) == []
        order = [running]
        while True:
            await first.settle(order[-1], Finish(State.SUCCEEDED))
            found = await first.take(9)
            if not found:
                break
            order += found
        assert ids(order) == ids([messages[0], old, *messages[1:]])

    async def test_a_revived_job_counts_for_its_limit(self, harness: Harness) -> None:
        """It waits for room in its limits as if just sent, and gives its place back at its end.

        Broken: what is revived by thousands runs by thousands.
        """
        await harness.backend.declare([Limit(name="l", in_flight=1)])
        first = claimer(harness)
        over = [(await failed(first, limits=("l",)))[0] for _ in range(2)]
        await apply(harness.backend, revive=tuple(Revive(each.id) for each in over))
        for _ in range(2):
            found = await first.take(9)
            assert len(found) == 1
            await first.settle(found[0], Finish(State.SUCCEEDED))
        assert await first.take(9) == []

    async def test_an_old_wish_to_cancel_is_over(self, harness: Harness) -> None:
        """A job that finished although it was to be cancelled is not cancelled when it runs again.

        Broken: its holder is told to stop it at once, and nobody knows why.
        """
        first = claimer(harness)
        (flagged,) = await sent(harness.backend)
        delivery = await first.take_one()
        await apply(harness.backend, cancel=(Cancel(flagged.id),))
        await first.settle(delivery, FAILED)
        await revive(harness.backend, flagged.id)
        delivery = await first.take_one()
        assert await harness.backend.extend([delivery.fence], harness.unit) == ["held"]
        assert (await first.settle(delivery, Release("releases"))).ok
        assert (await job(harness.backend, flagged.id)).state is State.QUEUED

    async def test_it_is_kept_while_it_waits(self, harness: Harness) -> None:
        """When its record was to go does not matter any more once it waits again.

        Broken: a pruning worker removes a job that a person has just saved.
        """
        first = claimer(harness)
        over, _ = await failed(first)
        await revive(harness.backend, over.id, due=await harness.backend.now() + harness.unit)
        await harness.backend.prune(Keep(result=0, failure=0, newest=0), 100)
        await harness.advance(harness.unit)
        assert ids(await first.take(9)) == [over.id]

    async def test_its_arrival_counts_once(self, harness: Harness) -> None:
        """What it had arrived at before, it arrives at once, however often it is revived.

        Broken: a workflow goes on without the member that has never come.
        """
        first = claimer(harness)
        then = message()
        await apply(harness.backend, join=(Join("j", 2, (then,)),))
        (one,) = await sent(harness.backend)
        for _ in range(2):
            delivery = await first.take_one()
            await first.settle(delivery, FAILED, arrive=(Arrive("j", one.id),))
            await revive(harness.backend, one.id)
        assert ids(await first.take(9)) == [one.id]


class RemoveCases:
    """`remove` in a transition."""

    async def test_what_has_ended_is_removed(self, harness: Harness) -> None:
        """A settled job is gone at once, from its key, from lists and from what is counted.

        Broken: what had to be deleted, for the data in it, is still shown.
        """
        found = await ended(harness)
        for each in found.values():
            assert (await remove(harness.backend, each.id)).status == "applied"
            assert await value_of(harness.backend, job_key(each.id)) is None
            assert await version_of(harness.backend, job_key(each.id)) == 0
        assert (await harness.backend.search(Filter())).jobs == []
        assert await claimer(harness).take(9) == []

    async def test_only_what_has_ended_is_removed(self, harness: Harness) -> None:
        """A job that waits or runs is not removed, nor anything else of the transition.

        Broken: a running task is forgotten, and its result is settled nowhere.
        """
        first = claimer(harness)
        over, _ = await failed(first)
        runs, waits = await sent(harness.backend, 2, delay=harness.unit / 8)
        await harness.advance(harness.unit / 8)
        delivery = await first.take_one()
        for each in (runs, waits):
            answer = await remove(harness.backend, over.id, each.id)
            assert (answer.status, answer.reason) == ("refused", "conflict")
            version = await version_of(harness.backend, job_key(each.id))
            assert (answer.key, answer.current) == (job_key(each.id), version)
        assert (await job(harness.backend, over.id)).state is State.FAILED
        assert (await first.settle(delivery, Finish(State.SUCCEEDED))).ok
        assert ids(await first.take(9)) == [waits.id]

    async def test_what_is_gone_is_gone(self, harness: Harness) -> None:
        """Removing what is unknown, or twice, is no error: a lost reply can be repeated.

        Broken: whoever did not hear that it worked is told that it did not.
        """
        over, delivery = await failed(claimer(harness))
        for _ in range(2):
            assert (await remove(harness.backend, over.id)).status == "applied"
        (answer,) = await harness.backend.commit([settled(delivery, FAILED)])
        assert answer.reason == "lost"


class ReviveWaitingCases:
    """Reviving and removing while others wait."""

    async def test_waiting_for_a_job_that_is_revived(self, harness: Harness) -> None:
        """A worker that waits gets a revived job soon.

        Broken: "run it again" means "when somebody looks".
        """
        over, _ = await failed(claimer(harness))
        second = await second_claimer(harness)
        async with waiting(second.wait_one()) as waiter:
            await revive(harness.backend, over.id)
            async with promptly("the revived job"):
                assert (await waiter).message.id == over.id

    async def test_what_becomes_of_an_ended_job_is_told(self, harness: Harness) -> None:
        """Whoever watches a settled job is told when it is revived, and when it is removed.

        Broken: a page shows a failure that somebody has seen to.
        """
        over, _ = await failed(claimer(harness))
        other, key = await harness.second(), job_key(over.id)
        for change in (
            Transition(revive=(Revive(over.id),)),
            Transition(remove=(Remove(over.id),)),
        ):
            version = await version_of(other, key)
            async with waiting(_changed(other, key, version)) as waiter:
                await harness.backend.commit([change])
                async with promptly("what became of it"):
                    await waiter
            if change.revive:
                first = claimer(harness)
                await first.settle(await first.take_one(), FAILED)


async def _changed(backend: Backend, key: str, version: int) -> None:
    """Wait until a job's record has another version."""
    while await version_of(backend, key) == version:
        await backend.wait([key], LONG)
        await asyncio.sleep(0)
