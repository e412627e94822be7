"""Changes of many jobs that go on by themselves: seen by everybody, stopped by whoever may.

An operation is a record in the store with how far it came. One process carries it on, batch by batch, and
looks at the record after each; who wants it stopped, or takes it over, writes there. What it has done to a
job is safe whatever becomes of the process: it can be resumed, and no job is changed twice.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.bulk import Plan, change, left_over
from ropeway.config import Settings
from ropeway.errors import OperationNotFound, Refused
from ropeway.message import JobRecord
from ropeway.operate.audit import noted
from ropeway.operate.operator import ACTION_OF, MEANT, JobVerb, Operator
from ropeway.searching import Query, parse
from ropeway.store import Backend, Store
from ropeway.transition import Put, Record, Transition
from ropeway.words import iso

PREFIX = "operation/"
KEPT = 7 * 86_400.0
"""Seconds for which an operation is on record after its last step."""

SILENT = 15.0
"""Seconds after which an operation that tells nothing has lost its process."""

CAP = 1_000_000
"""So many jobs one operation changes at most."""

STEP = 200
"""Jobs that are changed between two looks at whether it shall stop."""

_LAST = 10**16 - 1  # the end of time, in microseconds, so that ids count backwards

Status = Literal["running", "done", "stopped", "interrupted"]
View = Literal["running", "done", "stopped", "interrupted", "silent"]

_encode = msgspec.msgpack.encode


class Operation(Struct, frozen=True, kw_only=True):
    """What is to become of which jobs, who wanted it, and how far it came.

    `holder` is the process that carries it on; `heard` is when that last told something. The newest jobs are
    changed first: those `before` an id are left, of the state with the number `place`.
    """

    id: str
    verb: JobVerb
    search: str
    by: str
    via: str
    at: float
    expected: int
    holder: str
    heard: float
    most: int = CAP
    why: str = ""
    status: Status = "running"
    stopped_by: str = ""
    place: int = 0
    before: str | None = None
    found: int = 0
    done: int = 0
    skipped: dict[str, int] = {}
    sample: tuple[str, ...] = ()

    def view(self, now: float) -> View:
        """Return how it is to people: one whose process is gone is `silent`."""
        if self.status == "running" and now - self.heard > SILENT:
            return "silent"
        return self.status

    @property
    def is_counted(self) -> bool:
        """Whether it is known of how many: a dry run counts so far, and the rest shows at the end."""
        return self.status != "running" or self.found < self.expected

    @property
    def in_words(self) -> str:
        """What it has done, for the audit log."""
        by = f" by {self.stopped_by}" if self.stopped_by else ""
        ending = "" if self.status == "done" else f"; {self.status}{by}"
        return f"{self.done} of {self.found}{left_over(self.skipped)}{ending}"


async def begin(
    store: Store,
    verb: JobVerb,
    search: str,
    *,
    by: str,
    via: str,
    why: str,
    expected: int,
    most: int,
) -> Operation:
    """Put an operation on record; somebody has to `carry` it."""
    now = await store.now()
    made = Operation(
        id=f"{_LAST - int(now * 1e6):016d}-{secrets.token_hex(3)}",
        verb=verb,
        search=search,
        by=by,
        via=via,
        why=why,
        at=now,
        heard=now,
        expected=expected,
        most=min(most, CAP),
        holder=secrets.token_hex(8),
    )
    await store.commit([Transition(put=(Put(PREFIX + made.id, _encode(made), ttl=KEPT),))])
    return made


async def operations(store: Store, limit: int = 50) -> list[Operation]:
    """Return the newest operations, newest first."""
    return [_read(each) for each in await store.scan(PREFIX, limit=limit)]


async def operation(store: Store, wanted: str) -> Operation:
    """Return one operation; raises `OperationNotFound`."""
    return (await _seen(store, wanted))[0]


async def stop(store: Store, wanted: str, *, by: str, via: str) -> Operation:
    """Have an operation stop after the batch that it is at; raises `Refused` if it has ended."""
    async with noted(store, "operations.stop", wanted, by=by, via=via):
        while True:
            seen, version = await _seen(store, wanted)
            if seen.status != "running":
                raise Refused(f"the operation is {seen.status}", hint="there is nothing to stop")
            now = await store.now()
            status: Status = "stopped" if seen.view(now) == "silent" else "running"
            wished = replace(seen, stopped_by=by, status=status)
            if await _written(store, wished, version):
                return wished


async def take_over(store: Store, wanted: str, *, by: str, via: str) -> Operation:
    """Have an operation go on that was stopped, or has lost its process; somebody has to `carry` it."""
    async with noted(store, "operations.resume", wanted, by=by, via=via):
        while True:
            seen, version = await _seen(store, wanted)
            now = await store.now()
            if seen.view(now) in {"running", "done"}:
                raise Refused(f"the operation is {seen.status}", hint="there is nothing to resume")
            mine = replace(
                seen,
                holder=secrets.token_hex(8),
                heard=now,
                status="running",
                stopped_by="",
            )
            if await _written(store, mine, version):
                return mine


async def carry(
    store: Backend, settings: Settings, mine: Operation, leaving: Callable[[], bool]
) -> Operation:
    """Go on with an operation until it is done, stopped or another's, or this process is `leaving`."""
    operator = Operator(store, settings, by=mine.by, via=mine.via)
    query, plan = parse(mine.search, mine.at), await operator.plan(mine.verb)
    target = f"all of {mine.search!r}" if mine.search else "all"
    async with noted(
        store, ACTION_OF[mine.verb], target, by=mine.by, via=mine.via, why=mine.why
    ) as deed:
        now = mine
        while now.status == "running":
            now = (
                replace(now, status="interrupted")
                if leaving()
                else await _step(store, now, query, plan)
            )
            now = await _told(store, now)
        deed.told = now.in_words
    return now


async def _step(store: Backend, now: Operation, query: Query, plan: Plan) -> Operation:
    """Change one batch; what comes of it is not on record yet."""
    asked = query.filter.state
    states = MEANT[now.verb] if asked is None else (asked,)
    if now.place >= len(states) or now.done >= now.most:
        return replace(now, status="done")
    page = await store.search(replace(query.filter, state=states[now.place]), now.before, STEP)
    meant = [job.message.id for job in page.jobs if _meant(now, query, job)]
    ids = meant[: now.most - now.done]
    done = await change(store, ids, plan)
    older = ids[-1] if len(ids) < len(meant) else page.older
    return replace(
        now,
        found=now.found + done.found,
        done=now.done + done.done,
        skipped=dict(Counter(now.skipped) + Counter(done.skipped)),
        sample=now.sample or done.sample,
        before=older,
        place=now.place + (older is None),
    )


def _meant(now: Operation, query: Query, job: JobRecord) -> bool:
    """Whether a job is one of those that the search found when the operation began.

    One that was sent since is not; one that has ended since may have been changed by the operation,
    before its process was lost.
    """
    if job.enqueued > now.at or (job.finished is not None and job.finished > now.at):
        return False
    return not query.tests or query.meant(job, now.at)


async def _told(store: Store, now: Operation) -> Operation:
    """Put on record how far it came; returns it with what others wish, or as another's."""
    while True:
        seen, version = await _seen(store, now.id)
        if seen.holder != now.holder:
            return seen if seen.status != "running" else replace(seen, status="interrupted")
        if seen.stopped_by and now.status == "running":
            now = replace(now, status="stopped")
        now = replace(now, stopped_by=seen.stopped_by, heard=await store.now())
        if await _written(store, now, version):
            return now


async def _seen(store: Store, wanted: str) -> tuple[Operation, int]:
    (record,) = await store.get([PREFIX + wanted])
    if record is None:
        raise OperationNotFound(f"there is no operation {wanted}", hint="ropeway operations ls")
    return _read(record), record.version


async def _written(store: Store, now: Operation, version: int) -> bool:
    key = PREFIX + now.id
    wanted = Transition(expect={key: version}, put=(Put(key, _encode(now), ttl=KEPT),))
    return (await store.commit([wanted]))[0].ok


def _read(record: Record) -> Operation:
    return msgspec.msgpack.decode(record.value, type=Operation)


def summary(each: Operation, now: float) -> dict[str, Any]:
    """Return an operation for programs."""
    return {
        "id": each.id,
        "action": ACTION_OF[each.verb],
        "q": each.search,
        "by": each.by,
        "via": each.via,
        "why": each.why,
        "begun": iso(each.at),
        "heard": iso(each.heard),
        "state": each.view(now),
        "expected": each.expected,
        "most": each.most,
        "found": each.found,
        "done": each.done,
        "skipped": each.skipped,
        "sample": list(each.sample),
        "stopped_by": each.stopped_by or None,
    }
