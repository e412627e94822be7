"""What the Redis backend leaves in the server, and what it does with odd names and large numbers."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from msgspec.structs import replace

from ropeway.claims import Claim, Limit
from ropeway.decide import Keep
from ropeway.errors import Backpressure
from ropeway.message import KINDS, Failure, JobRecord, Kind, Message, Terms, job_key
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.testing.conformance import ManualHarness
from ropeway.testing.conformance.steps import Claimer, claimer, ids, job, message, send, sent
from ropeway.transition import (
    Append,
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
    Update,
)
from tests.backends.redis_world import World
from tests.servers.valkey import Valkey

_DONE = Finish(State.SUCCEEDED, b"1")
_ALWAYS = {b":n"}
"""The number of the newest message."""


@pytest.fixture
def world(valkey: Valkey) -> Iterator[World]:
    world = World(valkey.url)
    yield world
    world.close()


@pytest.fixture
async def harness(world: World) -> AsyncIterator[ManualHarness]:
    async with ManualHarness(world.looped(), world, world.looped) as harness:
        yield harness


def _left(world: World) -> set[bytes]:
    prefix = len(f"{{{world.namespace}}}")
    return {key[prefix:] for key in world.all_keys()} - _ALWAYS


async def _take_all(worker: Claimer) -> None:
    """Finish whatever can be had, keeping nothing."""
    while found := await worker.claim(Claim("default", 50), Claim("another", 50)):
        for each in found:
            await worker.settle(each, Finish(State.SUCCEEDED, b"1", keep=0.0))


def _of_every_kind(now: float) -> list[Message]:
    return [
        *(message(key="k", band=band) for band in (1, 9, 5)),
        *(message(limits=("l", "m")) for _ in range(3)),
        message(delay=60.0, queue="another"),
        message(expires=now + 1000.0, kind="loop"),
        message(terms=Terms(expires=1000.0), kind="cpu"),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_is_kept_alike_however_it_came(
    harness: ManualHarness, world: World, kind: Kind
) -> None:
    """Alone, among others like it, and among any: three scripts write the same, but for numbers.

    Broken: one of the formats has another length, or what it writes is found by no lane.
    """
    backend, worker, queue = harness.backend, claimer(harness), "q" * 80
    names = {"queue": queue, "kind": kind, "band": 7, "limits": ("l",)}
    alone, *others = (message(**names) for _ in range(5))
    alike, among_any = others[:2], others[2:]
    await send(backend, alone)
    await send(backend, *alike)
    await send(backend, *among_any, message())
    tag, kept = f"{{{world.namespace}}}", set()
    for each in (alone, alike[1], among_any[1]):
        state = world.client.get(f"{tag}:s:{each.id}")
        assert isinstance(state, bytes)
        kept.add(state[:27] + state[59:])
        for moment in struct.unpack("<4d", state[27:59])[1:]:
            assert abs(moment - await backend.now()) < 5
    assert len(kept) == 1
    assert len(world.all_keys()) == 2 * 6 + len([":n", ":ids", ":q", *2 * [":ls", ":l"]])
    found = await worker.claim(Claim(queue, 9))
    assert [each.message for each in found] == [alone, *others]


async def test_a_job_stands_alike_whether_it_was_taken_apart_or_not(
    harness: ManualHarness, world: World
) -> None:
    """What is usual is handed over and settled in parts; what expires, or comes with more, is not.

    Broken: a part has another length, a count is not raised, an index misses what was in parts.
    """
    backend, worker = harness.backend, claimer(harness)
    usual, another, expiring = message(), message(), message(expires=await backend.now() + 1000.0)
    await send(backend, usual, another, expiring)
    held = await worker.take(3)
    expiry = slice(83, 91)
    first, second, third = (_state(world, each.fence.id, expiry) for each in held)
    assert first == second == third
    assert [each.fence.attempt for each in held] == [1, 1, 1]
    plain = [Transition(fence=each.fence, settle=replace(_DONE, keep=60.0)) for each in held]
    more = replace(plain[1], put=(Put("a", b""),))
    assert [each.ok for each in await backend.commit([plain[0]])] == [True]
    assert [each.ok for each in await backend.commit([more, plain[2]])] == [True, True]
    times = slice(67, 83)
    ended = [_state(world, each.fence.id, expiry, times, slice(-9, -1)) for each in held]
    assert ended[0] == ended[1] == ended[2] != first
    for each in held:
        kept = world.client.get(f"{{{world.namespace}}}:s:{each.fence.id}")
        assert isinstance(kept, bytes)
        finished, purged = struct.unpack("<2d", kept[times])
        assert purged - finished == pytest.approx(60.0)
    found = await backend.search(Filter(state=State.SUCCEEDED), limit=9)
    assert {each.message.id for each in found.jobs} == {each.fence.id for each in held}
    again = await backend.commit([plain[0], more, replace(plain[2], settle=_DONE)])
    assert [each.reason or each.status for each in again] == ["repeated", "repeated", "lost"]


def _state(world: World, job: str, *masked: slice) -> bytes:
    """How a job stands, without its own numbers and what is `masked`."""
    kept = world.client.get(f"{{{world.namespace}}}:s:{job}")
    assert isinstance(kept, bytes)
    shown = bytearray(kept)
    for each in (slice(27, 59), *masked):
        shown[each] = bytes(len(shown[each]))
    return bytes(shown)


async def test_settles_of_one_commit_have_each_its_own_answer(harness: ManualHarness) -> None:
    """Also where what they have in common is said once: by run of holder, attempt and kind of end."""
    backend, worker = harness.backend, claimer(harness)
    await sent(backend, 6)
    held = await worker.take(6)
    gone, kept = Finish(State.SUCCEEDED, keep=0.0), Finish(State.SUCCEEDED, b"1")
    failed = Finish(State.FAILED, None, Failure(type="E", message="x"))
    back = Release("releases")
    settles: list[Settle] = [gone, gone, kept, failed, kept, back]
    batch = [Transition(fence=e.fence, settle=s) for e, s in zip(held, settles, strict=True)]
    stale = replace(batch[1], fence=replace(held[1].fence, attempt=9))
    other = replace(batch[2], fence=replace(held[2].fence, holder="other"))
    twice = [batch[0], batch[2], replace(batch[5], settle=gone)]
    answers = await backend.commit([batch[0], stale, other, *batch[1:], *twice])
    assert [each.reason or each.status for each in answers] == [
        "applied", "lost", "lost", *["applied"] * 5, "lost", "repeated", "lost",
    ]  # fmt: skip
    found = await backend.get([job_key(each.fence.id) for each in held])
    states = [each and msgspec.msgpack.decode(each.value, type=JobRecord).state for each in found]
    assert states == [
        None, None, State.SUCCEEDED, State.FAILED, State.SUCCEEDED, State.QUEUED,
    ]  # fmt: skip


async def test_an_end_that_keeps_nothing_is_lost_like_any_other(harness: ManualHarness) -> None:
    """A job that was ended, or begun anew, behind its holder's back is not what that has settled."""
    backend, worker = harness.backend, claimer(harness)
    cancelled, revived = await sent(backend, 2)
    held = await worker.take(2)
    ends = [Transition(cancel=(Cancel(each.id),)) for each in (cancelled, revived)]
    assert all(answer.ok for answer in await backend.commit(ends))
    await harness.advance(2 * harness.unit)
    assert await claimer(harness, "other").take(9) == []  # their leases are over: they end
    assert (await backend.commit([Transition(revive=(Revive(revived.id),))]))[0].ok
    gone = Finish(State.SUCCEEDED, keep=0.0)
    answers = await backend.commit([Transition(fence=each.fence, settle=gone) for each in held])
    assert [answer.reason for answer in answers] == ["lost", "lost"]
    assert (await job(backend, cancelled.id)).state is State.CANCELLED
    assert (await job(backend, revived.id)).state is State.QUEUED


async def test_a_batch_with_one_that_is_there_is_gone_through(harness: ManualHarness) -> None:
    """Those that are new are taken in, and each of the others has its own answer."""
    there, *new = (message() for _ in range(4))
    await send(harness.backend, there)
    other = replace(there, body=b"other")
    published = [new[0], there, new[1], new[1], other, new[2]]
    answers = await harness.backend.commit([Transition(publish=(each,)) for each in published])
    assert [each.reason or each.status for each in answers] == [
        "applied", "repeated", "applied", "repeated", "duplicate", "applied",
    ]  # fmt: skip
    found = await claimer(harness).claim(Claim("default", 9))
    assert [each.message for each in found] == [there, *new]


async def test_a_batch_that_a_record_stands_against_is_gone_through(harness: ManualHarness) -> None:
    """Its guards hold for all, or each message has an answer of its own; a repetition is known."""
    messages = [message() for _ in range(5)]
    guarded = [Transition(expect={f"no/{m.id}": 0}, publish=(m,)) for m in messages]
    told = await harness.backend.commit(guarded[:2])
    assert [answer.status for answer in told] == ["applied", "applied"]
    await harness.backend.commit([Transition(put=(Put(f"no/{messages[3].id}", b""),))])
    told = await harness.backend.commit(guarded)
    assert [answer.reason or answer.status for answer in told] == [
        "repeated", "repeated", "applied", "conflict", "applied",
    ]  # fmt: skip
    await harness.backend.commit([Transition(put=(Put(f"no/{messages[3].id}", b"", ttl=1.0),))])
    await harness.advance(2)
    (late,) = await harness.backend.commit(guarded[3:4])
    assert late.status == "applied"


async def test_a_job_that_is_not_kept_leaves_nothing(harness: ManualHarness, world: World) -> None:
    """Whatever it was: keyed, limited, delayed, rewritten, tried again, asked to be cancelled."""
    backend, first = harness.backend, claimer(harness)
    await backend.declare([Limit(name="l", in_flight=1), Limit(name="m", rate=1000.0)])
    messages = _of_every_kind(await backend.now())
    await send(backend, *messages)
    body, moved = Update(messages[1].id, body=b"new"), Update(messages[2].id, queue="another")
    await backend.commit([Transition(update=(body, moved))])
    for each in await first.take(9):
        await first.settle(each, Release("failures", delay=1.0))
    await harness.advance(100.0)
    held = await first.take_one()
    await backend.commit([Transition(cancel=(Cancel(held.fence.id, 0.0),))])
    await first.settle(held, Finish(State.SUCCEEDED, b"1", keep=0.0))
    for _ in messages:
        await _take_all(first)
        await harness.advance(1.0)
    assert await backend.stats(cap=9) == []
    assert await backend.prune(Keep(), 9) == 0  # it forgets the names of queues
    assert _left(world) == {b":li:l", b":li:m"}


async def test_what_is_removed_leaves_no_entry(harness: ManualHarness, world: World) -> None:
    """However a job ended, and whoever removed it: no index names what is not there any more."""
    backend, first = harness.backend, claimer(harness)
    now = await backend.now()
    late = message(expires=now + 10.0, key="a")
    messages = [late, *(message() for _ in range(6))]
    await send(backend, *messages)
    await harness.advance(20.0)
    assert await backend.prune(Keep(failure=30.0), 9) == 1
    error = Failure(type="E", message="x", fingerprint="aa")
    ends: list[Settle] = [
        Finish(State.SUCCEEDED, b"1", keep=30.0),
        Finish(State.FAILED, None, error, 30.0),
        Reject("bad", keep=30.0, fingerprint="bb"),
        Release("failures", error=error),
    ]
    for end in ends:
        await first.settle(await first.take_one(), end)
    revive = Transition(revive=(Revive(messages[2].id, message=messages[2]),))
    await backend.commit([revive, Transition(cancel=tuple(Cancel(m.id, 30.0) for m in messages))])
    assert (await backend.count(Filter())).number == 7
    assert len((await backend.causes(Filter())).found) == 4
    gone = Remove(messages[5].id)
    assert (await backend.commit([Transition(remove=(gone,))]))[0].ok
    await harness.advance(31.0)
    assert await backend.prune(Keep(), 100) == 6
    assert _left(world) == set()


async def test_records_joins_and_their_ends(harness: ManualHarness, world: World) -> None:
    """What has a time to live leaves nothing when it is over; what has none, and logs, stay."""
    backend = harness.backend
    change = Transition(
        put=(Put("a", b"1", ttl=10.0), Put("b", b"2")),
        append=(Append("l", b"3"),),
        join=(Join("j", 2, (message(),)),),
        arrive=(Arrive("j", "x"), Arrive("k", "y")),
    )
    assert (await backend.commit([change]))[0].ok
    await harness.advance(400 * 86_400.0)
    assert await backend.prune(Keep(), 100) == 3
    assert _left(world) == {b":r:b", b":rk", b":g:l"}


async def test_a_queue_that_holds_work_is_not_forgotten(harness: ManualHarness) -> None:
    """Whatever of it waits, is held back or leased: a prune takes no name of a queue in use."""
    backend, first = harness.backend, claimer(harness, units=9)
    await backend.declare([Limit(name="l", in_flight=0)])
    waits, delayed, limited, leased = (
        message(queue="waits"),
        message(queue="delayed", delay=harness.unit),
        message(queue="limited", limits=("l",)),
        message(queue="leased"),
    )
    await send(backend, waits, delayed, limited, leased)
    delivery = await first.take_one("leased")
    assert await first.take(9, "limited") == []
    await backend.prune(Keep(), 9)
    assert len(await backend.stats(cap=1)) == 4
    await backend.declare([Limit(name="l", in_flight=9)])
    await harness.advance(harness.unit)
    await first.settle(delivery, Release("none"))
    queues = ("waits", "delayed", "limited", "leased")
    found = [each for queue in queues for each in await first.take(9, queue)]
    assert ids(found) == ids([waits, delayed, limited, leased])


async def test_names_of_any_characters_are_apart(harness: ManualHarness) -> None:
    """Queues, keys, limits and records whose names, put together, would be the same."""
    backend, first = harness.backend, claimer(harness)
    await backend.declare([Limit(name="\0l", in_flight=1), Limit(name="l", in_flight=1)])
    names = [("q\0", "k"), ("q", "\0k"), ("q\0k", ""), ("q", "k"), ("\U0001f6a1", "\0")]
    messages = [message(queue=queue, key=key) for queue, key in names]
    limited = [message(queue=q, limits=(name,)) for q in ("q\0", "q") for name in ("\0l", "l")]
    await send(backend, *messages, *limited)
    found = [each for queue in {q for q, _ in names} for each in await first.take(9, queue)]
    assert len(found) == len(messages) + 2
    shown = await backend.stats(cap=9)
    assert {each.queue for each in shown} == {queue for queue, _ in names}
    for each in found:
        assert (await first.settle(each, _DONE)).ok
    rest = [each for queue in ("q\0", "q") for each in await first.take(9, queue)]
    assert len(rest) == 2
    keys = ["\0", "a", "a\0", "a\0b", "b", "\U0001f6a1"]
    await backend.commit([Transition(put=tuple(Put(key, key.encode()) for key in keys))])
    assert [each.key for each in await backend.scan("")] == keys
    assert [each.key for each in await backend.scan("a")] == ["a", "a\0", "a\0b"]


async def test_thousands_that_wait_for_a_limit(harness: ManualHarness) -> None:
    """They are put aside in several calls, and what needs no place is found behind them."""
    backend, first = harness.backend, claimer(harness)
    await backend.declare([Limit(name="l", in_flight=0)])
    await sent(backend, 4500, limits=("l",))
    (free,) = await sent(backend, band=0)
    assert ids(await first.take(5)) == [free.id]
    await backend.declare([Limit(name="l", in_flight=10_000)])
    count = 0
    while found := await first.take(200):
        count += len(found)
    assert count == 4500


async def test_thousands_of_expired_leases(harness: ManualHarness) -> None:
    """Those of other bands are passed by, however many have ended before."""
    backend, first = harness.backend, claimer(harness)
    await sent(backend, 900, band=1)
    while await first.take(200):
        pass
    (wanted,) = await sent(backend, band=8)
    await first.take(5)
    await harness.advance(harness.unit)
    found = await first.claim(Claim("default", 9, lowest=7))
    assert [(each.message.id, each.fence.attempt) for each in found] == [(wanted.id, 2)]


async def test_one_transition_with_thousands_of_messages(harness: ManualHarness) -> None:
    """More than a script can hand to one command."""
    messages = [message(key=str(n % 3) if n % 2 else None) for n in range(12_000)]
    (answer,) = await harness.backend.commit([Transition(publish=tuple(messages))])
    assert answer.ok
    assert (await harness.backend.count(Filter())).number == 12_000
    cancels = Transition(cancel=tuple(Cancel(each.id) for each in messages))
    (answer,) = await harness.backend.commit([cancels])
    assert len(answer.cancelled) == 12_000


async def test_a_search_that_is_stopped_goes_on(
    harness: ManualHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that has to examine job by job ends after a moment, and says where it goes on."""
    monkeypatch.setattr("ropeway.backends.redis.looks.MOMENT", 0.0)
    backend, first = harness.backend, claimer(harness)
    (wanted,) = await sent(backend, task="rare")
    await first.settle(await first.take_one(), _DONE)
    await sent(backend, 2500)
    which, before, looks = Filter(task="rare", state=State.SUCCEEDED), None, 0
    while True:
        found = await backend.search(which, before)
        looks += 1
        if found.jobs:
            break
        assert (found.examined, found.total) == (1000, 2501)
        before = found.older
    assert (looks, ids(found.jobs), found.older) == (3, [wanted.id], None)
    assert (await backend.count(which)).whole is False


@pytest.fixture
def full(world: World) -> Iterator[None]:
    """Have the server's memory be full."""
    used = world.client.info("memory")["used_memory"]
    world.client.config_set("maxmemory", used - 1)
    yield
    world.client.config_set("maxmemory", 0)


async def _settle_one(backend: Backend, first: Claimer) -> str:
    delivery = await first.take_one()
    assert await backend.extend([delivery.fence], 60.0) == ["held"]
    assert (await first.settle(delivery, _DONE)).ok
    return delivery.message.id


async def test_a_full_server(
    harness: ManualHarness, request: pytest.FixtureRequest, world: World
) -> None:
    """A send is refused, and nothing of it is there; what runs is settled, and what is over goes."""
    backend, first = harness.backend, claimer(harness)
    messages = await sent(backend, 3)
    await first.settle(await first.take_one(), Finish(State.SUCCEEDED, b"1", keep=1.0))
    await harness.advance(2.0)
    request.getfixturevalue("full")
    with pytest.raises(Backpressure, match="maxmemory"):
        await backend.commit([Transition(publish=(message(),))])
    assert await _settle_one(backend, first) == messages[1].id
    assert await backend.prune(Keep(), 9) == 1
    assert (await job(backend, messages[1].id)).value == b"1"
    assert (await backend.count(Filter())).number == 2
