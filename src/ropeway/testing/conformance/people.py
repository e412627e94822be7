"""What people look at: counts, and lists of jobs."""

from __future__ import annotations

from ropeway.claims import Limit
from ropeway.ids import first_id
from ropeway.message import Failure
from ropeway.states import State
from ropeway.store import Count, Filter
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import claimer, counts, ids, job, message, send, sent
from ropeway.transition import Cancel, Finish, Reject, Release, Settle, Transition


class StatsCases:
    """The verb `stats`."""

    async def test_counts_of_a_queue(self, harness: Harness) -> None:
        """What is ready, delayed and leased is counted apart, and what has ended not at all.

        Broken: delayed messages look like a backlog, or finished ones never leave the count.
        """
        await sent(harness.backend, 5)
        await sent(harness.backend, 2, delay=harness.unit)
        await sent(harness.backend, 1, queue="another")
        first = claimer(harness)
        done, retried, _ = await first.take(3)
        await first.settle(done, Finish(State.SUCCEEDED))
        await first.settle(retried, Release("failures", delay=3 * harness.unit))
        found = await counts(harness.backend)
        assert (found.queue, found.ready, found.delayed, found.leased) == ("default", 2, 3, 1)
        await harness.advance(harness.unit)
        found = await counts(harness.backend)
        assert (found.ready, found.delayed, found.leased) == (4, 1, 1)

    async def test_counting_stops_at_the_cap(self, harness: Harness) -> None:
        """Each count stops at the cap; with a cap of 0 nothing is counted.

        Broken: looking at a queue of a million costs a million.
        """
        await sent(harness.backend, 4)
        await sent(harness.backend, 4, delay=harness.unit)
        await sent(harness.backend, 4, band=9)
        await claimer(harness).take(4)
        for cap, expected in ((0, 0), (3, 3), (4, 4), (100, 4)):
            found = await counts(harness.backend, cap=cap)
            assert [found.ready, found.delayed, found.leased] == [expected] * 3

    async def test_the_oldest_due_time(self, harness: Harness) -> None:
        """The earliest due time of what waits is told whatever the cap, also one ahead.

        Broken: a queue whose head has waited for an hour looks like a fresh one.
        """
        now = await harness.backend.now()
        assert (await counts(harness.backend, cap=0)).oldest_due is None
        for due in (now + 500, now + 100, now - 100, now - 50):
            await sent(harness.backend, due=due, band=int(due) % 10)
            expected = min(due, (await counts(harness.backend, cap=0)).oldest_due or due)
            assert (await counts(harness.backend, cap=0)).oldest_due == expected
        assert (await counts(harness.backend)).oldest_due == now - 100
        await claimer(harness).take(2)
        assert (await counts(harness.backend)).oldest_due == now + 100

    async def test_the_names_of_queues(self, harness: Harness) -> None:
        """Asked for none, all queues that hold work are told; asked for some, these, in order.

        Broken: a queue with work is not seen because no worker has ever named it.
        """
        for queue in ("ready", "leased", "done"):
            await sent(harness.backend, queue=queue)
        await sent(harness.backend, queue="delayed", delay=harness.unit)
        first = claimer(harness)
        await first.take_one("leased")
        await first.settle(await first.take_one("done"), Finish(State.SUCCEEDED))
        for cap in (0, 10):
            found = await harness.backend.stats(cap=cap)
            assert sorted(each.queue for each in found) == ["delayed", "leased", "ready"]
        asked = ["ready", "unknown", "delayed"]
        found = await harness.backend.stats(asked, 10)
        assert [each.queue for each in found] == asked
        assert [each.ready + each.delayed for each in found] == [1, 0, 1]


class PeekCases:
    """The verb `peek`."""

    async def test_what_waits_by_due_time(self, harness: Harness) -> None:
        """What waits is shown by due time, whatever its band, what is due ahead included.

        Broken: a person looks for what is next and sees the order of publishing, or half of it.
        """
        now = await harness.backend.now()
        dues = [5, -5, 9, -9, 0, 1]
        messages = [message(band=i, due=now + due) for i, due in enumerate(dues)]
        await send(harness.backend, *messages, message(queue="another"))
        by_due = sorted(messages, key=lambda each: each.due or 0)
        assert ids(await harness.backend.peek("default")) == ids(by_due)
        assert ids(await harness.backend.peek("default", 2)) == ids(by_due[:2])
        assert await harness.backend.peek("unknown") == []

    async def test_only_what_waits_is_shown(self, harness: Harness) -> None:
        """What runs or has ended is not shown, and each job as its record has it.

        Broken: a queue looks full of what is long done.
        """
        await sent(harness.backend, 3)
        first = claimer(harness)
        done, retried, _ = await first.take(3)
        await first.settle(done, Finish(State.SUCCEEDED))
        await first.settle(retried, Release("failures", delay=harness.unit))
        shown = await harness.backend.peek("default")
        assert shown == [await job(harness.backend, retried.fence.id)]
        assert shown[0].failures == 1

    async def test_what_is_held_back_is_shown(self, harness: Harness) -> None:
        """What waits for its key or for a limit is shown at its due time like all others.

        Broken: what is stuck is what people do not see.
        """
        await harness.backend.declare([Limit(name="l", in_flight=0)])
        now = await harness.backend.now()
        kinds = [("a", ()), ("a", ()), (None, ("l",)), (None, ()), ("a", ())]
        messages = [
            message(key=key, limits=limits, due=now - 10 + i, band=i)
            for i, (key, limits) in enumerate(kinds)
        ]
        await send(harness.backend, *messages)
        first = claimer(harness)
        taken = await first.take(1)
        assert ids(taken) == [messages[3].id]
        assert ids(await harness.backend.peek("default")) == ids(messages[:3] + messages[4:])
        (head,) = await first.take(9)
        await first.settle(head, Finish(State.SUCCEEDED))
        assert ids(await harness.backend.peek("default", 2)) == ids(messages[1:3])

    async def test_looking_changes_nothing(self, harness: Harness) -> None:
        """Whoever looks takes nothing and counts nothing.

        Broken: a dashboard that is open makes every message look tried before.
        """
        messages = await sent(harness.backend, 3)
        before = await harness.backend.peek("default")
        assert await harness.backend.peek("default") == before
        found = await claimer(harness).take(9)
        assert ids(found) == ids(messages)
        assert {each.fence.attempt for each in found} == {1}


class SearchCases:
    """The verb `search`, for a backend that declares it."""

    async def test_newest_first_and_page_by_page(self, harness: Harness) -> None:
        """Jobs are listed from the newest on; `before` continues where the last page ended.

        Broken: a page repeats or leaves out a job, or the list begins with last year.
        """
        messages = await sent(harness.backend, 25)
        pages, before = list[str](), None
        for size in (10, 10, 5):
            page = await harness.backend.search(Filter(), before, limit=10)
            assert len(page.jobs) == size
            pages += ids(page.jobs)
            before = page.older
        assert before is None
        assert pages == ids(messages)[::-1]
        assert ids((await harness.backend.search(Filter(), limit=1)).jobs) == [messages[-1].id]

    async def test_filters(self, harness: Harness) -> None:
        """Every field of a filter narrows the list, alone and together with others.

        Broken: a field is ignored, or `limit` counts jobs that do not fit.
        """
        kinds = [(task, queue) for task in ("a", "b") for queue in ("p", "q")] * 3
        messages = [message(task=task, queue=queue) for task, queue in kinds]
        await send(harness.backend, *messages)
        first = claimer(harness)
        taken = {each.message.id for each in await first.take(4, queue="p")}

        async def found(limit: int = 50, before: str | None = None, **fields: object) -> list[str]:
            which = Filter(**fields)  # type: ignore[arg-type]  # the caller names its fields
            return ids((await harness.backend.search(which, before, limit)).jobs)

        newest = messages[::-1]
        assert await found(task="a") == [m.id for m in newest if m.task == "a"]
        assert await found(queue="q") == [m.id for m in newest if m.queue == "q"]
        assert await found(state=State.RUNNING) == [m.id for m in newest if m.id in taken]
        waiting_a = [m.id for m in newest if m.task == "a" and m.id not in taken]
        assert await found(state=State.QUEUED, task="a") == waiting_a
        assert await found(2, state=State.QUEUED, task="a") == waiting_a[:2]
        assert await found(2, waiting_a[1], state=State.QUEUED, task="a") == waiting_a[2:4]
        assert await found(task="a", queue="none") == []
        assert await found(id_prefix=messages[3].id) == [messages[3].id]
        assert await found(id_prefix=messages[3].id[:1]) == ids(newest)

    async def test_a_listed_job_is_as_it_is_now(self, harness: Harness) -> None:
        """A job in a list tells the same as when it is looked up by its id.

        Broken: lists are fed from a copy that lags behind.
        """
        await sent(harness.backend, 3, headers={"a": "b"})
        first = claimer(harness)
        finished, released = await first.take(2)
        await first.settle(finished, Finish(State.SUCCEEDED, b"1"))
        await first.settle(released, Release("failures", delay=5.0))
        listed = (await harness.backend.search(Filter())).jobs
        looked_up = [await job(harness.backend, each.message.id) for each in listed]
        assert listed == looked_up
        assert [each.state for each in listed] == [State.QUEUED, State.QUEUED, State.SUCCEEDED]

    async def test_when_a_job_was_made(self, harness: Harness) -> None:
        """`since` and `until` are instants: a job made at the first is listed, at the second not.

        Broken: "the last hour" is the hour of another clock, or leaves out the second it names.
        """
        instants = [1e9, 1e9 + 0.25, 1e9 + 60, 2e9]
        messages = [message(id=first_id(instant), delay=1.0) for instant in instants]
        await send(harness.backend, *messages)

        async def found(**fields: object) -> list[str]:
            which = Filter(**fields)  # type: ignore[arg-type]  # the caller names its fields
            return ids((await harness.backend.search(which)).jobs)

        newest = ids(messages)[::-1]
        assert await found(since=1e9) == newest
        assert await found(since=1e9 + 0.001) == newest[:3]
        assert await found(until=1e9 + 60) == newest[2:]
        assert await found(since=1e9 + 0.25, until=1e9 + 61) == newest[1:3]
        assert await found(since=3e9) == await found(until=1.0) == []
        assert await found(since=-1e30, until=1e30) == newest

    async def test_what_failed_of_one_cause(self, harness: Harness) -> None:
        """What did not succeed is found by the fingerprint of its error, whatever its text.

        Broken: a thousand failures of one cause are a thousand errors.
        """
        failures = await _failures(harness)

        async def found(**fields: object) -> list[str]:
            which = Filter(**fields)  # type: ignore[arg-type]  # the caller names its fields
            return ids((await harness.backend.search(which)).jobs)

        assert await found(error="aa") == failures["aa"][::-1]
        assert await found(error="aa", state=State.FAILED) == failures["aa"][:0:-1]
        assert await found(error="aa", task="none") == []
        assert await found(error="cc") == await found(error="aa", state=State.QUEUED) == []

    async def test_counting_jobs(self, harness: Harness) -> None:
        """Jobs are counted by every filter, up to a cap, and it is told if that was all.

        Broken: "1,000 jobs" is what fits on a page.
        """
        failures = await _failures(harness)
        for which, number in (
            (Filter(), 7),
            (Filter(state=State.FAILED), 4),
            (Filter(error="aa"), 3),
            (Filter(queue="none"), 0),
            (Filter(task="conformance", state=State.QUARANTINED), 1),
            (Filter(id_prefix=failures["bb"][0]), 1),
        ):
            assert await harness.backend.count(which) == Count(number=number)
            capped = Count(number=min(2, number), whole=number <= 2)
            assert await harness.backend.count(which, 2) == capped

    async def test_causes(self, harness: Harness) -> None:
        """What did not succeed is grouped by state and cause, largest first, with the newest of each.

        Broken: a person reads through a thousand failures to find the one that differs.
        """
        failures = await _failures(harness)
        found = await harness.backend.causes(Filter())
        assert found.whole
        told = [(each.newest.state, each.number, each.whole) for each in found.found]
        assert sorted(told[:2]) == [(State.FAILED, 2, True)] * 2
        assert sorted(told[2:]) == [(State.CANCELLED, 1, True), (State.QUARANTINED, 1, True)]
        first = next(each for each in found.found if each.oldest_id == failures["bb"][0])
        assert first.newest == await job(harness.backend, failures["bb"][-1])
        largest = await harness.backend.causes(Filter(), 1)
        assert (len(largest.found), largest.whole) == (1, False)
        only = await harness.backend.causes(Filter(state=State.FAILED, error="bb"))
        assert [each.oldest_id for each in only.found] == [failures["bb"][0]]
        assert (await harness.backend.causes(Filter(state=State.SUCCEEDED))).found == []


async def _failures(harness: Harness) -> dict[str, list[str]]:
    """Have jobs fail of two causes, one of them also in quarantine; one succeed, one be cancelled."""
    first, found = claimer(harness), dict[str, list[str]]()
    for number, cause in enumerate(["aa", "aa", "bb", "aa", "bb"]):
        (each,) = await sent(harness.backend)
        error = Failure(type="E", message=f"text {number}", fingerprint=cause)
        settle: Settle = Finish(State.FAILED, None, error, 1000.0)
        if number == 0:
            settle = Reject("E", "x", fingerprint=cause)
        await first.settle(await first.take_one(), settle)
        found.setdefault(cause, []).append(each.id)
    await sent(harness.backend)
    await first.settle(await first.take_one(), Finish(State.SUCCEEDED))
    await sent(harness.backend)
    delivery = await first.take_one()
    await harness.backend.commit([Transition(cancel=(Cancel(delivery.fence.id),))])
    await first.settle(delivery, Release("releases"))
    return found
