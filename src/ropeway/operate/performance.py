"""How long jobs of each task wait and run, from the newest that have ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from ropeway.matching import ran, waited
from ropeway.message import JobRecord
from ropeway.states import State

SHARES = (0.5, 0.95, 0.99)


class Timing(Struct, frozen=True, kw_only=True):
    """One task: how many ended and failed, and the times that half, 95 % and 99 % stay below."""

    task: str
    jobs: int
    failed: int
    waited: tuple[float, ...]
    ran: tuple[float, ...]


def timings(jobs: Iterable[JobRecord], now: float) -> list[Timing]:
    """Return the times of each task, the one that took most time in all first."""
    by_task = defaultdict[str, list[JobRecord]](list)
    for job in jobs:
        by_task[job.message.task].append(job)
    spent = {
        task: sum(ran(job, now) or 0.0 for job in of_task) for task, of_task in by_task.items()
    }
    return [
        Timing(
            task=task,
            jobs=len(of_task),
            failed=sum(job.state is not State.SUCCEEDED for job in of_task),
            waited=_shares([waited(job, now) for job in of_task]),
            ran=_shares([ran(job, now) for job in of_task]),
        )
        for task, of_task in sorted(by_task.items(), key=lambda each: -spent[each[0]])
    ]


def _shares(found: Sequence[float | None]) -> tuple[float, ...]:
    values = sorted(each for each in found if each is not None)
    if not values:
        return ()
    return tuple(values[min(len(values) - 1, int(share * len(values)))] for share in SHARES)
