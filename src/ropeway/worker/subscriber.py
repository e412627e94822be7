"""Who holds a cursor: reads what lies behind it, has the handler run, and moves it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from msgspec.structs import replace

from ropeway.errors import RopewayError
from ropeway.executor import NotRun
from ropeway.ids import new_id
from ropeway.message import Fence, JobRecord, Message, Outcome, job_key
from ropeway.states import State
from ropeway.store import Backend, log_name
from ropeway.topics.declaring import driver_message
from ropeway.topics.delivery import MOST_PARKED, Fact, Handler, Window
from ropeway.topics.events import stored_of
from ropeway.topics.records import (
    Cursor,
    SubscriptionRecord,
    decode_cursor,
    decode_subscription,
    encode,
    subscription_key,
    wants,
)
from ropeway.transition import Answer, Drop, Finish, Put, Settle, Transition
from ropeway.worker.drain import either
from ropeway.worker.lanes import BEHIND, Lanes

log = logging.getLogger("ropeway.worker")

_READ = 200
_TURN = (1.0, 3.0)
"""Seconds after which a cursor with a long backlog is given back, if its process holds others too."""

_IDLE = 5.0
"""Seconds after which it looks by itself, for a hint may be lost."""

_FULL = 1.0
"""Seconds after which it looks whether what has become jobs is done."""

RunOf = Callable[[Cursor, Fact], Coroutine[Any, Any, float | None]]
"""Runs the handler for an event of a cursor, as `Run` does."""

_SETTLED = Outcome(ending="settled")
_GIVEN_BACK = Outcome(ending="interrupted")
_LATER = Outcome(ending="interrupted", after=1.0)
_DONE = Finish(State.SUCCEEDED, keep=0.0)
_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


class Subscriber:
    """Holds one cursor for one attempt of its message, until it is told to `stop`.

    A coroutine function is run here, by `run`, many events at once; without it every event becomes
    a job of its own, in order. What fails becomes one too, and what comes after it of its key.
    Whoever finds a cursor that was not left cleanly does not run again what may have ended its
    holder: it makes jobs of that, for which a death is found out and charged as for any other.
    `alone` tells whether this process holds no other cursor.
    """

    def __init__(
        self,
        store: Callable[[], Backend],
        fence: Fence,
        key: str,
        handler: Handler,
        run: RunOf | None,
        alone: Callable[[], bool],
    ) -> None:
        self._alone, self._turn = alone, time.monotonic() + random.uniform(*_TURN)
        self._source, self._fence, self._key, self._handler = store, fence, key, handler
        self._stop = asyncio.Event()
        self._lanes = None if run is None else Lanes(lambda fact: run(self._cursor, fact))
        self._cursor: Cursor
        self._version = 0
        self._window: Window
        self._wanted: SubscriptionRecord
        self._parked: list[tuple[Fact, Message]] = []

    def stop(self) -> None:
        """Begin nothing more, and give the cursor back when what runs has ended."""
        self._stop.set()

    async def work(self) -> None:
        """Hand out events for ever. What it raises, always, says how its message is to be settled."""
        try:
            if await self._load():
                await self._deliver()
        except RopewayError as error:
            log.warning("%s: %s; it is given back", self._key, error.fact)
            raise NotRun(_LATER) from error
        finally:
            if self._lanes is not None:
                self._lanes.cancel()
        # There is nothing to hold any more: it was removed, or has come to its end.
        raise NotRun(_SETTLED if await self._commit_end() else _GIVEN_BACK)

    @property
    def _store(self) -> Backend:
        return self._source()

    async def _load(self) -> bool:
        """Read how far the cursor is; False if it is gone, or belongs to another message."""
        task = self._handler.task.name
        cursor, wanted = await self._store.get([self._key, subscription_key(task)])
        if cursor is None or wanted is None:
            return False
        self._cursor, self._version = decode_cursor(cursor.value), cursor.version
        self._wanted = decode_subscription(wanted.value)
        self._window = Window(self._cursor)
        return self._cursor.job == self._fence.id

    async def _deliver(self) -> None:
        if not self._cursor.clean:
            await self._make_jobs_of_what_was_cut_off()
        if self._lanes is not None:
            await self._move(clean=False)
        while not self._is_over():
            if self._stop.is_set():
                await self._leave()
            read = 0 if self._is_full() else await self._read()
            if self._lanes is not None and self._lanes.busy:
                await asyncio.sleep(0)
            if self._has_news():
                await self._move()
            elif not read:
                await self._rest()
            if read == _READ:
                self._take_turns()

    def _take_turns(self) -> None:
        """Give a long backlog back after a while, where it is one of several: another may be idle."""
        idle = self._lanes is None or not self._lanes.busy
        if idle and not self._alone() and time.monotonic() > self._turn:
            self._stop.set()

    async def _leave(self) -> None:
        """Let what runs end, note that, and give the cursor back to whoever comes next."""
        while self._lanes is not None and self._lanes.busy:
            await self._lanes.changed.wait()
            self._lanes.changed.clear()
        self._collect()
        await self._commit(replace(self._moved(), clean=True))
        raise NotRun(_GIVEN_BACK)

    def _is_over(self) -> bool:
        until = self._cursor.until
        return until is not None and self._cursor.offset >= until

    def _is_full(self) -> bool:
        return self._window.room <= 0 or len(self._cursor.parked) >= MOST_PARKED

    def _has_news(self) -> bool:
        self._collect()
        return self._window.moved(self._cursor) != self._cursor or bool(self._parked)

    # -- reading --------------------------------------------------------------------------

    async def _read(self) -> int:
        """Begin the events that there is room for; returns how many entries were read."""
        window, limit = self._window, min(_READ, self._window.room)
        if self._cursor.until is not None:
            limit = min(limit, self._cursor.until - window.next)
        if limit <= 0:
            return 0
        entries = await self._store.read(self._cursor.log, window.next, limit)
        if entries and entries[0].offset > window.next + 1:
            self._note_gap(window.next + 1, entries[0].offset - 1)
        facts: list[Fact] = []
        for entry in entries:
            if self._cursor.until is not None and entry.offset > self._cursor.until:
                window.skip(self._cursor.until)
                break
            before = window.is_done(entry.offset)
            window.begin(entry.offset)
            stored = stored_of(entry)
            if before or stored is None or not wants(self._wanted, stored.headers):
                window.end(entry.offset)
            else:
                facts.append(Fact(entry, stored))
        await self._begin(facts)
        return len(entries)

    def _note_gap(self, first: int, last: int) -> None:
        self._window.skip(last)
        missed = self._cursor.missed + last - first + 1
        self._cursor = replace(self._cursor, missed=missed, gap=(first, last))
        log.error(
            "%s has missed events %d to %d of topic %s: they were removed before it read them",
            self._cursor.subscription,
            first,
            last,
            self._cursor.topic,
        )

    async def _begin(self, facts: list[Fact]) -> None:
        self._collect()
        keys = {each.stored.key for each in facts} & self._cursor.parked.keys()
        if keys:
            await self._free([key for key in keys if key is not None])
            self._collect()  # what has failed meanwhile goes before what comes now
        for fact in facts:
            if self._lanes is None or fact.stored.key in self._cursor.parked:
                self._make_job(fact, None)
            else:
                self._lanes.add(fact)

    async def _free(self, names: list[str]) -> set[str]:
        """Forget what has become jobs that are done; returns the names of those."""
        parked = self._cursor.parked
        records = await self._store.get([job_key(parked[name]) for name in names])
        over = {
            name
            for name, record in zip(names, records, strict=True)
            if record is None or _decode_job(record.value).state.final
        }
        unwritten = {message.id for _, message in self._parked}
        over = {name for name in over if parked[name] not in unwritten}
        if over:
            left = {name: job for name, job in parked.items() if name not in over}
            self._cursor = replace(self._cursor, parked=left)
        return over

    # -- what has ended -------------------------------------------------------------------

    def _collect(self) -> None:
        """Take in what has ended in the lanes."""
        if self._lanes is None:
            return
        for fact, delay in self._lanes.take():
            if delay is None:
                self._window.end(fact.offset)
            else:
                self._make_job(fact, None if delay == BEHIND else delay)

    def _make_job(self, fact: Fact, delay: float | None) -> None:
        message = self._handler.parked(self._cursor, fact, delay)
        name = fact.stored.key or message.id
        self._cursor = replace(self._cursor, parked=self._cursor.parked | {name: message.id})
        self._parked.append((fact, message))
        self._window.end(fact.offset)

    async def _make_jobs_of_what_was_cut_off(self) -> None:
        """Somebody died, or was cut off, in the middle of these, perhaps by what one of them did.

        The message of the cursor is made anew, so that deaths it is not to blame for do not count.
        """
        lanes, self._lanes = self._lanes, None
        await self._read()
        self._lanes = lanes
        cursor = replace(self._moved(), clean=True, job=new_id())
        message = driver_message(cursor, self._wanted.queue, self._wanted.band)
        await self._commit(cursor, (message,), _DONE)
        raise NotRun(_SETTLED)

    # -- writing --------------------------------------------------------------------------

    def _moved(self) -> Cursor:
        return self._window.moved(self._cursor)

    async def _move(self, *, clean: bool | None = None) -> None:
        cursor = self._moved()
        await self._commit(cursor if clean is None else replace(cursor, clean=clean))

    async def _commit(
        self, cursor: Cursor, more: tuple[Message, ...] = (), settle: Settle | None = None
    ) -> None:
        """Move the cursor, and publish what has become jobs, unless somebody else holds it."""
        parked, self._parked = self._parked, []
        messages = [message for _, message in parked]
        while True:
            transition = Transition(
                fence=self._fence,
                expect={self._key: self._version},
                put=(Put(self._key, encode(cursor)),),
                publish=(*messages, *more),
                settle=settle,
            )
            (answer,) = await self._store.commit([transition])
            if answer.reason != "duplicate":
                break
            # It has become a job before, of an earlier version of this code perhaps.
            messages = [each for each in messages if job_key(each.id) != answer.key]
        self._refuse(answer)
        self._cursor = cursor
        self._version = answer.versions.get(self._key, self._version)

    def _refuse(self, answer: Answer) -> None:
        if answer.ok:
            return
        if answer.reason != "conflict":
            log.warning("%s: another worker has taken it over", self._key)
        # Else it was set back or forth, by a person: whoever comes next goes on from there.
        raise NotRun(_GIVEN_BACK)

    async def _commit_end(self) -> bool:
        """Settle the message for good, with the record of a replay that is over."""
        (record,) = await self._store.get([self._key])
        drop: tuple[Drop, ...] = ()
        expect: dict[str, int] = {}
        if record is not None and decode_cursor(record.value).job == self._fence.id:
            drop, expect = (Drop(self._key),), {self._key: record.version}
        end = Transition(fence=self._fence, expect=expect, drop=drop, settle=_DONE)
        (answer,) = await self._store.commit([end])
        return answer.ok

    # -- waiting --------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Wait for more to read, for an end in the lanes, or to be told to stop."""
        waits: list[Coroutine[Any, Any, object]] = [self._stop.wait()]
        if self._lanes is not None and self._lanes.busy:
            waits.append(self._lanes.changed.wait())
        if len(self._cursor.parked) >= MOST_PARKED:
            waits.append(self._room())
        elif self._window.room > 0:
            names = [log_name(self._cursor.log), self._key]
            waits.append(self._hint(names))
        await either(*waits)
        if self._lanes is not None:
            self._lanes.changed.clear()

    async def _hint(self, names: list[str]) -> None:
        told = await self._store.wait(names, _IDLE)
        if self._key in told:
            (record,) = await self._store.get([self._key])
            if record is None or record.version != self._version:
                self._stop.set()

    async def _room(self) -> None:
        """Wait until some of what has become jobs is done: as many at once are enough."""
        names = list(self._cursor.parked)
        if not await self._free(names):
            first = [job_key(self._cursor.parked[name]) for name in names[:50]]
            await self._store.wait(first, _FULL)
