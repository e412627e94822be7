"""Ending all that waits in a queue, without touching what runs."""

from __future__ import annotations

from ropeway.claims import MAX_BATCH
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.transition import Cancel, Transition, Update


async def purge(backend: Backend, queue: str, keep: float) -> int:
    """Cancel every job that waits in `queue` now, its record kept `keep` seconds; return how many.

    Goes from the newest job to older ones, so it ends however many are sent meanwhile.
    """
    ended = 0
    before: str | None = None
    which = Filter(state=State.QUEUED, queue=queue)
    while True:
        page = await backend.search(which, before, MAX_BATCH)
        ends = [_end(job.message.id, keep) for job in page.jobs]
        ended += sum(answer.ok for answer in await backend.commit(ends))
        before = page.older
        if before is None:
            return ended


def _end(job_id: str, keep: float) -> Transition:
    # The update changes nothing; it is refused if the job is not waiting any more.
    return Transition(update=(Update(job_id),), cancel=(Cancel(job_id, keep),))
