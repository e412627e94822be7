"""The workers of a store: who is there, what each is doing, and how it is told what to do.

A worker keeps a record of itself, which ends by itself when the worker does not renew it. A command
is a record that the worker waits for; its answer is another. Any backend will do.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec
from msgspec import Struct

from ropeway.errors import WorkerNotFound, WorkerSilent
from ropeway.ids import new_id
from ropeway.source import Stores
from ropeway.stepping import refuse_on_loop, step
from ropeway.store import WORKERS, Store
from ropeway.transition import Drop, Put, Transition

HEARTBEAT = 10.0
"""Seconds between two writes of a worker's record while nothing changes."""

FORGOTTEN = 30.0
"""Seconds after its last write for which the record of a dead worker stays."""

ANSWERED = 60.0
"""Seconds for which an answer waits to be read."""

_COMMANDS, _ANSWERS = "command/", "answer/"

Doing = Literal["starting", "consuming", "quiet", "draining", "waiting"]
Verb = Literal["quiet", "resume", "stop", "stop_now", "stack"]


class WorkerRecord(Struct, frozen=True, kw_only=True):
    """What a worker says of itself; `heard` is when it said so, by the store's clock.

    `why` is a sentence when it is not consuming. `queues` is None for every queue, `offers`
    are amounts of named resources. `tasks` holds
    the digest of each task's signature, and `code` one of the files in which the tasks are: it
    differs between versions of the code. `slots` and `busy` count calls by kind, and `children`
    are the pids of the processes that run them.
    """

    holder: str
    host: str
    pid: int
    version: str
    python: str
    app: str
    code: str
    started: float
    heard: float
    state: Doing
    why: str = ""
    queues: tuple[str, ...] | None = None
    offers: dict[str, int] = {}
    tasks: dict[str, str] = {}
    slots: dict[str, int] = {}
    busy: dict[str, int] = {}
    children: tuple[int, ...] = ()
    settled: int = 0


class Command(Struct, frozen=True, kw_only=True):
    """Something that one worker is told to do."""

    id: str
    verb: Verb


class Reply(Struct, frozen=True, kw_only=True):
    """What came of a command: a text, for `stack`, or an error in words."""

    text: str = ""
    error: str = ""


_encode = msgspec.msgpack.encode


# -- the worker's side --------------------------------------------------------------------


def bell(holder: str) -> str:
    """Return the name that a worker waits for, to hear of commands."""
    return _COMMANDS + holder


async def announce(store: Store, record: WorkerRecord) -> None:
    """Write a worker's record, and have it last a while."""
    put = Put(WORKERS + record.holder, _encode(record), ttl=FORGOTTEN)
    await store.commit([Transition(put=(put,))])


async def withdraw(store: Store, holder: str) -> None:
    """Remove a worker's record: it has ended."""
    await store.commit([Transition(drop=(Drop(WORKERS + holder),))])


async def commands(store: Store, holder: str) -> list[Command]:
    """Return what this worker was told and has not answered, oldest first."""
    found = await store.scan(f"{_COMMANDS}{holder}/")
    return [msgspec.msgpack.decode(record.value, type=Command) for record in found]


async def answer(store: Store, holder: str, command: Command, reply: Reply) -> None:
    """Answer a command, which is over then."""
    put = Put(_ANSWERS + command.id, _encode(reply), ttl=ANSWERED)
    drop = Drop(f"{_COMMANDS}{holder}/{command.id}")
    await store.commit([Transition(put=(put,), drop=(drop,))])


# -- the user's side ----------------------------------------------------------------------


async def on_record(store: Store) -> list[WorkerRecord]:
    """List the workers, by holder: those that run, or have died in the last 30 seconds."""
    found: list[WorkerRecord] = []
    page = await store.scan(WORKERS)
    while page:
        found += [_read(record.key, record.value) for record in page]
        page = await store.scan(WORKERS, page[-1].key)
    return found


async def holders(store: Store, limit: int) -> list[str]:
    """Return the names of the first workers on record, at most `limit`."""
    return [each.key.removeprefix(WORKERS) for each in await store.scan(WORKERS, limit=limit)]


class Workers:
    """The workers that share a store: `app.workers`.

    A worker is named by its holder, or by the start of it, if no other worker's begins so. What is
    told to a worker is answered by it, when it has done so; `WorkerSilent` says that no answer came
    in `timeout` seconds. A command that was not heard by then is void.
    """

    def __init__(self, source: Stores) -> None:
        self._source = source

    def ls(self) -> list[WorkerRecord]:
        """List the workers, by holder: those that run, or have died in the last 30 seconds."""
        return step(self.als())

    async def als(self) -> list[WorkerRecord]:
        """List the workers, by holder: those that run, or have died in the last 30 seconds."""
        return await on_record(self._source.store)

    def get(self, start: str) -> WorkerRecord:
        """Return the only worker whose holder begins with `start`; raises `WorkerNotFound`."""
        return step(self.aget(start))

    async def aget(self, start: str) -> WorkerRecord:
        """Return the only worker whose holder begins with `start`; raises `WorkerNotFound`."""
        workers = await self.als()
        found = [each for each in workers if each.holder.startswith(start)]
        exact = [each for each in found if each.holder == start]
        if len(exact or found) == 1:
            return (exact or found)[0]
        listed = ", ".join(each.holder for each in found or workers) or "none"
        what = "several workers' names begin" if found else "no worker's name begins"
        raise WorkerNotFound(f"{what} with {start!r}", hint=f"there are: {listed}")

    def quiet(self, start: str, timeout: float = 10.0) -> None:
        """Have a worker claim nothing more; what it holds is finished, and it stays."""
        refuse_on_loop("quiet", "workers.aquiet")
        return step(self.aquiet(start, timeout))

    async def aquiet(self, start: str, timeout: float = 10.0) -> None:
        """Have a worker claim nothing more; what it holds is finished, and it stays."""
        await self._tell(start, "quiet", timeout)

    def resume(self, start: str, timeout: float = 10.0) -> None:
        """Have a quiet worker claim again."""
        refuse_on_loop("resume", "workers.aresume")
        return step(self.aresume(start, timeout))

    async def aresume(self, start: str, timeout: float = 10.0) -> None:
        """Have a quiet worker claim again."""
        await self._tell(start, "resume", timeout)

    def stop(self, start: str, timeout: float = 10.0, *, now: bool = False) -> None:
        """Have a worker end as SIGTERM does, or SIGQUIT if `now`; this waits for it to begin."""
        refuse_on_loop("stop", "workers.astop")
        return step(self.astop(start, timeout, now=now))

    async def astop(self, start: str, timeout: float = 10.0, *, now: bool = False) -> None:
        """Have a worker end as SIGTERM does, or SIGQUIT if `now`; this waits for it to begin."""
        await self._tell(start, "stop_now" if now else "stop", timeout)

    def stack(self, start: str, timeout: float = 10.0) -> str:
        """Return what every thread and coroutine of a worker and its children is doing."""
        refuse_on_loop("stack", "workers.astack")
        return step(self.astack(start, timeout))

    async def astack(self, start: str, timeout: float = 10.0) -> str:
        """Return what every thread and coroutine of a worker and its children is doing."""
        return await self._tell(start, "stack", timeout)

    async def _tell(self, start: str, verb: Verb, timeout: float) -> str:
        holder, store = (await self.aget(start)).holder, self._source.store
        command = Command(id=new_id(), verb=verb)
        told = Put(f"{_COMMANDS}{holder}/{command.id}", _encode(command), ttl=timeout)
        ring = Put(bell(holder), b"", ttl=FORGOTTEN)
        await store.commit([Transition(put=(told, ring))])
        key, deadline = _ANSWERS + command.id, time.monotonic() + timeout
        while True:
            (record,) = await store.get([key])
            if record is not None:
                break
            if (left := deadline - time.monotonic()) <= 0:
                raise WorkerSilent(
                    f"worker {holder} has not answered for {timeout:.0f} s",
                    hint="it is dead, stopped, or cannot reach the store; its log says which",
                )
            await store.wait([key], left)
        reply = msgspec.msgpack.decode(record.value, type=Reply)
        if reply.error:
            raise WorkerSilent(f"worker {holder} could not do it: {reply.error}")
        return reply.text


def _read(key: str, value: bytes) -> WorkerRecord:
    """Read a record; one that another version wrote otherwise is still a worker."""
    try:
        return msgspec.msgpack.decode(value, type=WorkerRecord)
    except msgspec.DecodeError:
        return WorkerRecord(
            holder=key.removeprefix(WORKERS),
            host="?",
            pid=0,
            version="?",
            python="?",
            app="?",
            code="?",
            started=0.0,
            heard=0.0,
            state="waiting",
            why="its record cannot be read: it is of another version",
        )
