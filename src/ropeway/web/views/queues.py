"""Queues: what waits in each, who serves it, who paused it and why; and one of them."""

from __future__ import annotations

from ropeway.broker import QueueStats
from ropeway.errors import Unsupported
from ropeway.limiting import all_in_force
from ropeway.metering import used
from ropeway.operate.limit import allows
from ropeway.operate.queue import CAP
from ropeway.pauses import holding, in_words, paused
from ropeway.topology import load
from ropeway.web.at import At, Shown
from ropeway.web.views.jobs import preview
from ropeway.why.queues import consuming, in_the_way

_PEEKED = 50


async def queues(at: At) -> Shown:
    """List the queues that hold work or are paused."""
    facts = await at.sampler.facts()
    names = {stats.queue for stats in facts.queues}
    found = list(facts.queues)
    found += [QueueStats(queue=name) for name in sorted(facts.pauses) if name not in names]
    served = {each.queue: len(consuming(facts.workers, each.queue)) for each in found}
    most = max([each.ready + each.delayed + each.leased for each in found], default=1)
    return Shown(
        template="queues.html",
        title=at.words("Queues"),
        values={
            "queues": found,
            "pauses": facts.pauses,
            "served": served,
            "most": max(1, most),
            "now": facts.now,
            "cap": CAP,
            "in_words": in_words,
        },
    )


async def queue(at: At) -> Shown:
    """Show one queue, and what waits in it."""
    name, now = at.params["name"], await at.store.now()
    facts = await at.sampler.facts()
    (stats,) = await at.store.stats([name], CAP)
    pauses = await paused(at.store)
    try:
        waiting, refused = await at.store.peek(name, _PEEKED), ""
    except Unsupported as error:
        waiting, refused = [], error.fact
    pause = holding(pauses, name)
    topology = await load(at.store)
    return Shown(
        template="queue.html",
        title=name,
        values={
            "name": name,
            "stats": stats,
            "now": now,
            "cap": CAP,
            "pause": pauses.get(name),
            "obstacles": list(in_the_way(name, pause, facts.workers, now)),
            "workers": consuming(facts.workers, name),
            "waiting": waiting,
            "refused": refused,
            "previews": {job.message.id: preview(at, job) for job in waiting},
            "bindings": [b for b in topology.bindings if b.to == name and not b.to_exchange],
            "in_words": in_words,
        },
    )


async def limits(at: At) -> Shown:
    """List the limits in force, and what of each is used."""
    found = await used(at.store, await all_in_force(at.store))
    return Shown(
        template="limits.html",
        title=at.words("Limits"),
        values={"limits": found, "allows": allows, "now": await at.store.now()},
    )
