"""Hints: hearing of a change soon, and doing without them."""

from __future__ import annotations

import asyncio

from ropeway.message import Delivery, job_key
from ropeway.states import State
from ropeway.store import Backend, log_name, queue_name
from ropeway.testing.conformance.harness import Harness, MutedHarness
from ropeway.testing.conformance.steps import (
    LATE,
    LONG,
    Claimer,
    claimer,
    job,
    message,
    promptly,
    second_claimer,
    sent,
    waiting,
)
from ropeway.transition import Append, Drop, Finish, Put, Release, Transition


async def _heard(backend: Backend, name: str, *others: str) -> None:
    """Wait for all the names until `name` is reported, however often nothing is."""
    while name not in await backend.wait([*others, name], LONG):  # noqa: ASYNC110  it waits
        await asyncio.sleep(0)


async def _final(backend: Backend, job_id: str) -> State:
    """Wait for the end of a job as a client does: look, then wait, then look again."""
    while not (record := await job(backend, job_id)).state.final:
        await backend.wait([job_key(job_id)], LONG)
        await asyncio.sleep(0)
    return record.state


async def _running(harness: Harness) -> tuple[Claimer, Delivery]:
    """Publish one message and let another handle take it."""
    await sent(harness.backend)
    other = await second_claimer(harness)
    return other, await other.take_one()


class HintCases:
    """The verb `wait`."""

    async def test_the_first_wait_reports_at_once(self, harness: Harness) -> None:
        """Names that were not waited for before are reported without a wait: look first.

        Broken: what changed before somebody began to wait for it is never seen.
        """
        (new,) = await sent(harness.backend)
        names = [job_key(new.id), queue_name("default"), queue_name("a b"), job_key(message().id)]
        async with promptly("the first wait"):
            assert set(await harness.backend.wait(names[:2], LONG)) == set(names[:2])
            assert set(await harness.backend.wait(names, LONG)) >= set(names[2:])

    async def test_a_quiet_name_is_not_reported(self, harness: Harness) -> None:
        """Where nothing changes, a wait ends after its time with nothing; it is not a spin.

        Broken: it returns at once every time, and whoever waits keeps a processor busy.
        """
        name = job_key(message().id)
        await harness.backend.wait([name], 0)
        async with promptly("the end of each wait"):
            told = [await harness.backend.wait([name], LATE / 50) for _ in range(4)]
        assert [] in told
        assert all(set(names) <= {name} for names in told)

    async def test_the_end_of_a_job_is_told(self, harness: Harness) -> None:
        """Who waits for a job hears soon after it was settled by another process.

        Broken: `result()` comes only when its timeout is over.
        """
        other, delivery = await _running(harness)
        async with waiting(_final(harness.backend, delivery.fence.id)) as waiter:
            await other.settle(delivery, Finish(State.SUCCEEDED))
            async with promptly("the end of the job"):
                assert await waiter is State.SUCCEEDED

    async def test_a_change_between_wait_and_get_is_told(self, harness: Harness) -> None:
        """What changes while nobody waits is reported by the next wait.

        Broken: only those who sleep at that moment are woken; a client that looked just before
        waits for a change that has happened.
        """
        other, delivery = await _running(harness)
        name = job_key(delivery.fence.id)
        await harness.backend.wait([name], 0)
        assert (await job(harness.backend, delivery.fence.id)).state is State.RUNNING
        await other.settle(delivery, Finish(State.SUCCEEDED))
        async with promptly("the change"):
            await _heard(harness.backend, name)

    async def test_all_who_wait_for_a_name_hear(self, harness: Harness) -> None:
        """Two that wait for the same job both hear of its end.

        Broken: the first takes the hint away from the second, which then waits for ever.
        """
        other, delivery = await _running(harness)
        clients = asyncio.gather(*(_final(harness.backend, delivery.fence.id) for _ in range(3)))

        async def both() -> list[State]:
            return await clients

        async with waiting(both()) as waiter:
            await other.settle(delivery, Finish(State.SUCCEEDED))
            async with promptly("the end of the job, for each"):
                assert await waiter == [State.SUCCEEDED] * 3

    async def test_one_of_many_names_is_told(self, harness: Harness) -> None:
        """Who waits for many names is told the one that changed.

        Broken: only the first name is watched, or the changed one is not named.
        """
        other, delivery = await _running(harness)
        name, others = job_key(delivery.fence.id), [job_key(message().id) for _ in range(20)]
        await harness.backend.wait([*others, name], 0)
        async with waiting(_heard(harness.backend, name, *others)) as waiter:
            await other.settle(delivery, Finish(State.SUCCEEDED))
            async with promptly("the name that changed"):
                await waiter

    async def test_messages_are_told_to_those_who_wait_for_a_queue(self, harness: Harness) -> None:
        """A publish and a release are told under the queue's name.

        Broken: a dashboard or a worker hears of new messages but not of those given back.
        """
        other, name = await second_claimer(harness), queue_name("default")
        await harness.backend.wait([name], 0)
        async with waiting(_heard(harness.backend, name)) as waiter:
            await sent(other.backend)
            async with promptly("a publish"):
                await waiter
        delivery = await other.take_one()
        async with waiting(_heard(harness.backend, name)) as waiter:
            await other.settle(delivery, Release("releases"))
            async with promptly("a release"):
                await waiter

    async def test_records_and_logs_are_told(self, harness: Harness) -> None:
        """A put and a drop are told under the record's key, and an append under the log's name.

        Broken: progress and events are seen only when somebody looks by himself.
        """
        other, log = await harness.second(), log_name("l")
        await harness.backend.wait(["r", log], 0)
        for name, change in (
            ("r", Transition(put=(Put("r", b"1"),))),
            ("r", Transition(drop=(Drop("r"),))),
            (log, Transition(append=(Append("l", b"1"),))),
        ):
            async with waiting(_heard(harness.backend, name)) as waiter:
                await other.commit([change])
                async with promptly(f"a change of {name}"):
                    await waiter


class MissedHintCases:
    """The same without hints: for a harness that can lose them."""

    async def test_a_missed_hint_delays_a_worker_only(self, harness: MutedHarness) -> None:
        """A worker that was not told of a message finds it by itself, a little later.

        Broken: it sleeps to the end of `wait` beside a full queue.
        """
        other = await harness.second()
        async with waiting(claimer(harness).wait_one()) as waiter:
            harness.mute_hints()
            await sent(other)
            async with promptly("the message"):
                await waiter

    async def test_a_missed_hint_delays_a_client_only(self, harness: MutedHarness) -> None:
        """A client that waits for a result and was not told of it finds it by itself.

        Broken: `result()` waits for ever for a job that has ended.
        """
        other, delivery = await _running(harness)
        async with waiting(_final(harness.backend, delivery.fence.id)) as waiter:
            harness.mute_hints()
            await other.settle(delivery, Finish(State.SUCCEEDED))
            async with promptly("the end of the job"):
                assert await waiter is State.SUCCEEDED
