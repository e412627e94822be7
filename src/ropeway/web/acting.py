"""Does what a form or a program asks for, if whoever asks may: one place for the pages and the API."""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from ropeway.bulk import Done, left_over
from ropeway.editing import Edit
from ropeway.errors import BadArguments, Forbidden, Refused
from ropeway.jobs import Seen, see
from ropeway.limiting import limit_of
from ropeway.operate.audit import noted
from ropeway.operate.operations import CAP, Operation, begin, operation, stop, take_over
from ropeway.operate.operator import ACTION_OF, JobVerb, WorkerVerb
from ropeway.operate.roles import ACTIONS, LOOKS, Action
from ropeway.options import Using
from ropeway.topics.positions import place_of
from ropeway.web.at import At
from ropeway.web.looking import refuse_nul
from ropeway.web.views.jobs import planned
from ropeway.web.views.topics import counted
from ropeway.words import several

HERE: frozenset[Action] = frozenset(
    {
        "jobs.retry",
        "jobs.cancel",
        "jobs.run_now",
        "jobs.remove",
        "jobs.edit",
        "jobs.send",
        "queues.pause",
        "queues.resume",
        "queues.purge",
        "workers.quiet",
        "workers.resume",
        "workers.stop",
        "workers.stack",
        "limits.set",
        "limits.reset",
        "schedules.pause",
        "schedules.resume",
        "schedules.run_now",
        "workflows.retry",
        "workflows.cancel",
        "workflows.pause",
        "workflows.resume",
        "workflows.signal",
        "topics.replay",
        "topics.move",
        "topics.purge",
        "operations.stop",
        "operations.resume",
    }
)
"""What can be done here; the rest is for the command line."""

TRIED: frozenset[Action] = frozenset(
    {
        "jobs.retry",
        "jobs.cancel",
        "jobs.run_now",
        "jobs.remove",
        "topics.replay",
        "topics.move",
        "topics.purge",
    }
)
"""What can be asked for with `dry_run`."""

TYPED_FROM = 1_000
"""Whoever changes more jobs than these has to say how many they are."""


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for besides the action.

    `target` is the id of a job, or the name of a queue, a worker or a limit. Jobs are named by
    `ids` or found by the search `q`; `expect` is how many the dry run told, and more than a tenth
    beside that is refused; `most` is how many shall be changed at most. `version` is that of the job which was looked at, for an edit. For `jobs.send` the `target` is a task, and `delay` says in
    how many seconds it is due. A `signal`
    has a name and a `value`. Of a topic `place` says where: to which a subscription is moved, forth or
    `back`, from which up to `until` it gets events again, or from before which events are removed,
    `unread` ones too.
    """

    target: str = ""
    ids: list[str] = []
    q: str | None = None
    why: str = ""
    dry_run: bool = False
    expect: int | None = None
    most: Annotated[int, msgspec.Meta(ge=1, le=CAP)] = CAP
    version: int | None = None
    arguments: dict[str, Any] | None = None
    queue: str | None = None
    priority: int | None = None
    delay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    limit: int | str | None = None
    signal: str = ""
    value: Any = None
    place: str = ""
    until: str = "now"
    back: bool = False
    unread: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of it: in words, and as plain values."""

    told: str
    values: dict[str, Any]


async def do(at: At, action: str, asked: Asked) -> Outcome:
    """Do it; raises `Forbidden` before anything is looked at."""
    known = next((each for each in ACTIONS if each == action), None)
    if known is None or known in LOOKS:
        raise BadArguments(f"{action!r} is no action", hint=f"there are: {', '.join(ACTIONS)}")
    if not at.may(known):
        reason = "the dashboard is read-only" if at.read_only else f"your role is {at.grant.role}"
        raise Forbidden(f"you may not do {action}: {reason}", hint="ask an admin")
    named = (asked.target, asked.q or "", asked.why, asked.queue or "", asked.signal, asked.place)
    refuse_nul(*named, asked.until, *asked.ids, str(asked.limit))
    if known not in HERE:
        raise BadArguments(f"{action} cannot be done here", hint="see: ropeway --help")
    if asked.dry_run and known not in TRIED:
        raise BadArguments(f"{action} cannot be tried out", hint="leave dry_run out to do it")
    outcome = await _done(at, known, asked)
    at.sampler.forget()  # who did it sees it at once
    return outcome


async def _done(at: At, known: Action, asked: Asked) -> Outcome:
    kind, _, verb = known.partition(".")
    if known == "jobs.edit":
        return await _edit(at, asked)
    if known == "jobs.send":
        return await _send(at, asked)
    if kind == "jobs":
        return await _jobs(at, cast("JobVerb", verb), asked)
    if not asked.target:
        raise BadArguments(f"{known} of what?", hint="give a target")
    if kind == "operations":
        return await _operations(at, known, asked.target)
    if kind == "topics":
        return await _topics(at, known, asked)
    if kind in {"schedules", "workflows"}:
        return await _timed(at, known, asked)
    return await _named(at, known, asked)


async def _jobs(at: At, verb: JobVerb, asked: Asked) -> Outcome:
    ids = asked.ids or ([asked.target] if asked.target else [])
    if bool(ids) == (asked.q is not None):
        raise BadArguments("it is not clear which jobs are meant", hint="give ids, or a search")
    now = await at.store.now()
    ids, preview = await planned(at, verb, asked.q or "", ids, now)
    if asked.dry_run:
        return Outcome(told=f"would be {several(preview.done)}", values=asdict(preview))
    _refuse_surprise(asked, preview)
    operator = at.operator
    if asked.q is not None:
        made = await begin(
            at.store,
            verb,
            asked.q,
            by=at.grant.user,
            via="web",
            why=asked.why,
            expected=preview.done,
            most=asked.most,
        )
        return await _carried(at, made)
    done = await operator.change(verb, ids, await operator.plan(verb), why=asked.why)
    left = left_over(done.skipped)
    if asked.target and not done.done:
        raise Refused(f"nothing was changed{left}", hint="look again")
    told = f"{verb.replace('_', ' ')}: {several(done.done)}{left}"
    return Outcome(told=told, values=asdict(done))


async def _carried(at: At, mine: Operation) -> Outcome:
    """Carry an operation on; who asked for it waits only for a short one."""
    ended = await at.running.carry(at.store, at.settings, mine)
    now = ended or await operation(at.store, mine.id)
    values = {
        "operation": now.id,
        "status": now.status,
        "found": now.found,
        "done": now.done,
        "skipped": now.skipped,
        "sample": now.sample,
        "dry_run": False,
    }
    left = left_over(now.skipped)
    going = "" if ended else ", and it goes on"
    verb = now.verb.replace("_", " ")
    return Outcome(told=f"{verb}: {several(now.done)}{left}{going}", values=values)


async def _operations(at: At, action: Action, target: str) -> Outcome:
    """Stop an operation, or have it go on here, for whoever may do what it does."""
    if action == "operations.stop":
        await stop(at.store, target, by=at.grant.user, via="web")
        return Outcome(told=f"{target} stops", values={"operation": target})
    there = await operation(at.store, target)
    if not at.may(ACTION_OF[there.verb]):
        raise Forbidden(f"you may not do jobs.{there.verb}", hint="ask an admin")
    return await _carried(at, await take_over(at.store, target, by=at.grant.user, via="web"))


def _refuse_surprise(asked: Asked, preview: Done) -> None:
    """Raise `Refused` for a search that finds by now much else than was shown."""
    if asked.q is None:
        return
    if asked.expect is None:
        raise BadArguments("how many jobs shall it be?", hint="ask with dry_run, then give expect")
    if abs(preview.done - asked.expect) > max(5, asked.expect // 10):
        raise Refused(
            f"{several(preview.done)} would be changed now, and {asked.expect:,} were shown",
            hint="look again, and then decide",
        )


async def _send(at: At, asked: Asked) -> Outcome:
    """Send a job, as code would: its arguments are checked by what its task takes."""
    task = at.app.tasks.get(asked.target)
    if task is None:
        hint = "give the dashboard the app: ropeway --app ... dashboard"
        raise BadArguments(f"no task is called {asked.target!r} here", hint=hint)
    options: Using = {}
    if asked.queue is not None:
        options["queue"] = asked.queue
    if asked.priority is not None:
        options["priority"] = asked.priority
    if asked.delay:
        options["delay"] = asked.delay
    by = at.grant.user
    async with noted(at.store, "jobs.send", asked.target, by=by, via="web", why=asked.why) as deed:
        job = await task.using(**options).asend(**(asked.arguments or {}))
        deed.told = job.id
    return Outcome(told=f"{asked.target} is sent", values={"id": job.id})


async def _edit(at: At, asked: Asked) -> Outcome:
    seen = await see(at.store, asked.target)
    if asked.version is not None:
        seen = Seen(seen.record, asked.version)
    message = seen.record.message
    changes: dict[str, Any] = {}
    if asked.arguments is not None:
        changes["arguments"] = asked.arguments
    if asked.queue not in {None, message.queue}:
        changes["queue"] = asked.queue
    if asked.priority not in {None, message.band}:
        changes["priority"] = asked.priority
    await at.operator.edit(seen, msgspec.convert(changes, Edit))
    return Outcome(told="it is changed", values={"id": message.id, "changed": sorted(changes)})


async def _named(at: At, action: Action, asked: Asked) -> Outcome:
    operator, target = at.operator, asked.target
    match action:
        case "queues.pause":
            await operator.pause(target, asked.why)
            told = f"{target} is paused"
        case "queues.resume":
            was = await operator.resume(target)
            told = f"{target} goes on" if was else f"{target} was not paused"
        case "queues.purge":
            told = f"{several(await operator.purge(target))} of {target} cancelled"
        case "limits.set":
            if asked.limit is None:
                raise BadArguments("what shall the limit be?", hint='give limit: 5, or "30/m"')
            await operator.set_limit(limit_of(target, asked.limit), asked.why)
            told = f"{target} is set"
        case "limits.reset":
            await operator.reset_limit(target)
            told = f"{target} is as the code says"
        case "workers.stack":
            text = await operator.tell(target, "stack")
            return Outcome(told="", values={"stack": text})
        case "workers.quiet" | "workers.resume" | "workers.stop":
            verb = cast("WorkerVerb", action.partition(".")[2])
            await operator.tell(target, verb)
            told = f"{target} has answered: {verb}"
        case _:
            raise AssertionError(action)
    return Outcome(told=told, values={"target": target})


async def _timed(at: At, action: Action, asked: Asked) -> Outcome:
    """Do something to a schedule or a run."""
    schedules, runs, target = at.operator.schedules, at.operator.runs, asked.target
    values: dict[str, Any] = {"target": target}
    match action:
        case "schedules.pause":
            await schedules.pause(target, asked.why)
        case "schedules.resume":
            await schedules.resume(target)
        case "schedules.run_now":
            values["job"] = await schedules.run_now(target)
        case "workflows.retry":
            await runs.retry(target)
        case "workflows.cancel":
            if await runs.cancel(target) == "ended":
                raise Refused(f"run {target} had ended before", hint="it can be retried")
        case "workflows.pause":
            if not await runs.pause(target):
                raise Refused(f"run {target} is not running", hint="look at it again")
        case "workflows.resume":
            if not await runs.resume(target):
                raise Refused(f"run {target} is not paused", hint="look at it again")
        case "workflows.signal":
            await runs.signal(target, asked.signal, asked.value)
        case _:
            raise AssertionError(action)
    verb = action.partition(".")[2].replace("_", " ")
    return Outcome(told=f"{target}: {verb}", values=values)


async def _topics(at: At, action: Action, asked: Asked) -> Outcome:
    """Move a subscription, have it get events again, or remove events; or count these."""
    target, place, until = asked.target, place_of(asked.place), place_of(asked.until)
    verb = action.partition(".")[2]
    if verb == "move":
        verb = "rewind" if asked.back else "skip"
    on = at.operator.topics
    if asked.dry_run:
        count = await counted(at, verb, target, asked.place, asked.until, unread=asked.unread)
    elif action == "topics.purge":
        topic = (await at.app.topics.atopic(target)).record
        count = await on.purge(topic, place, unread=asked.unread)
    elif action == "topics.replay":
        count = sum(each.count for each in await on.replay(target, place, until))
    else:
        moved = await on.move(target, place, back=asked.back)
        count = sum(each.count for each in moved)
    values = {"target": target, "events": count, "dry_run": asked.dry_run}
    return Outcome(told=f"{verb} {target}: {several(count, 'event')}", values=values)
