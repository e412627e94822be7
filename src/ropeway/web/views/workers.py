"""Workers: what each is doing, its code, and what a person should notice; and one of them."""

from __future__ import annotations

from ropeway.control import HEARTBEAT, Workers
from ropeway.errors import Unsupported
from ropeway.operate.source import Source
from ropeway.operate.worker import remarks
from ropeway.states import State
from ropeway.store import Filter
from ropeway.web.at import At, Shown

_MOST = 200


async def workers(at: At) -> Shown:
    """List the workers that run, or have died a moment ago."""
    facts = await at.sampler.facts()
    return Shown(
        template="workers.html",
        title=at.words("Workers"),
        values={
            "workers": facts.workers,
            "remarks": remarks(facts.workers, facts.now),
            "now": facts.now,
            "late": HEARTBEAT * 1.5,
        },
    )


async def worker(at: At) -> Shown:
    """Show one worker, with the jobs that it runs."""
    known = Workers(Source(at.store, at.settings))
    found, others = await known.aget(at.params["name"]), await known.als()
    now = await at.store.now()
    try:
        running = (await at.store.search(Filter(state=State.RUNNING), None, _MOST)).jobs
    except Unsupported:
        running = []
    same = {name for each in others if each.app == found.app for name in each.tasks}
    return Shown(
        template="worker.html",
        title=found.holder,
        values={
            "worker": found,
            "now": now,
            "late": HEARTBEAT * 1.5,
            "running": [job for job in running if job.holder == found.holder],
            "lacks": sorted(same.difference(found.tasks)),
        },
    )
