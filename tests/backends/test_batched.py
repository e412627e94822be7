"""Callers that meet share commits, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.claims import MAX_BATCH, Claim
from ropeway.clock import ManualClock
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.message import job_key
from ropeway.testing.conformance import BackendSuite, ManualHarness, MissedHintCases
from ropeway.testing.conformance.steps import job, message, value_of
from ropeway.transition import Answer, Put, Transition
from ropeway.wrappers.batched import MAX_BYTES, Batched
from ropeway.wrappers.delegate import Delegate

FAULTY = b"cannot be written"


class Slow(Delegate):
    """A backend whose commits take a turn of the loop or, while `gate` is closed, longer.

    `faults` are raised by the commits of these numbers; the body `FAULTY` always raises.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryBackend(self.clock)
        super().__init__(self.memory)
        self.gate = asyncio.Event()
        self.gate.set()
        self.commits: list[int] = []
        self.faults: dict[int, Exception] = {}

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        number = len(self.commits)
        self.commits.append(len(transitions))
        await asyncio.sleep(0)
        await self.gate.wait()
        if number in self.faults:
            raise self.faults[number]
        if any(each.body == FAULTY for every in transitions for each in every.publish):
            raise ValueError("not this one")
        return await super().commit(transitions)


class TestBatched(BackendSuite, MissedHintCases):
    """The contract of what is wrapped is kept, whoever else commits at the same time."""

    @pytest.fixture
    async def harness(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManualHarness]:
        slow = Slow()

        def mute() -> None:
            monkeypatch.setattr(slow.memory, "_hint", lambda name: None)

        async with ManualHarness(
            Batched(slow), slow.clock, another=lambda: Batched(slow), mute=mute
        ) as harness:
            yield harness


@pytest.fixture
def slow() -> Slow:
    """Return what is wrapped."""
    return Slow()


@pytest.fixture
def batched(slow: Slow) -> Batched:
    """Return the wrapper."""
    return Batched(slow)


def a_publish(body: bytes = b"") -> Transition:
    """Make a transition that publishes one new message."""
    return Transition(publish=(message(body=body),))


async def started(*asks: asyncio.Task[list[Answer]]) -> None:
    """Let the callers run as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(ask.done() for ask in asks)


def ask(batched: Batched, *transitions: Transition) -> asyncio.Task[list[Answer]]:
    """Start a caller of its own."""
    return asyncio.create_task(batched.commit(transitions))


async def is_kept(slow: Slow, transition: Transition) -> bool:
    """Tell if the message that the transition publishes has been stored."""
    return await value_of(slow, job_key(transition.publish[0].id)) is not None


async def test_200_callers_with_items_of_all_sizes(slow: Slow, batched: Batched) -> None:
    """Large items split batches, one is refused, and every caller gets the answer to its own."""
    large = b"\xfe" * 1_048_576
    mixed = [a_publish(large if i % 2 else b"%c" % i) for i in range(200)]
    first = mixed[116].publish[0]
    mixed[117] = Transition(publish=(message(id=first.id, body=b"another"),))
    answers = await asyncio.gather(*(batched.commit([each]) for each in mixed))
    assert [place for place, (answer,) in enumerate(answers) if not answer.ok] == [117]
    assert answers[117][0].reason == "duplicate"
    for each in mixed[:117] + mixed[118:]:
        assert (await job(slow, each.publish[0].id)).message == each.publish[0]
    assert sum(slow.commits) == 200
    assert len(slow.commits) < 200 / 4
    # Five megabytes at most: a batch may hold one item that is over.
    assert max(slow.commits) <= 2 * (MAX_BYTES // len(large) + 1)


async def test_a_lone_caller_waits_for_nobody(slow: Slow, batched: Batched) -> None:
    """No timer: the first commit starts at once, with what there is."""
    for _ in range(3):
        await batched.commit([a_publish()])
    assert slow.commits == [1, 1, 1]


async def test_what_comes_during_a_commit_is_the_next_one(slow: Slow, batched: Batched) -> None:
    """One commit in flight at a time; those who come meanwhile are joined, up to the cap."""
    slow.gate.clear()
    first = ask(batched, a_publish())
    await started(first)
    others = [ask(batched, a_publish(), a_publish()) for _ in range(150)]
    await started(first, *others)
    assert slow.commits == [1]
    slow.gate.set()
    answers = await asyncio.gather(first, *others)
    assert [len(each) for each in answers] == [1] + [2] * 150
    assert slow.commits == [1, MAX_BATCH, 100]


async def test_a_long_list_keeps_its_order(slow: Slow, batched: Batched) -> None:
    """A caller with more than one batch gets one list of answers, in order, beside others."""
    chain = [Transition(expect={"r": i}, put=(Put("r", b""),)) for i in range(500)]
    tasks = [ask(batched, a_publish()), ask(batched, *chain), ask(batched, a_publish())]
    one, many, another = await asyncio.gather(*tasks)
    assert [answer.versions for answer in many] == [{"r": i + 1} for i in range(500)]
    assert (one[0].status, another[0].status) == ("applied", "applied")
    assert slow.commits == [200, 200, 102]


async def test_only_what_may_be_repeated_is_taken_beyond_one_transaction(slow: Slow) -> None:
    """Of a larger batch a part may be there when the rest fails: so it publishes and does no more."""
    batched = Batched(slow, 5 * MAX_BATCH)
    publishes = [Transition(publish=(message(),)) for _ in range(3 * MAX_BATCH)]
    put = Transition(put=(Put("k", b"v"),))
    await batched.commit(publishes)
    await batched.commit([put, *publishes])
    await batched.commit([*publishes, put, *publishes])
    whole, part = 3 * MAX_BATCH, MAX_BATCH
    assert slow.commits == [whole, part, 2 * part + 1, whole, part, 2 * part + 1]
    await batched.close()


async def test_an_exception_reaches_its_own_caller(slow: Slow, batched: Batched) -> None:
    """What one item breaks is told to its caller; the others are applied as if it were not there."""
    transitions = [a_publish(FAULTY if i == 7 else b"fine") for i in range(20)]
    told = await asyncio.gather(
        *(batched.commit([each]) for each in transitions), return_exceptions=True
    )
    failed = [place for place, each in enumerate(told) if isinstance(each, BaseException)]
    assert failed == [7]
    assert isinstance(told[7], ValueError)
    assert [await is_kept(slow, each) for each in transitions] == [i != 7 for i in range(20)]


async def test_a_caller_with_one_bad_item_among_good(slow: Slow, batched: Batched) -> None:
    """A caller whose list breaks hears of it, and the rest is not sent; its neighbours go on."""
    transitions = [a_publish(), a_publish(FAULTY), a_publish()]
    bad = ask(batched, *transitions)
    neighbours = [ask(batched, a_publish()) for _ in range(3)]
    with pytest.raises(ValueError, match="not this one"):
        await bad
    for each in neighbours:
        assert (await each)[0].status == "applied"
    assert (await batched.commit([a_publish()]))[0].status == "applied"
    assert [await is_kept(slow, each) for each in transitions] == [True, False, False]


@pytest.mark.parametrize("error", [Indeterminate(), BackendUnavailable()])
async def test_no_answer_reaches_all_of_the_batch(
    slow: Slow, batched: Batched, error: Exception
) -> None:
    """Without an answer every caller of that batch is told so; nobody tries again for it."""
    slow.gate.clear()
    first = ask(batched, a_publish())
    await started(first)
    others = [ask(batched, a_publish()) for _ in range(250)]
    await started(*others)
    slow.faults[1] = error
    slow.gate.set()
    await first
    told = await asyncio.gather(*others, return_exceptions=True)
    assert slow.commits == [1, 200, 50]
    assert all(each is error for each in told[:200])
    assert [each[0].status for each in told[200:] if isinstance(each, list)] == ["applied"] * 50


async def test_no_answer_to_a_part_is_no_answer(slow: Slow, batched: Batched) -> None:
    """A caller whose list spans batches is told of the one that failed; the rest is not sent."""
    long = ask(batched, *(a_publish() for _ in range(250)))
    short = ask(batched, a_publish())
    slow.faults[0] = Indeterminate()
    with pytest.raises(Indeterminate):
        await long
    assert (await short)[0].status == "applied"
    assert slow.commits == [200, 1]


@pytest.mark.parametrize("place", [0, 5, 9])
@pytest.mark.parametrize("in_flight", [True, False])
async def test_a_cancelled_caller_harms_nobody(
    slow: Slow, batched: Batched, place: int, in_flight: bool
) -> None:
    """Who gives up, before its batch or during it, takes no other caller along."""
    slow.gate.clear()
    if not in_flight:
        await started(ask(batched, a_publish()))
    transitions = [a_publish() for _ in range(10)]
    tasks = [ask(batched, each) for each in transitions]
    await started(*tasks)
    tasks[place].cancel()
    slow.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    given_up = [i for i, each in enumerate(told) if isinstance(each, asyncio.CancelledError)]
    assert given_up == [place]
    kept = [await is_kept(slow, each) for each in transitions]
    assert all(kept[:place] + kept[place + 1 :])
    assert (await batched.commit([a_publish()]))[0].status == "applied"


async def test_a_cancelled_caller_beside_a_fault(slow: Slow, batched: Batched) -> None:
    """The same when the batch has to be tried item by item."""
    slow.gate.clear()
    await started(ask(batched, a_publish()))
    tasks = [ask(batched, a_publish(body)) for body in (b"a", b"b", FAULTY, b"c")]
    await started(*tasks)
    tasks[0].cancel()
    slow.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in told] == [asyncio.CancelledError, list, ValueError, list]


async def test_close_waits_for_what_was_asked(slow: Slow, batched: Batched) -> None:
    """Closing lets the commits that were asked for end first."""
    slow.gate.clear()
    tasks = [ask(batched, a_publish()) for _ in range(3)]
    await started(*tasks)
    closing = asyncio.create_task(batched.close())
    await asyncio.sleep(0)
    assert not closing.done()
    slow.gate.set()
    await closing
    assert all(task.done() for task in tasks)


async def test_claims_pass_by(slow: Slow, batched: Batched) -> None:
    """A claim does not stand behind the commits that wait."""
    await batched.commit([a_publish()])
    slow.gate.clear()
    stuck = ask(batched, a_publish())
    await started(stuck)
    assert len(await batched.receive([Claim("default", 1)], "h", 60.0)) == 1
    slow.gate.set()
    await stuck
