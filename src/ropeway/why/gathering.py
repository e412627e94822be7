"""Gathers the facts of one job from a backend, at the price of a few looks, however much waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ropeway.claims import AGEING
from ropeway.control import on_record
from ropeway.errors import Unsupported
from ropeway.limiting import in_force
from ropeway.message import SOLO_AFTER, JobRecord, solo_key, solo_mark
from ropeway.pauses import holding, paused
from ropeway.resources import split
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.why.facts import COUNTED, Facts, Line, Use

LOOKED_AT = 1_000
"""So many jobs that wait, and that run, are looked at."""

_SAMPLE, _LATELY = 100, 60.0


async def gather(backend: Backend, job: JobRecord) -> Facts:
    """Look at all that may tell why a job is not running; of what runs or has ended, at little."""
    now = await backend.now()
    if job.state.final:
        return Facts(now=now, job=job)
    workers = tuple(await on_record(backend))
    if job.state is State.RUNNING:
        began = await _began(backend, job)
        return Facts(now=now, job=job, workers=workers, began_alone=began)
    waiting = await _waiting(backend, job.message.queue)
    return Facts(
        now=now,
        job=job,
        workers=workers,
        pause=holding(await paused(backend), job.message.queue),
        first=await _first(backend, job, waiting or []),
        limits=await _limits(backend, job),
        used=await _used(backend, job),
        line=None if waiting is None else await _line(backend, job, waiting, now),
    )


async def _began(backend: Backend, job: JobRecord) -> bool:
    if job.abandoned < SOLO_AFTER:
        return True
    (mark,) = await backend.get([solo_key(job.message.id)])
    return mark is not None and mark.value == solo_mark(job.attempt)


async def _waiting(backend: Backend, queue: str) -> list[JobRecord] | None:
    try:
        return await backend.peek(queue, LOOKED_AT)
    except Unsupported:  # where looking changes what is looked at
        return None


async def _running(backend: Backend, queue: str | None) -> tuple[list[JobRecord], bool]:
    """Return what runs, and whether that is all of it."""
    if not backend.capabilities.search:
        return [], False
    found = await backend.search(Filter(state=State.RUNNING, queue=queue), None, LOOKED_AT)
    return found.jobs, found.older is None


async def _first(
    backend: Backend, job: JobRecord, waiting: Sequence[JobRecord]
) -> JobRecord | None:
    """Return the job of the same key that has to be settled first, as far as it is found."""
    key, queue = job.message.key, job.message.queue
    if key is None:
        return None
    running, _ = await _running(backend, queue)
    older = [*waiting]
    if len(waiting) >= LOOKED_AT and backend.capabilities.search:
        which = Filter(state=State.QUEUED, queue=queue)
        older += (await backend.search(which, job.message.id, LOOKED_AT)).jobs
    held = [each for each in running if each.message.key == key]
    held += sorted((each for each in older if each.message.key == key), key=_sent)
    return next((e for e in held if e.state is State.RUNNING or _goes_before(e, job)), None)


def _sent(job: JobRecord) -> tuple[float, str]:
    return job.enqueued, job.message.id


def _goes_before(other: JobRecord, job: JobRecord) -> bool:
    """Whether it was surely sent before: by its id, which a revival keeps, and the store's clock."""
    return other.message.id < job.message.id and other.enqueued <= job.enqueued


async def _limits(backend: Backend, job: JobRecord) -> tuple[Use, ...]:
    known = await in_force(backend, job.message.limits)
    if not known:
        return ()
    meters = await backend.meters([limit.name for limit in known])
    return tuple(Use(limit, meter.leased) for limit, meter in zip(known, meters, strict=True))


async def _used(backend: Backend, job: JobRecord) -> dict[str, Counter[str]]:
    """Count what is in use of resources, by holder, if the job needs any."""
    found: dict[str, Counter[str]] = {}
    if split(job.message.queue)[1]:
        for each in (await _running(backend, None))[0]:
            _, needs = split(each.message.queue)
            found.setdefault(each.holder or "", Counter()).update(dict(needs))
    return found


async def _line(backend: Backend, job: JobRecord, waiting: Sequence[JobRecord], now: float) -> Line:
    """Count what is due and goes before a job: of its kind, by due time, priority and waiting."""
    mine = _rank(job)
    ahead = sum(
        each.due <= now and each.message.kind == job.message.kind and _rank(each) < mine
        for each in waiting
        if each.message.id != job.message.id
    )
    rate = await _rate(backend, job.message.queue, now) if ahead else None
    if len(waiting) < LOOKED_AT:
        return Line(ahead, rate=rate)
    stats = await backend.stats([job.message.queue], COUNTED)
    return Line(ahead, whole=False, due=sum(each.ready for each in stats), rate=rate)


def _rank(job: JobRecord) -> tuple[float, float, str]:
    return job.due - AGEING * job.message.band, job.enqueued, job.message.id


async def _rate(backend: Backend, queue: str, now: float) -> float | None:
    """Return how many jobs of a queue succeed in a second, going by the newest that are kept."""
    if not backend.capabilities.search:
        return None
    which = Filter(state=State.SUCCEEDED, queue=queue)
    found = (await backend.search(which, None, _SAMPLE)).jobs
    ends = [each.finished for each in found if each.finished and now - each.finished < _LATELY]
    if len(ends) < 2:
        return None
    return len(ends) / max(now - min(ends), 0.001)
