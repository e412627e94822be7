"""The JSON API: the same views as plain values; how it is described is said beside it."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway import __version__
from ropeway.errors import BadArguments, Forbidden
from ropeway.limiting import all_in_force
from ropeway.metering import used
from ropeway.operate import audit, cause, exchange, job, limit, queue, worker
from ropeway.operate.attention import remarks
from ropeway.operate.finding import search
from ropeway.operate.flow import flow
from ropeway.operate.queue import CAP
from ropeway.pauses import paused
from ropeway.progress import decode as decode_progress
from ropeway.progress import progress_key
from ropeway.searching import parse
from ropeway.states import State
from ropeway.store import Filter
from ropeway.topology import load
from ropeway.web import shapes
from ropeway.web.acting import HERE
from ropeway.web.at import At
from ropeway.web.endpoint import PAGED, Endpoint, limit_of
from ropeway.web.series import SERIES
from ropeway.web.views.jobs import whole
from ropeway.web.views.routing import headers_of
from ropeway.why import gather, why
from ropeway.words import iso

_ENDED = tuple(state.value for state in State if state.final)


async def _overview(at: At) -> Any:
    facts = await at.sampler.facts()
    found = flow(list(at.sampler.samples))
    return {
        "healthy": not remarks(facts),
        "remarks": [msgspec.to_builtins(each) for each in remarks(facts)],
        "workers": [worker.summary(each) for each in facts.workers],
        "queues": [queue.summary(q, facts.pauses.get(q.queue), CAP) for q in facts.queues],
        "failed_lately": sum(each.number for each in facts.failed),
        "quarantined": sum(each.number for each in facts.quarantined),
        "flow": None if found is None else msgspec.to_builtins(found),
    }


async def _jobs(at: At) -> Any:
    now = await at.store.now()
    query = parse(at.asks("q"), now)
    found = await search(at.store, query, at.asks("before").lower() or None, limit_of(at), now)
    return {
        "jobs": [job.summary(each, now) for each in found.jobs],
        "older": found.older,
        "examined": found.examined,
        "total": found.total,
    }


async def _job(at: At) -> Any:
    record = await whole(at, at.params["id"])
    facts = await gather(at.store, record)
    (report,) = await at.store.get([progress_key(record.message.id)])
    progress = None if report is None else decode_progress(report.value)
    found = job.whole(record, facts.now, why(facts), progress)
    return found | {name: at.displayed(found[name]) for name in ("arguments", "result", "headers")}


async def _errors(at: At) -> Any:
    asked = at.asks("state") or State.FAILED.value
    found = await at.store.causes(Filter(state=State(asked)), limit_of(at))
    return {"causes": [cause.summary(each) for each in found.found], "whole": found.whole}


async def _queues(at: At) -> Any:
    facts = await at.sampler.facts()
    return [queue.summary(q, facts.pauses.get(q.queue), CAP) for q in facts.queues]


async def _queue(at: At) -> Any:
    name = at.params["name"]
    (stats,) = await at.store.stats([name], CAP)
    return queue.summary(stats, (await paused(at.store)).get(name), CAP)


async def _workers(at: At) -> Any:
    facts = await at.sampler.facts()
    return [worker.summary(each) for each in facts.workers]


async def _exchanges(at: At) -> Any:
    found = await load(at.store)
    return {
        "exchanges": [exchange.summary(found, each) for each in found.exchanges.values()],
        "bindings": [msgspec.structs.asdict(each) for each in found.bindings],
    }


async def _route(at: At) -> Any:
    found = await load(at.store)
    name = at.asks("exchange")
    try:
        ways = found.router().ways(name, at.asks("key"), headers_of(at.asks("headers")))
    except LookupError as error:
        raise BadArguments(str(error.args[0]), hint="see /api/v1/exchanges") from None
    return [{"queue": way.queue, "why": exchange.why(name, way)} for way in ways]


async def _limits(at: At) -> Any:
    return [limit.summary(use) for use in await used(at.store, await all_in_force(at.store))]


async def _audit(at: At) -> Any:
    if not at.may("audit.view"):
        raise Forbidden("you may not read the audit log", hint="ask for the role operate")
    found = await audit.entries(at.store, at.asks("after"), limit_of(at))
    told = [msgspec.structs.asdict(each) | {"at": iso(each.at)} for each in found.entries]
    return {"entries": told, "older": found.older or None}


async def _about(at: At) -> Any:
    return {
        "version": __version__,
        "url": at.settings.where,
        "capabilities": msgspec.structs.asdict(at.store.capabilities),
        "you": msgspec.structs.asdict(at.grant),
        "actions": sorted(action for action in HERE if at.may(action)),
    }


ENDPOINTS = (
    Endpoint(
        path="/overview",
        says="How things are, and what needs attention.",
        read=_overview,
        gives=shapes.Overview,
    ),
    Endpoint(
        path="/jobs",
        says="Jobs that a search finds, newest first.",
        read=_jobs,
        gives=shapes.Jobs,
        takes={"q": "a search", "before": "the `older` of the page before", **PAGED},
    ),
    Endpoint(
        path="/jobs/{id}",
        says="All that is kept of one job, and why.",
        read=_job,
        gives=shapes.WholeJob,
    ),
    Endpoint(
        path="/errors",
        says="Groups of jobs that ended for the same cause.",
        read=_errors,
        gives=shapes.Causes,
        takes={"state": "failed unless it is said", **PAGED},
        choices={"state": _ENDED},
    ),
    Endpoint(
        path="/queues", says="The queues that hold work.", read=_queues, gives=list[shapes.Queue]
    ),
    Endpoint(path="/queues/{name}", says="One queue.", read=_queue, gives=shapes.Queue),
    Endpoint(
        path="/workers", says="The workers that run.", read=_workers, gives=list[shapes.Worker]
    ),
    Endpoint(
        path="/exchanges", says="Exchanges and bindings.", read=_exchanges, gives=shapes.Exchanges
    ),
    Endpoint(
        path="/route",
        says="To which queues a message would go, and why.",
        read=_route,
        gives=list[shapes.Way],
        takes={
            "exchange": "its name",
            "key": "the routing key",
            "headers": "name=value, with blanks between",
        },
    ),
    Endpoint(path="/limits", says="The limits in force.", read=_limits, gives=list[shapes.Limit]),
    Endpoint(
        path="/audit",
        says="What was done by hand, newest first.",
        read=_audit,
        gives=shapes.Deeds,
        takes={"after": "the `older` of the page before", **PAGED},
    ),
    *SERIES,
    Endpoint(
        path="/about",
        says="Versions, capabilities, and what you may do.",
        read=_about,
        gives=shapes.About,
    ),
)
