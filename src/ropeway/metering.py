"""What of each limit is used, and what waits for it: for people, at the price of a few looks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from ropeway.limiting import LimitInfo
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.store import Backend, Filter

LOOKED_AT = 1_000
"""So many of the newest jobs that wait, and that run, are looked at."""


class LimitUse(Struct, frozen=True, kw_only=True):
    """A limit and what of it is used now.

    `running` calls name it, and `room` more may start now; None is any number. When there is no
    room there may be some at `room_at`; None: when a call that runs has ended. `waiting` calls that
    name it are due; at least so many if that is not the `whole`, and None where it is not known.
    """

    limit: LimitInfo
    running: int
    room: int | None = None
    room_at: float | None = None
    waiting: int | None = None
    whole: bool = True


class Naming(Struct, frozen=True):
    """Jobs that name a limit: those that run, and those that are due. Not `whole`: some of them."""

    running: list[JobRecord]
    due: list[JobRecord]
    whole: bool = True


async def used(backend: Backend, limits: Sequence[LimitInfo]) -> list[LimitUse]:
    """Tell what of each limit is used."""
    if not limits:
        return []
    meters = await backend.meters([limit.name for limit in limits])
    now = await backend.now()
    due, whole = await _looked(backend, State.QUEUED)
    waiting = Counter(
        name for job in due if job.due <= now for name in dict.fromkeys(job.message.limits)
    )
    known = backend.capabilities.search
    uses = []
    for limit, meter in zip(limits, meters, strict=True):
        room, room_at = meter.room(now), meter.room_at(now)
        uses.append(
            LimitUse(
                limit=limit,
                running=meter.leased,
                room=room,
                room_at=room_at if room == 0 and room_at < math.inf else None,
                waiting=waiting[limit.name] if known else None,
                whole=whole,
            )
        )
    return uses


async def naming(backend: Backend, name: str) -> Naming:
    """Find the jobs that name a limit: those that run, and those that are due, the longest first."""
    now = await backend.now()
    running, all_running = await _looked(backend, State.RUNNING)
    queued, all_queued = await _looked(backend, State.QUEUED)
    due = [job for job in queued if job.due <= now and name in job.message.limits]
    return Naming(
        [job for job in running if name in job.message.limits],
        sorted(due, key=lambda job: job.due),
        all_running and all_queued,
    )


async def _looked(backend: Backend, state: State) -> tuple[list[JobRecord], bool]:
    """Return jobs of a state, and whether those are all."""
    if not backend.capabilities.search:
        return [], False
    found = await backend.search(Filter(state=state), None, LOOKED_AT)
    return found.jobs, found.older is None
