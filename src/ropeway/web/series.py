"""What programs read of what goes on for long: schedules, runs of workflows, and topics."""

from __future__ import annotations

from typing import Any, cast, get_args

import msgspec

from ropeway.operate import operations, runs, schedule, topic
from ropeway.runs.handle import Run
from ropeway.runs.listing import find as find_run
from ropeway.runs.listing import newest
from ropeway.runs.records import RunState
from ropeway.schedules.changing import all_schedules, find
from ropeway.schedules.looking import history, upcoming
from ropeway.web import shapes
from ropeway.web.at import At
from ropeway.web.endpoint import PAGED, Endpoint, limit_of
from ropeway.web.views.schedules import in_words

_NEXT = 20


async def _schedules(at: At) -> Any:
    return [schedule.summary(each) for each in await all_schedules(at.store, "")]


async def _schedule(at: At) -> Any:
    found = await find(at.store, at.params["name"])
    kept = await history(at.store, found.name, limit_of(at))
    return schedule.summary(found) | {
        "says": in_words(found),
        "coming": [schedule.upcoming(each) for each in upcoming(found, _NEXT)],
        "history": [schedule.kept(each) for each in kept],
    }


async def _workflows(at: At) -> Any:
    asked = cast("RunState | None", at.query.get("state"))
    name = at.asks("name") or None
    return [
        runs.summary(each) for each in await newest(at.store, limit_of(at), state=asked, name=name)
    ]


async def _workflow(at: At) -> Any:
    run = await find_run(at.store, at.params["id"])
    return runs.whole(await Run(at.app, run.id).agraph())


async def _topics(at: At) -> Any:
    return [topic.summary(each) for each in await at.app.topics.als()]


async def _topic(at: At) -> Any:
    found = await at.app.topics.atopic(at.params["name"])
    standing = await found.asubscriptions()
    return topic.summary(await found.ainfo()) | {
        "standing": [topic.standing(each) for each in standing],
    }


async def _events(at: At) -> Any:
    found = await at.app.topics.atopic(at.params["name"])
    events = await found.ahistory(last=limit_of(at), key=at.asks("key") or None)
    shown = [msgspec.to_builtins(topic.shown(each), str_keys=True) for each in events[::-1]]
    return [
        each | {name: at.displayed(each[name]) for name in ("headers", "data")} for each in shown
    ]


async def _operations(at: At) -> Any:
    now = await at.store.now()
    found = await operations.operations(at.store, limit_of(at))
    return [operations.summary(each, now) for each in found]


async def _operation(at: At) -> Any:
    found = await operations.operation(at.store, at.params["id"])
    return operations.summary(found, await at.store.now())


SERIES = (
    Endpoint(
        path="/operations",
        says="Changes of many jobs, newest first.",
        read=_operations,
        gives=list[shapes.Operation],
        takes=PAGED,
    ),
    Endpoint(
        path="/operations/{id}",
        says="How far a change of many jobs is.",
        read=_operation,
        gives=shapes.Operation,
    ),
    Endpoint(
        path="/schedules", says="The schedules.", read=_schedules, gives=list[shapes.Schedule]
    ),
    Endpoint(
        path="/schedules/{name}",
        says="One schedule: in words, its next times, and what became of the last.",
        read=_schedule,
        gives=shapes.WholeSchedule,
        takes=PAGED,
    ),
    Endpoint(
        path="/workflows",
        says="Runs of workflows, newest first.",
        read=_workflows,
        gives=list[shapes.Run],
        takes={"name": "of that workflow", "state": "that stand so", **PAGED},
        choices={"state": get_args(RunState)},
    ),
    Endpoint(
        path="/workflows/{id}",
        says="One run with all its nodes; the start of its id will do.",
        read=_workflow,
        gives=shapes.WholeRun,
    ),
    Endpoint(
        path="/topics",
        says="The topics, and how much is kept of each.",
        read=_topics,
        gives=list[shapes.Topic],
    ),
    Endpoint(
        path="/topics/{name}",
        says="One topic, and how far each subscription to it has come.",
        read=_topic,
        gives=shapes.WholeTopic,
    ),
    Endpoint(
        path="/topics/{name}/events",
        says="Events that are kept of a topic, newest first.",
        read=_events,
        gives=list[shapes.Event],
        takes={"key": "with that key alone", **PAGED},
    ),
)
