"""A broker without transactions and a store keep the promises of the contracts together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Database, SqliteBackend, hints
from ropeway.broker_half import BrokerHalf
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.message import DEFAULT_QUEUE, Message, solo_key, solo_mark
from ropeway.states import State
from ropeway.store import Backend
from ropeway.testing.conformance import (
    BackendSuite,
    LocalClockCases,
    ManualHarness,
    MissedHintCases,
)
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    Claimer,
    ids,
    job,
    message,
    sent,
    settled,
    value_of,
    waiting,
)
from ropeway.testing.halves import FakeBroker, FakeHalf
from ropeway.transition import Answer, Cancel, Finish, Put, Transition
from ropeway.wrappers.half import Half
from ropeway.wrappers.halves import OWED
from ropeway.wrappers.paired import Paired

NOT_PROMISED = {
    # `recorded`: the sender of what rests in the broker is not told that its id is known,
    "test_the_same_message_twice_is_repeated": "it is told `applied`; one job comes of it",
    "test_the_same_message_after_its_end_is_repeated": "likewise; nothing runs again",
    "test_another_message_under_a_known_id_is_refused": "the second one becomes a dead letter",
    "test_a_duplicate_refuses_the_whole_transition": "likewise",
    "test_refused_items_in_a_batch_of_100": "likewise",
    "test_mixed_sizes_with_one_refused": "likewise",
    "test_callers_that_meet_get_their_own_answers": "likewise",
    "test_each_sees_the_writes_before_it": "likewise",
    # and nobody can look at it before it was handed over once.
    "test_get_answers_in_the_order_asked": "it asks for a job that nobody has received",
    "test_what_is_over_goes_and_nothing_else": "likewise",
    "test_newest_first_and_page_by_page": "it lists jobs that nobody has received",
    "test_filters": "likewise",
    "test_a_listed_job_is_as_it_is_now": "likewise",
    "test_a_refused_update_changes_nothing": "it looks at a job that nobody has received",
    "test_cancelling_is_guarded_like_any_write": "likewise",
    "test_what_waits_is_cancelled": "it is called off, and ends when the broker hands it over",
    "test_the_end_of_a_cancelled_job_is_told": "likewise",
    "test_what_is_there_is_not_published_again": "the broker does not know what is there",
    "test_keys_are_apart": "between what waits in the broker and in the store there is no order",
    # `atomic`, and all of the above.
    "test_capabilities_are_tested": "a pair declares neither `atomic` nor `recorded`",
}


class PairSuite(BackendSuite, MissedHintCases, LocalClockCases):
    """What a pair promises: everything but what it declares that it cannot."""


for name in NOT_PROMISED:
    setattr(PairSuite, name, None)


@pytest.fixture
def broker() -> FakeBroker:
    """Return the broker, empty."""
    return FakeBroker()


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the store reads."""
    return ManualClock()


@pytest.fixture
def make_store(clock: ManualClock) -> Callable[[], Backend]:
    """Return what makes a handle on the store."""
    store = MemoryBackend(clock)
    return lambda: store


@pytest.fixture
def make_half(broker: FakeBroker) -> Callable[[], BrokerHalf]:
    """Return what makes a connection to the broker."""
    return broker.connect


@pytest.fixture
def looped() -> bool:
    """Return whether a pair may do two things at once."""
    return False


@pytest.fixture
async def harness(
    broker: FakeBroker,
    make_half: Callable[[], BrokerHalf],
    clock: ManualClock,
    make_store: Callable[[], Backend],
    looped: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ManualHarness]:
    """Make pairs that share a broker and a store."""

    def handle() -> Backend:
        return Paired(make_half(), make_store(), looped=looped)

    def mute() -> None:
        monkeypatch.setattr(broker, "tell", lambda queue: None)
        monkeypatch.setattr(MemoryBackend, "_hint", lambda self, name: None)
        monkeypatch.setattr(hints, "touch", lambda *names: None)

    async with ManualHarness(handle(), clock, another=handle, mute=mute) as harness:
        yield harness


class TestPaired(PairSuite):
    """Over a store in memory."""


class TestOverSqlite(PairSuite):
    """Over a store that many processes share; each handle has a database of its own."""

    @pytest.fixture
    def make_store(self, clock: ManualClock, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: SqliteBackend(Database(tmp_path / "jobs.db", clock))

    @pytest.fixture
    def looped(self) -> bool:
        return True


class TestOfBackends(TestOverSqlite):
    """Whose broker is a whole backend too, of which only the messages are used."""

    @pytest.fixture
    def make_half(self, clock: ManualClock, tmp_path: Path) -> Callable[[], BrokerHalf]:
        return lambda: Half(SqliteBackend(Database(tmp_path / "broker.db", clock)))


@pytest.mark.parametrize("case", NOT_PROMISED)
async def test_no_case_is_left_out_for_nothing(case: str, harness: Harness) -> None:
    """Each case that a pair is not put to would fail."""
    with pytest.raises(AssertionError):
        await getattr(BackendSuite(), case)(harness)


def test_what_is_declared(broker: FakeBroker, make_store: Callable[[], Backend]) -> None:
    """A pair can do what both halves can, and says what they cannot do together."""
    declared = Paired(broker.connect(), make_store()).capabilities
    assert (declared.broker, declared.store, declared.search) == (True, True, True)
    assert (declared.atomic, declared.recorded) == (False, False)
    assert (declared.durable, declared.shared) == (False, False)


async def test_what_is_called_off_in_the_broker_never_runs(harness: ManualHarness) -> None:
    """A job that rests in the broker when it is cancelled ends as cancelled, and runs nowhere."""
    pair, me = harness.backend, Claimer(harness.backend, "me", harness.unit)
    off, stays = await sent(pair, 2)
    await pair.commit([Transition(cancel=(Cancel(off.id),))])
    assert ids(await me.take(9)) == [stays.id]
    assert (await job(pair, off.id)).state is State.CANCELLED
    assert await me.take(9) == []


# -- what comes again ------------------------------------------------------------------------------


class Worker(Claimer):
    """A worker whose connection can be cut."""

    def __init__(self, broker: FakeBroker, store: Backend, name: str) -> None:
        self.half, self.store = broker.connect(), store
        super().__init__(Paired(self.half, store), name, 60.0)


@pytest.fixture
def one(broker: FakeBroker, make_store: Callable[[], Backend]) -> Worker:
    """Return a worker."""
    return Worker(broker, make_store(), "one")


@pytest.fixture
def two(broker: FakeBroker, make_store: Callable[[], Backend]) -> Worker:
    """Return another worker."""
    return Worker(broker, make_store(), "two")


async def test_a_dropped_connection_is_taken_over_at_once(one: Worker, two: Worker) -> None:
    """What the dead one ran is handed out before its lease ends, and it can settle no more."""
    (message,) = await sent(one.backend)
    before = await one.take_one()
    assert await two.take() == []
    one.half.drop()
    after = await two.take_one()
    assert (after.message, after.fence.attempt) == (message, 2)
    answer = (await two.backend.commit([settled(before, Finish(State.FAILED))]))[0]
    assert answer.reason == "lost"
    assert (await two.settle(after, Finish(State.SUCCEEDED))).ok


async def test_a_solo_run_that_was_dropped_is_charged(
    broker: FakeBroker, make_store: Callable[[], Backend]
) -> None:
    """From the fifth on the end of a connection is a loss of what it ran, and never before."""
    workers = [Worker(broker, make_store(), f"worker {i}") for i in range(7)]
    await sent(workers[0].backend)
    losses = list[int]()
    for worker in workers:
        delivery = await worker.take_one()
        losses.append(delivery.losses)
        assert delivery.solo is (len(losses) > 2)
        fence = delivery.fence
        mark = Put(solo_key(fence.id), solo_mark(fence.attempt))
        await worker.backend.commit([Transition(fence=fence, put=(mark,))])
        worker.half.drop()
    assert losses == [0, 0, 0, 0, 0, 1, 2]


async def test_a_publishers_duplicate_waits_for_the_lease(
    one: Worker, two: Worker, broker: FakeBroker, clock: ManualClock
) -> None:
    """A second copy, not redelivered, takes nothing from whoever runs the first."""
    (message,) = await sent(one.backend)
    await one.take_one()
    await one.backend.commit([Transition(publish=(message,))])
    assert await two.take() == []
    assert broker.unacked == 1  # the first copy: the store is where the second one waits
    clock.advance(60.0)
    assert (await two.take_one()).fence.attempt == 2


async def test_a_settled_message_runs_no_more(one: Worker, two: Worker, broker: FakeBroker) -> None:
    """Copies that arrive after the end are acknowledged, and that is all."""
    (message,) = await sent(one.backend)
    await one.settle(await one.take_one(), Finish(State.SUCCEEDED))
    await two.backend.commit([Transition(publish=(message,))] * 5)
    assert await two.take(9) == []
    assert broker.empty


async def test_another_message_under_a_known_id_is_a_dead_letter(
    one: Worker, broker: FakeBroker
) -> None:
    """What its sender was told is kept is not thrown away."""
    (known,) = await sent(one.backend)
    clash = message(id=known.id, body=b"another")
    await one.backend.commit([Transition(publish=(clash,))])
    assert ids(await one.take(9)) == [known.id]
    assert broker.dead == [clash]


# -- what is owed ----------------------------------------------------------------------------------


class Deaf(FakeHalf):
    """A connection on which publishes fail while `deaf`."""

    deaf = True

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.deaf:
            raise BackendUnavailable
        await super().publish(messages)


async def test_a_settle_whose_follower_cannot_be_sent_is_repeated(
    broker: FakeBroker, make_store: Callable[[], Backend]
) -> None:
    """The store has settled it, so the caller is told to repeat; then the rest is done."""
    half, follower = Deaf(broker), message()
    worker = Claimer(Paired(half, make_store()), "one", 60.0)
    broker.add(message())
    delivery = await worker.take_one()
    end = settled(delivery, Finish(State.SUCCEEDED), publish=(follower,))
    with pytest.raises(Indeterminate):
        await worker.backend.commit([end])
    assert (await job(worker.backend, delivery.fence.id)).state is State.SUCCEEDED
    assert await value_of(worker.backend, OWED + delivery.fence.id) is not None
    half.deaf = False
    (answer,) = await worker.backend.commit([end])
    assert answer.status == "repeated"
    assert await value_of(worker.backend, OWED + delivery.fence.id) is None
    assert ids(await worker.take(9)) == [follower.id]


async def test_pruning_pays_what_the_dead_owed(
    broker: FakeBroker, make_store: Callable[[], Backend], one: Worker
) -> None:
    """Also of a message that never was in the broker, so that nothing can come back."""
    follower = message()
    dead = Claimer(Paired(Deaf(broker), make_store()), "dead", 60.0)
    await sent(one.backend, band=9)
    with pytest.raises(Indeterminate):
        await dead.settle(await dead.take_one(), Finish(State.SUCCEEDED), publish=(follower,))
    assert await one.take() == []
    await one.backend.prune(Keep(), 10)
    assert ids(await one.take(9)) == [follower.id]


async def test_a_send_that_fails_is_not_sent(
    broker: FakeBroker, make_store: Callable[[], Backend]
) -> None:
    """Where the store had no part in it, the caller hears what the broker said."""
    with pytest.raises(BackendUnavailable):
        await Paired(Deaf(broker), make_store()).commit([Transition(publish=(message(),))])


@pytest.mark.parametrize(
    "more",
    [{"delay": 1.0}, {"due": 1.0}, {"band": 9}, {"key": "k"}, {"limits": ("l",)}, {"expires": 9e9}],
    ids=str,
)
async def test_what_needs_more_than_a_queue_rests_in_the_store(
    one: Worker, broker: FakeBroker, more: dict[str, Any]
) -> None:
    """A date, a delay, a band, a key, a limit or an end is the store's to keep."""
    await sent(one.backend, **more)
    assert broker.empty


async def test_what_cannot_be_taken_in_goes_back(
    one: Worker, two: Worker, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is away, what arrives is left to others."""
    (message,) = await sent(one.backend)

    async def away(transitions: object) -> None:
        raise BackendUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(one.store, "commit", away)
        with pytest.raises(BackendUnavailable):
            await one.take()
    assert broker.depths([DEFAULT_QUEUE]) == {DEFAULT_QUEUE: 1}
    assert ids(await two.take()) == [message.id]


async def test_what_a_lost_answer_has_taken_in_is_run(
    one: Worker, two: Worker, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim that was on its way beside it found the job: nobody waits for its lease to end."""
    one.backend = Paired(one.half, one.store, looped=True)
    (message,) = await sent(one.backend)
    commit = one.store.commit

    async def cut(transitions: Sequence[Transition]) -> None:
        await commit(transitions)
        raise Indeterminate

    with monkeypatch.context() as patch:
        patch.setattr(one.store, "commit", cut)
        (taken,) = await one.take()
    assert taken.message.id == message.id
    assert (await one.settle(taken, Finish(State.SUCCEEDED))).ok
    assert broker.empty
    assert not await two.take()


async def test_a_receive_that_is_cancelled_keeps_nothing(
    one: Worker, two: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had arrived, and was not yet in the store, is left to others."""
    (message,) = await sent(one.backend)

    async def slow(transitions: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(one.store, "commit", slow)
        async with waiting(one.take()):
            pass
    assert ids(await two.take()) == [message.id]


async def test_what_is_not_asked_for_stays_in_the_broker(one: Worker, broker: FakeBroker) -> None:
    """A claim for one kind carries nothing else over, however much of it waits in front."""
    await sent(one.backend, 300, kind="threads")
    (wanted,) = await sent(one.backend, kind="loop")
    assert ids(await one.claim(Claim(DEFAULT_QUEUE, 9, kinds=("loop", "cpu")))) == [wanted.id]
    assert broker.depths(None) == {DEFAULT_QUEUE: 300}
    assert (await one.store.stats(cap=999))[0].ready == 0


async def test_what_the_store_has_no_room_for_waits_in_the_broker(
    one: Worker, two: Worker, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is full refuses what arrives; nothing of it is thrown away."""
    (message,) = await sent(one.backend)

    async def full(transitions: Sequence[Transition]) -> list[Answer]:
        return [Answer(status="refused", reason="full") for _ in transitions]

    with monkeypatch.context() as patch:
        patch.setattr(one.store, "commit", full)
        assert await one.take() == []
    assert broker.depths([DEFAULT_QUEUE]) == {DEFAULT_QUEUE: 1}
    assert ids(await two.take()) == [message.id]
