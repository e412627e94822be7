"""Redis or Valkey as a backend of both roles: one script for each verb, in one slot."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from ropeway.backends.redis.commands import (
    Args,
    answer_of,
    encode,
    encode_messages,
    encode_send,
    encode_send_many,
    encode_settles,
    is_guarded,
    is_message,
    is_settle,
    parts_of,
)
from ropeway.backends.redis.hearing import Seen
from ropeway.backends.redis.link import Link, RunOf
from ropeway.backends.redis.looks import Looks
from ropeway.backends.redis.names import channel, tag
from ropeway.backends.redis.riding import Rider, Stop
from ropeway.backends.redis.rows import (
    LETTERS,
    delivery_of,
    failure_bytes,
    fresh,
    job_of,
    record_of,
)
from ropeway.backends.redis.script import Script, load
from ropeway.broker import Held, QueueStats
from ropeway.capabilities import Capabilities
from ropeway.claims import AGEING, MAX_BATCH, Claim, Limit, Meter
from ropeway.decide import NOT_STARTED, Keep
from ropeway.message import CHARGED_AFTER, Delivery, Fence, JobRecord, Message, job_key
from ropeway.stepping import stepping
from ropeway.store import Causes, Count, Filter, Found, queue_name
from ropeway.transition import APPLIED, Answer, Entry, Record, Transition

POLL = 0.5
"""Seconds after which a worker looks by itself, for a hint may be lost."""

_SHORTEST_WAIT = 0.005
_STEP = 200
"""Jobs that one call of `prune` changes: the server does nothing else meanwhile."""

# A lost reply is asked for again by itself only where the second answer is as good as the first.
# What makes room is done even when the server's memory is full.
_SEND, _SEND_MANY = load("send", prelude=False), load("send_many", prelude=False)
_PUBLISH = load("publish")
_SETTLE = load("settle", even_full=True)
_COMMIT = load("commit", repeatable=False)
_CLAIM = load("claim", repeatable=False, even_full=True)
_COMMIT_AND_CLAIM = load("commit_and_claim", repeatable=False)
_EXTEND = load("extend", even_full=True)
_DECLARE = load("declare")
_PRUNE = load("prune", even_full=True)
_NOW, _GET, _SCAN, _READ, _STATS, _PEEK, _METERS = (
    load(name, writes=False) for name in ("now", "get", "scan", "read", "stats", "peek", "meters")
)

_TIME = struct.Struct("<d")
_HELD: tuple[Held, ...] = ("lost", "held", "cancelled")


class _Empty(Struct, frozen=True):
    """What was asked for and there was no more of, until when that holds unless a hint comes.

    `seen` is what had been heard of the queues before they were looked at.
    """

    asked: frozenset[tuple[object, ...]] = frozenset()
    until: float = 0.0
    seen: Seen = {}


class RedisBackend:
    """Both roles in one namespace of a server. `link` decides where the waiting is done."""

    capabilities = Capabilities()

    def __init__(self, link: Link) -> None:
        self._link = link
        self._keys = [tag(link.address.namespace)]
        self._looks = Looks(self._run, self._jobs)
        self._empty = _Empty()
        self._stop = Stop()

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def _run(self, script: Script, args: Sequence[Any]) -> Any:
        return await self._link.run(script, self._keys, args)

    async def now(self) -> float:
        return float(await self._run(_NOW, ()))

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        if not all(map(is_message, transitions)):
            answers: list[Answer] = []
            for part in parts_of(transitions):
                if await self._all_new(part):
                    answers += [APPLIED] * len(part)
                    continue
                reply = await self._applied(part)
                # Of settles that were all applied that is all that is said.
                answers += [APPLIED] * len(part) if reply == 0 else map(answer_of, reply)
            return answers
        if len(transitions) == 1:
            messages = transitions[0].publish
            return await self._taken_in(messages, await self._run(*self._sending(messages)))
        parts: list[list[Message]] = []

        def runs() -> Iterator[RunOf]:
            # While the server is busy with some messages, the next are made ready.
            for part in parts_of(transitions):
                parts.append([each.publish[0] for each in part])
                yield self._sending(parts[-1])

        replies = await self._link.run_all(self._keys, runs()) if transitions else []
        told = [await self._taken_in(*each) for each in zip(parts, replies, strict=True)]
        return [answer for answers in told for answer in answers]

    async def _all_new(self, part: Sequence[Transition]) -> bool:
        """Take in simple messages whose guards all hold, if these are such; else do nothing."""
        found = fresh([each.publish[0] for each in part]) if all(map(is_guarded, part)) else None
        if found is None:
            return False
        told = channel(self._link.address.namespace, queue_name(found.queue))
        absent = [key for each in part for key in each.expect]
        return bool(await self._run(_SEND_MANY, encode_send_many(found, told, absent)))

    async def _taken_in(self, messages: Sequence[Message], reply: Any) -> list[Answer]:
        """Return the answers that a script for messages has given; of a short one 1 says it all."""
        if reply == 1:
            return [APPLIED] * len(messages)
        return [*map(answer_of, reply or await self._run(_PUBLISH, encode_messages(messages)))]

    def _sending(self, messages: Sequence[Message]) -> RunOf:
        """Choose the script: for simple messages there are two that do no more than those need."""
        found = fresh(messages)
        if found is None:
            return _PUBLISH, encode_messages(messages)
        told = channel(self._link.address.namespace, queue_name(found.queue))
        if len(messages) == 1:
            return _SEND, encode_send(found, told)
        return _SEND_MANY, encode_send_many(found, told)

    async def _applied(self, part: Sequence[Transition]) -> Any:
        """Run the script for a part; what may ready the next takes a claim that waits for it along."""
        script, args = _asked(part)
        rider = self._stop.board() if any(each.arrive for each in part) else None
        if rider is None:
            return await self._run(script, args)
        brought, seen = None, self._link.seen(rider.names)
        try:
            answers, *found = await self._run(_COMMIT_AND_CLAIM, [*args, *rider.args])
            brought = found[0] if found and found[0][1] else None
        finally:
            if brought is None:
                rider.left_out()
        if brought is not None:
            rider.arrive(brought, {name: count + 1 for name, count in seen.items()})
            self._link.stir(rider.names)
        return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        if not claims:
            return []
        deadline = time.monotonic() + wait
        rider = Rider(
            _claim_args(claims, holder, lease),
            list(dict.fromkeys(queue_name(claim.queue) for claim in claims)),
        )
        reply, seen = await self._rest(claims, rider, deadline) if wait > 0 else (None, {})
        while True:
            if reply is None:
                seen = self._link.seen(rider.names)
                reply = await self._run(_CLAIM, rider.args)
            soon, found = self._claimed(reply, seen, claims, holder)
            left = deadline - time.monotonic()
            if found or (soon > 0 and left <= 0):
                return found
            reply, seen = await self._rest(claims, rider, deadline) if soon > 0 else (None, {})

    async def _rest(
        self, claims: Sequence[Claim], rider: Rider, deadline: float
    ) -> tuple[Any, Seen]:
        """Wait until there may be something for these claims; at once where that is not known.

        Returns what a commit of this very backend has brought meanwhile.
        """
        empty = self._empty
        now = time.monotonic()
        if now >= empty.until or not empty.asked.issuperset(map(_asked_for, claims)):
            return None, {}
        timeout = min(deadline, empty.until, now + POLL) - now
        if stepping():
            await self._link.wait(rider.names, timeout, empty.seen)
            return None, {}
        self._stop.enter(rider)
        try:
            await self._link.wait(rider.names, timeout, empty.seen)
        finally:
            self._stop.leave(rider)
        return await rider.brought()

    def _claimed(
        self, reply: Any, seen: Seen, claims: Sequence[Claim], holder: str
    ) -> tuple[float, list[Delivery]]:
        raw, states, messages, changed = reply
        soon = float(raw)
        # Something that is due and still cannot be claimed must not turn a wait into a spin.
        until = time.monotonic() + max(soon, _SHORTEST_WAIT) if soon > 0 else 0.0
        self._empty = _Empty(frozenset(map(_asked_for, claims)), until, seen)
        bodies = dict(zip(changed[::2], changed[1::2], strict=True))
        found = [
            delivery_of(state, raw, bodies.get(at), holder)
            for at, (state, raw) in enumerate(zip(states, messages, strict=True), 1)
        ]
        return soon, found

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        held: list[Held] = []
        for start in range(0, len(fences), MAX_BATCH):
            args: Args = [repr(lease)]
            for fence in fences[start : start + MAX_BATCH]:
                args += (fence.id, fence.attempt, fence.holder)
            held += [_HELD[answer] for answer in await self._run(_EXTEND, args)]
        return held

    async def lifeline(self, holder: str) -> str | None:
        return None  # nobody but the server's clock knows here who is alive

    async def declare(self, limits: Sequence[Limit]) -> None:
        args: Args = []
        for limit in limits:
            rate = "" if limit.rate is None else repr(limit.rate)
            in_flight = "" if limit.in_flight is None else limit.in_flight
            args += (limit.name, in_flight, rate, limit.burst)
        await self._run(_DECLARE, args)

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        found = await self._run(_METERS, names) if names else []
        return [meter_of(name, each) for name, each in zip(names, found, strict=True)]

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        found = await self._run(_GET, keys) if keys else []
        return [record_of(key, each) for key, each in zip(keys, found, strict=True)]

    async def _jobs(self, ids: Sequence[str]) -> list[JobRecord]:
        found = await self._run(_GET, [job_key(job_id) for job_id in ids]) if ids else []
        return [job_of(*each)[0] for each in found if each]

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        found = await self._run(_SCAN, [prefix, after, limit])
        records = [
            record_of(key.decode(), raw) for key, raw in zip(found[::2], found[1::2], strict=True)
        ]
        return [record for record in records if record]

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        first, found = await self._run(_READ, [log, after, limit])
        return [entry_of(offset, each) for offset, each in enumerate(found, first)]

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        return [job_of(*each)[0] for each in await self._run(_PEEK, [queue, limit])]

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        if queues is not None and not queues:
            return []
        found = await self._run(_STATS, [cap, *(queues or ())])
        return [
            QueueStats(
                queue=queue.decode(),
                ready=ready,
                delayed=delayed,
                leased=leased,
                oldest_due=None if oldest is None else float(oldest),
            )
            for queue, ready, delayed, leased, oldest in found
        ]

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        return await self._looks.search(which, before, limit)

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        return await self._looks.count(which, cap)

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        return await self._looks.causes(which, limit)

    async def prune(self, keep: Keep, limit: int) -> int:
        done = 0
        while (part := min(_STEP, limit - done)) > 0:
            args: list[Any] = [keep.newest, repr(keep.failure), failure_bytes(NOT_STARTED), part]
            args += keep.noted
            changed = int(await self._run(_PRUNE, args))
            done += changed
            if changed < part:
                break
        return done

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        return await self._link.wait(names, timeout)


def _asked(part: Sequence[Transition]) -> tuple[Script, Args]:
    """The script for a part of a commit: what is usual has one of its own, which begins quicker."""
    if all(map(is_message, part)):
        return _PUBLISH, encode_messages([each.publish[0] for each in part])
    if all(map(is_settle, part)):
        return _SETTLE, encode_settles(part)
    return _COMMIT, encode(part)


def _asked_for(claim: Claim) -> tuple[object, ...]:
    """What a claim is for, whatever the number."""
    return (claim.queue, claim.lowest, claim.highest, frozenset(claim.wanted))


def _claim_args(claims: Sequence[Claim], holder: str, lease: float) -> Args:
    args: Args = [holder, repr(lease), repr(AGEING), CHARGED_AFTER, len(claims)]
    for claim in claims:
        kinds = "".join(LETTERS[kind] for kind in dict.fromkeys(claim.wanted))
        args += (claim.queue, claim.n, claim.lowest, claim.highest, kinds)
    return args


def entry_of(offset: int, raw: bytes) -> Entry:
    """Make an entry of a log of how it is kept: its time, and its value."""
    (appended,) = _TIME.unpack_from(raw)
    return Entry(offset, raw[8:], appended)


def meter_of(name: str, fields: Sequence[bytes | None]) -> Meter:
    """Make a meter of how it is kept."""
    in_flight, rate, burst, leased, spent = fields
    limit = Limit(
        name=name,
        in_flight=None if in_flight is None else int(in_flight),
        rate=None if rate is None else float(rate),
        burst=int(burst or 1),
    )
    return Meter(limit, leased=int(leased or 0), spent=float(spent or 0.0))
