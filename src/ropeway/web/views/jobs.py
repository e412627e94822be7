"""The jobs that a search finds, and one of them."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway.bulk import Done
from ropeway.codec import Undecodable
from ropeway.errors import BadSearch, Forbidden, JobNotFound
from ropeway.jobs import see
from ropeway.message import JobRecord
from ropeway.operate.finding import chosen, search
from ropeway.operate.job import apart, arguments, result
from ropeway.operate.operator import MEANT, JobVerb
from ropeway.progress import decode as decode_progress
from ropeway.progress import progress_key
from ropeway.searching import Query, parse
from ropeway.states import State
from ropeway.store import Count, Filter, Found
from ropeway.web.at import At, Shown
from ropeway.why import gather, why

SIZES = (25, 50, 100)
MOST = 10_000
"""So many jobs are counted by a dry run."""

_WHOLE = 36


async def jobs(at: At) -> Shown:
    """List the jobs that are meant, newest first, by pages."""
    text, now = at.asks("q"), await at.store.now()
    size = int(at.asks("limit")) if at.asks("limit") in map(str, SIZES) else SIZES[1]
    values: dict[str, Any] = {"text": text, "now": now, "size": size, "fault": "", "found": None}
    try:
        query = parse(text, now)
    except BadSearch as error:
        fault = f"{error.fact}\n→ {error.hint}"
        values |= {"fault": fault, "tabs": [], "before": "", "verbs": []}
        return Shown(template="jobs.html", title=at.words("Jobs"), values=values, status=400)
    before = at.asks("before") or None
    found = await search(at.store, query, before, size, now)
    values |= {
        "found": found,
        "before": before or "",
        "tabs": await _tabs(at, text, query, now),
        "verbs": _verbs(at, query),
        "previews": {job.message.id: preview(at, job) for job in found.jobs},
    }
    return Shown(template="jobs.html", title=at.words("Jobs"), values=values, live=before is None)


def preview(at: At, job: JobRecord) -> str:
    """Return the arguments on one line, cut."""
    held = apart(job.message.body)
    if held is not None:
        return held
    found = arguments(job)
    if isinstance(found, Undecodable):
        return f"cannot be read: {found.reason}"
    told = at.displayed(found)
    if isinstance(told, dict):
        text = ", ".join(f"{name}={_short(value)}" for name, value in told.items())
    else:
        text = _short(told)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _short(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Tab(msgspec.Struct, frozen=True):
    """A state, the search that it stands for, whether that is the one shown, and how many."""

    name: str
    search: str
    shown: bool
    number: Count | None


async def _tabs(at: At, text: str, query: Query, now: float) -> list[Tab]:
    """Return a tab for each state.

    Without any other term each has its number; beside one, which may leave millions of jobs to
    be examined, only the tab that is shown. What is tested job by job is never counted.
    """
    without = " ".join(word for word in text.split(" ") if not word.startswith("state:"))
    plain = parse(without, now) == Query()
    shown = query.filter.state
    wanted = {state: Filter(state=state) for state in State} if plain else {shown: query.filter}
    if query.tests and not plain:
        wanted = {}
    counts = await at.counts.of("" if plain else text, list(wanted.values()))
    numbers = dict(zip(wanted, counts, strict=True))
    tabs = [Tab("", without, shown is None and not query.tests, numbers.get(None))]
    for state in State:
        search = f"state:{state.value} {without}".strip()
        tabs.append(
            Tab(state.value, search, state is shown and not query.tests, numbers.get(state))
        )
    return tabs


def _verbs(at: At, query: Query) -> list[JobVerb]:
    """Return what can be done to jobs of the state that is asked for, by who looks."""
    state = query.filter.state
    verbs: tuple[JobVerb, ...] = ("retry", "cancel", "run_now", "remove")
    return [
        verb
        for verb in verbs
        if at.may(f"jobs.{verb}") and (state is None or state in MEANT[verb])  # type: ignore[arg-type]  # each is an action
    ]


async def job(at: At) -> Shown:
    """Show all that is kept of one job, and why it is not running."""
    record = await whole(at, at.params["id"])
    job_id = record.message.id
    (report,) = await at.store.get([progress_key(job_id)])
    facts = await gather(at.store, record)
    progress = None if report is None else decode_progress(report.value)
    body = arguments(record)
    return Shown(
        template="job.html",
        title=record.message.task,
        live=not record.state.final,
        values={
            "job": record,
            "now": facts.now,
            "answer": why(facts),
            "progress": progress,
            "timeline": timeline(record, facts.now),
            "arguments": None if isinstance(body, Undecodable) else at.displayed(body),
            "unreadable": body.reason if isinstance(body, Undecodable) else "",
            "apart": apart(record.message.body),
            "result": at.displayed(result(record)) if apart(record.value) is None else None,
            "result_apart": apart(record.value),
            "headers": at.displayed(record.message.headers),
        },
    )


async def whole(at: At, start: str) -> JobRecord:
    """Return the job of an id, or the only one whose id begins so; raises `JobNotFound`."""
    if len(start) < _WHOLE:
        found = (await at.store.search(Filter(id_prefix=start.lower()), None, 2)).jobs
        if len(found) != 1:
            told = "several jobs have ids that begin" if found else "no job has an id that begins"
            raise JobNotFound(f"{told} with {start}", hint="write more of it")
        return found[0]
    return (await see(at.store, start)).record


class Moment(msgspec.Struct, frozen=True):
    """A step in the life of a job; `ahead` is one that is yet to come."""

    name: str
    at: float | None
    says: str = ""
    kind: str = ""
    ahead: bool = False


def timeline(job: JobRecord, now: float) -> list[Moment]:
    """Tell the life of a job in steps, with what comes next."""
    steps = [Moment("sent", job.enqueued)]
    if job.message.first_due(job.enqueued) > job.enqueued + 0.5:
        steps.append(Moment("due at first", job.message.first_due(job.enqueued)))
    charged = {
        "failed": job.failures,
        "lost with a worker": job.losses,
        "given back": job.releases,
        "abandoned": max(0, job.abandoned) if job.state is not State.QUEUED else 0,
    }
    told = [f"{number} × {name}" for name, number in charged.items() if number]
    if told:
        steps.append(Moment("earlier attempts", None, ", ".join(told), "retrying"))
    if job.started is not None and job.state is not State.QUEUED:
        by = f"attempt {job.attempt}" + (f", by {job.holder}" if job.holder else "")
        steps.append(Moment("started", job.started, by, "running"))
    if job.finished is not None:
        steps.append(Moment(str(job.state), job.finished, "", str(job.state)))
    elif job.state is State.QUEUED:
        name = "next attempt" if job.attempt else "due"
        steps.append(Moment(name, job.due, "", "scheduled", job.due > now))
    return steps


async def bulk(at: At) -> Shown:
    """Show what an action would do to the jobs of a search, or to those named, and ask."""
    verb, now = at.asks("verb"), await at.store.now()
    if verb not in MEANT:
        raise BadSearch(f"{verb!r} is nothing that can be done to jobs")
    ids, done = await planned(at, verb, at.asks("q"), at.asks("ids").split(), now)
    return Shown(
        template="bulk.html",
        title=at.words("Are you sure?"),
        live=False,
        values={
            "verb": verb,
            "text": at.asks("q"),
            "ids": " ".join(ids) if at.asks("ids") else "",
            "done": done,
            "most": MOST,
            "allowed": at.may(f"jobs.{verb}"),  # type: ignore[arg-type]  # each is an action
        },
    )


async def planned(
    at: At, verb: JobVerb, text: str, ids: list[str], now: float
) -> tuple[list[str], Done]:
    """Return the jobs that are meant, and what would become of them."""
    if not ids:
        ids = await chosen(at.store, parse(text, now), MEANT[verb], MOST, now)
    operator = at.operator
    return ids, await operator.preview(ids, await operator.plan(verb))


async def edit(at: At) -> Shown:
    """Show what can be changed of a job, secrets too, to whoever may."""
    if not (at.may("jobs.edit") and at.may("jobs.payload")):
        raise Forbidden("you may not edit jobs", hint="ask for the right jobs.edit")
    seen = await see(at.store, at.params["id"])
    body = arguments(seen.record)
    plain = not isinstance(body, Undecodable)
    return Shown(
        template="edit.html",
        title=at.words("Edit"),
        live=False,
        values={"job": seen.record, "version": seen.version, "arguments": body if plain else None},
    )


__all__ = ["Found", "bulk", "edit", "job", "jobs", "planned", "preview", "timeline", "whole"]
