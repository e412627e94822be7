"""Bodies that are kept apart: there as long as a job refers to them, and no longer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.backends.sqlite.room import MARGIN
from ropeway.blobs import is_time_to_sweep, lay, load, packed, sweep, unpack
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.decide import DEFAULT_RULES, NO_TERMS, Keep, Rules, decide, settle_here
from ropeway.errors import BackendUnavailable, Backpressure, BodyLost, Unsupported
from ropeway.ids import new_id
from ropeway.jobs import removal, revival, see
from ropeway.message import Delivery, Message, Outcome, Terms
from ropeway.reference import (
    HEADS,
    LEFT_AFTER,
    PIECE,
    PIECES,
    Reference,
    is_of,
    refer,
    reference_of,
    written,
)
from ropeway.retry import DEFAULT
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.transition import (
    APPLIED,
    REPEATED,
    Answer,
    Drop,
    Finish,
    Put,
    Record,
    Release,
    Transition,
)
from ropeway.wrappers.delegate import Delegate
from tests.disks import fill, free_bytes, small_disk

LARGE = bytes(range(256)) * 5_000  # five pieces, the last one short
MONTH = 30 * 86_400.0


class World:
    """A store with a clock to be turned."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryBackend(self.clock)

    async def keys(self) -> list[str]:
        """All that is kept of bodies."""
        return [each.key for prefix in (HEADS, PIECES) for each in await self.store.scan(prefix)]

    async def sent(self, body: bytes = LARGE, **fields: object) -> Message:
        """Send a message with a body that is kept apart."""
        message = Message(id=new_id(), task="t", body=body, **fields)  # type: ignore[arg-type]  # fields of a message
        parcel = await packed(self.store, message, 1024)
        assert await self.store.commit([parcel.transition]) == [APPLIED]
        return parcel.message

    async def claimed(self, lease: float = MONTH) -> Delivery:
        """Claim the one message that is there."""
        (delivery,) = await self.store.receive([Claim("default", 1)], "me", lease)
        return delivery

    async def settle(self, delivery: Delivery, **fields: object) -> None:
        """Let it end as a success with that value."""
        finish = Finish(State.SUCCEEDED, **fields)  # type: ignore[arg-type]  # fields of it
        (answer,) = await self.store.commit([Transition(fence=delivery.fence, settle=finish)])
        assert answer.ok


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield MemoryBackend(ManualClock())
        return
    database = Database(tmp_path / "jobs.db")
    backend = SqliteBackend(database, Blocking(database))
    await backend.open()
    yield backend
    await backend.close()


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 7 * PIECE + 3])
async def test_a_body_comes_back(store: Backend, size: int) -> None:
    """Whatever its size, what was laid is loaded byte for byte, and named by its content."""
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    held, guard = await lay(store, "job", body)
    assert len(held) < 300
    assert await load(store, "job", held) == body
    assert is_of(held, body) and not is_of(held, body + b".")
    assert (await store.commit([Transition(expect=guard)]))[0].ok


async def test_what_is_no_reference(store: Backend) -> None:
    """Bytes that only begin like a reference, or name more than can be, are a body like any other."""
    mark = written(refer(b"x"))[:5]
    reference = Reference("0-x", 10, PIECE, b"d")
    for held in (
        b"",
        b'{"x": 1}',
        mark,
        mark + b"\xff",
        mark + b"\x93\x01\x02\x03",
        written(replace(reference, size=2**40)),
        written(replace(reference, size=-1)),
        written(replace(reference, piece=1)),
    ):
        assert reference_of(held) is None
        assert await load(store, "job", held) == held
    assert reference_of(written(reference)) == reference


async def test_what_is_lost_is_told(store: Backend) -> None:
    """A piece that is gone, or is another's, is an error that says of which job, not other bytes."""
    held, _ = await lay(store, "job", LARGE)
    with pytest.raises(BodyLost, match="of job other"):
        await load(store, "other", held)
    pieces = await store.scan(PIECES)
    await store.commit([Transition(put=(Put(pieces[1].key, pieces[0].value[::-1]),))])
    with pytest.raises(BodyLost, match="has changed"):
        await load(store, "job", held)
    await store.commit([Transition(drop=(Drop(pieces[4].key),))])
    with pytest.raises(BodyLost, match="is gone"):
        await load(store, "job", held)


async def test_the_same_message_twice(world: World) -> None:
    """What is sent again, because a reply was lost, is the same message: it is repeated."""
    message = Message(id=new_id(), task="t", body=LARGE)
    first = await packed(world.store, message, 1024)
    assert await world.store.commit([first.transition]) == [APPLIED]
    assert await world.store.commit([first.transition]) == [REPEATED]
    again = await packed(world.store, message, 1024)
    assert again.message == first.message
    assert await world.store.commit([again.transition]) == [REPEATED]
    await unpack(world.store, [again])  # whoever gives up takes nothing from what was sent
    assert await load(world.store, message.id, first.message.body) == LARGE


async def test_a_body_outlives_any_wait(world: World) -> None:
    """It is there for a job that is due in a month, that is tried again, that is in quarantine."""
    message = await world.sent(delay=MONTH)

    async def is_there() -> bool:
        world.clock.advance(2 * LEFT_AFTER)
        assert await sweep(world.store) == 0
        await world.store.prune(Keep(), 100)
        return await load(world.store, message.id, message.body) == LARGE

    assert await is_there()
    world.clock.advance(MONTH)
    for counts in ("failures", "losses", "releases"):
        delivery = await world.claimed()
        assert await is_there()
        release = Release(counts=counts, delay=MONTH / 2)
        await world.store.commit([Transition(fence=delivery.fence, settle=release)])
        world.clock.advance(MONTH / 2)
        assert await is_there()
    delivery = await world.claimed()
    error = Outcome(ending="bad_arguments")
    await world.store.commit([decide(delivery, error, DEFAULT, world.clock.now())])
    assert await is_there()
    job = await see(world.store, message.id)
    await world.store.commit([revival(job, world.clock.now())])
    assert (await world.claimed()).message.body == message.body
    assert await is_there()


async def test_a_body_goes_with_its_record(world: World) -> None:
    """When the record is pruned, removed, or nothing is kept, so is what was apart from it."""
    message = await world.sent()
    delivery = await world.claimed()
    value, _ = await lay(world.store, message.id, LARGE[::-1], delivery.fence.attempt)
    await world.settle(delivery, value=value, keep=2 * LEFT_AFTER)
    world.clock.advance(LEFT_AFTER + 1)
    assert await sweep(world.store) == 0
    assert await load(world.store, message.id, value) == LARGE[::-1]
    world.clock.advance(LEFT_AFTER)
    assert await world.store.prune(Keep(), 100) == 1
    assert await sweep(world.store) == 2
    assert await world.keys() == []

    message = await world.sent()
    delivery = await world.claimed()
    value, _ = await lay(world.store, message.id, LARGE[::-1], delivery.fence.attempt)
    await world.settle(delivery, value=value)
    await world.store.commit([removal(await see(world.store, message.id))])
    assert await world.keys() == []


async def test_nothing_stays_of_what_is_not_kept(world: World) -> None:
    """With `keep=0`, or without a record, the arguments go in the step that settles."""
    now = world.clock.now()
    for terms, rules in (
        (Terms(keep=0), DEFAULT_RULES),
        (Terms(store=False), DEFAULT_RULES),
        (Terms(unique="unique/x", keep=0), DEFAULT_RULES),
        (NO_TERMS, Rules(keep=Keep(result=0))),
    ):
        await world.sent(terms=terms)
        delivery = await world.claimed()
        settle = decide(delivery, Outcome(ending="returned"), DEFAULT, now, rules)
        assert (await world.store.commit([settle]))[0].ok
        assert await world.keys() == []
    message = await world.sent(terms=Terms(early=True, store=False))
    delivery = await world.claimed()
    own = message.terms or NO_TERMS
    await world.store.commit([settle_here(delivery.fence, message.body, own, NO_TERMS, now)])
    assert await world.keys() == []


async def test_a_result_goes_when_the_job_runs_again(world: World) -> None:
    """A job that is run again keeps its arguments, and its old result is gone, all of it."""
    message = await world.sent()
    delivery = await world.claimed()
    value, _ = await lay(world.store, message.id, LARGE[::-1], delivery.fence.attempt)
    await world.settle(delivery, value=value)
    job = await see(world.store, message.id)
    (answer,) = await world.store.commit([revival(job, world.clock.now())])
    assert answer.ok
    assert await load(world.store, message.id, message.body) == LARGE
    with pytest.raises(BodyLost):
        await load(world.store, message.id, value)
    assert len(await world.keys()) == 1 + 5


async def test_results_of_attempts(world: World) -> None:
    """What an attempt has laid stays while it may settle, and goes when another has the job."""
    message = await world.sent()
    first = await world.claimed(lease=LEFT_AFTER)
    value, _ = await lay(world.store, message.id, LARGE[::-1], first.fence.attempt)
    world.clock.advance(3 * LEFT_AFTER)
    assert await sweep(world.store) == 0  # late, and nobody has taken it over
    second = await world.claimed()
    assert await sweep(world.store) == 1
    with pytest.raises(BodyLost):
        await load(world.store, message.id, value)
    value, _ = await lay(world.store, message.id, LARGE[::-1], second.fence.attempt)
    await world.settle(second, value=value, keep=MONTH)
    world.clock.advance(3 * LEFT_AFTER)
    assert await sweep(world.store) == 0
    assert await load(world.store, message.id, value) == LARGE[::-1]


async def test_a_sender_that_sleeps_too_long(world: World) -> None:
    """What was laid and never sent is swept; sending it after that is refused, not half a message."""
    message = Message(id=new_id(), task="t", body=LARGE)
    parcel = await packed(world.store, message, 1024)
    world.clock.advance(LEFT_AFTER - 1)
    assert await sweep(world.store) == 0
    world.clock.advance(2)
    assert await sweep(world.store) == 1
    assert await world.keys() == []
    (answer,) = await world.store.commit([parcel.transition])
    assert (answer.status, answer.reason) == ("refused", "conflict")
    assert (answer.key or "").startswith(HEADS)
    assert await world.store.receive([Claim("default", 1)], "me", 1) == []


class Between(Delegate):
    """Does something between a look at jobs and what follows from it."""

    def __init__(self, inner: Backend, transition: Transition) -> None:
        super().__init__(inner)
        self._transition = transition
        self.answers: list[Answer] = []

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        found = await self.inner.get(keys)
        self.answers += await self.inner.commit([self._transition])
        return found


async def test_a_body_that_is_sent_while_it_is_swept(world: World) -> None:
    """Of a sweep and a send that meet, one is refused: there is no message without its body."""
    parcel = await packed(world.store, Message(id=new_id(), task="t", body=LARGE), 1024)
    world.clock.advance(2 * LEFT_AFTER)
    between = Between(world.store, parcel.transition)
    assert await sweep(between) == 0
    assert between.answers == [APPLIED]
    assert await load(world.store, parcel.message.id, parcel.message.body) == LARGE


class Failing(Delegate):
    """Fails at the third commit, and at no other."""

    def __init__(self, inner: Backend, error: Exception) -> None:
        super().__init__(inner)
        self._error, self._left = error, 2

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self._left -= 1
        if self._left == -1:
            raise self._error
        return await self.inner.commit(transitions)


@pytest.mark.parametrize("error", [BackendUnavailable(), Backpressure()])
async def test_what_cannot_be_laid_whole_is_taken_up(world: World, error: Exception) -> None:
    """A failure half way is the sender's to hear, and leaves nothing behind."""
    with pytest.raises(type(error)):
        await lay(Failing(world.store, error), "job", LARGE)
    assert await world.keys() == []


async def test_one_sweep_for_all(world: World) -> None:
    """Of many workers one sweeps, once in some minutes, and none where there is nothing to see."""
    assert not await is_time_to_sweep(world.store)
    await world.sent()
    assert [await is_time_to_sweep(world.store) for _ in range(3)] == [True, False, False]
    world.clock.advance(301)
    assert [await is_time_to_sweep(world.store) for _ in range(3)] == [True, False, False]


async def test_a_sweep_of_many(world: World) -> None:
    """All are looked at, page after page, and those that are held stay."""
    for number in range(250):
        await lay(world.store, f"gone-{number}", b"x")
    held = await world.sent()
    world.clock.advance(2 * LEFT_AFTER)
    assert await sweep(world.store) == 250
    assert await load(world.store, held.id, held.body) == LARGE


async def test_a_broker_without_a_store(world: World) -> None:
    """Where nothing can be kept, a large body is refused with what is missing."""

    class Bare(Delegate):
        @property
        def capabilities(self):  # type: ignore[no-untyped-def]  # as its base says
            return replace(self.inner.capabilities, store=False)

    with pytest.raises(Unsupported, match="max_message"):
        await packed(Bare(world.store), Message(id=new_id(), task="t", body=LARGE), 1024)
    small = Message(id=new_id(), task="t", body=b"{}")
    assert (await packed(Bare(world.store), small, 1024)).message is small


def test_a_nearly_full_disk(tmp_path: Path) -> None:
    """A body is refused as any message is, while there is a margin for settles, and is taken up."""
    with small_disk(tmp_path / "disk") as disk:
        database = Database(disk / "jobs.db")
        backend = SqliteBackend(database, Blocking(database))
        step(backend.open())
        step(packed(backend, Message(id=new_id(), task="t", body=LARGE), 1024))
        others = fill(disk, leave=MARGIN + 2**20)
        with pytest.raises(Backpressure):
            for _ in range(1_000):
                step(lay(backend, new_id(), LARGE))
        assert free_bytes(disk) > MARGIN // 4  # the database takes in the log, too
        others.unlink()
        database.close()
