"""Ending all that waits in a queue, without touching what runs."""

from __future__ import annotations

from msgspec.structs import replace

from ropeway.claims import MAX_BATCH
from ropeway.jobs import Seen, cancellation
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.transition import Transition, Update


async def purge(backend: Backend, queue: str, keep: float) -> int:
    """Cancel every job that waits in `queue` now, its record kept `keep` seconds; return how many.

    Goes from the newest job to older ones, so it ends however many are sent meanwhile.
    """
    ended = 0
    before: str | None = None
    which = Filter(state=State.QUEUED, queue=queue)
    while True:
        page = await backend.search(which, before, MAX_BATCH)
        ends = [_end(job, keep) for job in page.jobs]
        ended += sum(answer.ok for answer in await backend.commit(ends))
        before = page.older
        if before is None:
            return ended


def _end(job: JobRecord, keep: float) -> Transition:
    # The update changes nothing; it is refused if the job is not waiting any more.
    cancelled = cancellation(Seen(job, 0), keep)
    return replace(cancelled, expect={}, update=(Update(job.message.id),))
