"""What a person does to jobs, queues, workers, limits and exchanges: one place for every door.

The command line, the pages of the dashboard and its JSON API do nothing by hand but through this;
each deed is on record in the audit log. Who may do it is asked before, at the door.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal

from ropeway import jobs, limiting, pauses, topology
from ropeway.bounds import Queue
from ropeway.bulk import Done, Plan, cancelling, change, left_over, removing, retrying
from ropeway.claims import Limit
from ropeway.config import Settings
from ropeway.control import Workers
from ropeway.editing import Edit, correct
from ropeway.jobs import Seen
from ropeway.limiting import LimitInfo
from ropeway.operate.audit import Deed, noted
from ropeway.operate.purge import purge
from ropeway.operate.roles import Action
from ropeway.operate.runs import OnRuns
from ropeway.operate.schedules import OnSchedules
from ropeway.operate.source import Source
from ropeway.operate.topics import OnTopics
from ropeway.routing import Binding, Exchange
from ropeway.states import FINAL, State
from ropeway.store import Backend
from ropeway.transition import Transition, Update
from ropeway.words import several

JobVerb = Literal["retry", "cancel", "run_now", "remove"]
WorkerVerb = Literal["quiet", "resume", "stop", "stop_now", "stack"]

UNSUCCESSFUL = (State.FAILED, State.QUARANTINED, State.CANCELLED, State.EXPIRED)
MEANT: dict[JobVerb, tuple[State, ...]] = {
    "retry": UNSUCCESSFUL,
    "cancel": (State.QUEUED, State.RUNNING),
    "run_now": (State.QUEUED,),
    "remove": (*UNSUCCESSFUL, State.SUCCEEDED),
}
"""The states of the jobs that a verb is for."""

_NAMED = 3


class Operator:
    """Somebody who does things by hand: `by` is who, `via` the door they came through."""

    def __init__(self, store: Backend, settings: Settings, *, by: str, via: str) -> None:
        self._store, self._settings = store, settings
        self._by, self._via = by, via

    def _noted(
        self, action: Action, target: str, why: str = ""
    ) -> AbstractAsyncContextManager[Deed]:
        return noted(self._store, action, target, by=self._by, via=self._via, why=why)

    # -- jobs -----------------------------------------------------------------------------

    async def plan(
        self, verb: JobVerb, *, rate: float | None = None, states: Sequence[State] = ()
    ) -> Plan:
        """Return what a verb makes of each job that is in one of `states`, or in those it is for."""
        now, meant = await self._store.now(), frozenset(states or MEANT[verb])
        match verb:
            case "retry":
                return retrying(meant, now=now, rate=rate)
            case "cancel":
                return cancelling(self._settings.keep_failed)
            case "run_now":
                return running_now(now)
            case "remove":
                return removing(meant & FINAL)

    async def change(self, verb: JobVerb, ids: Sequence[str], plan: Plan, *, why: str = "") -> Done:
        """Do to each job what was planned; what became of it is told by reason."""
        async with self._noted(ACTION_OF[verb], _named(ids), why) as deed:
            done = await change(self._store, ids, plan)
            deed.told = f"{done.done} of {done.found}{left_over(done.skipped)}"
        return done

    async def preview(self, ids: Sequence[str], plan: Plan) -> Done:
        """Tell what would become of each job, and do nothing."""
        return await change(self._store, ids, plan, dry_run=True)

    async def cancel(self, job_id: str) -> jobs.Cancelled:
        """Cancel one job, and tell what became of that; raises `JobNotFound`."""
        async with self._noted("jobs.cancel", job_id) as deed:
            deed.told = became = await jobs.cancel(self._store, job_id, self._settings.keep_failed)
        return became

    async def edit(self, job: Seen, edit: Edit) -> None:
        """Put a job right, as it was seen; raises `Refused` if it has changed since."""
        async with self._noted("jobs.edit", job.record.message.id):
            await correct(self._store, job, edit, self._settings)

    # -- queues and limits ----------------------------------------------------------------

    async def pause(self, queue: str, why: str = "") -> pauses.Pause:
        """Have no worker claim from a queue until it is resumed."""
        async with self._noted("queues.pause", queue, why):
            return await pauses.pause(self._store, queue, by=self._by, why=why)

    async def resume(self, queue: str) -> bool:
        """Have workers claim from a queue again; tells whether it was paused."""
        async with self._noted("queues.resume", queue) as deed:
            was = await pauses.resume(self._store, queue)
            deed.told = "" if was else "it was not paused"
        return was

    async def purge(self, queue: str) -> int:
        """Cancel every job that waits in a queue; returns how many."""
        async with self._noted("queues.purge", queue) as deed:
            ended = await purge(self._store, queue, self._settings.keep_failed)
            deed.told = f"{several(ended)} cancelled"
        return ended

    async def set_limit(self, limit: Limit, why: str = "") -> None:
        """Change a limit now, for every worker and whatever its code says, until it is reset."""
        async with self._noted("limits.set", limit.name, why):
            await limiting.set_limit(self._store, limit, by=self._by, why=why)

    async def reset_limit(self, name: str) -> tuple[LimitInfo | None, LimitInfo | None]:
        """Go back to what the code says of a limit; returns what was in force, and what is now."""
        async with self._noted("limits.reset", name):
            return await limiting.reset_limit(self._store, name)

    # -- schedules ------------------------------------------------------------------------

    @property
    def schedules(self) -> OnSchedules:
        """What can be done to schedules."""
        return OnSchedules(self._store, self._noted, self._by)

    @property
    def runs(self) -> OnRuns:
        """What can be done to runs of workflows."""
        return OnRuns(self._store, self._settings, self._noted)

    @property
    def topics(self) -> OnTopics:
        """What can be done to topics and subscriptions."""
        return OnTopics(self._store, self._settings, self._noted)

    # -- workers and exchanges ------------------------------------------------------------

    async def tell(self, worker: str, verb: WorkerVerb, timeout: float = 10.0) -> str:
        """Tell a worker what to do, and return what it answers; raises `WorkerSilent`."""
        action: Action = "workers.stop" if verb == "stop_now" else _TOLD[verb]
        workers = Workers(Source(self._store, self._settings))
        async with self._noted(action, worker):
            match verb:
                case "quiet":
                    await workers.aquiet(worker, timeout)
                case "resume":
                    await workers.aresume(worker, timeout)
                case "stack":
                    return await workers.astack(worker, timeout)
                case _:
                    await workers.astop(worker, timeout, now=verb == "stop_now")
        return ""

    async def declare(
        self,
        exchanges: Sequence[Exchange] = (),
        bindings: Sequence[Binding] = (),
        queues: Sequence[Queue] = (),
    ) -> None:
        """Make exchanges and bindings, and options of queues; what is there stays as it is."""
        verb: Action = "exchanges.declare" if exchanges or bindings else "queues.declare"
        async with self._noted(verb, _topology((*exchanges, *queues), bindings)):
            await topology.declare(self._store, exchanges, bindings, queues)

    async def delete(
        self,
        exchanges: Sequence[str] = (),
        bindings: Sequence[Binding] = (),
        queues: Sequence[str] = (),
    ) -> None:
        """Remove exchanges and options of queues, with their bindings, and bindings."""
        names = [Exchange(name=name) for name in (*exchanges, *queues)]
        verb: Action = "exchanges.delete" if exchanges or bindings else "queues.delete"
        async with self._noted(verb, _topology(names, bindings)):
            await topology.delete(self._store, exchanges, bindings, queues)


ACTION_OF: dict[JobVerb, Action] = {
    "retry": "jobs.retry",
    "cancel": "jobs.cancel",
    "run_now": "jobs.run_now",
    "remove": "jobs.remove",
}
_TOLD: dict[WorkerVerb, Action] = {
    "quiet": "workers.quiet",
    "resume": "workers.resume",
    "stop": "workers.stop",
    "stack": "workers.stack",
}


def running_now(now: float) -> Plan:
    """Plan to have jobs that wait for their time due at once."""

    def plan(job: Seen) -> Transition | str:
        record = job.record
        if record.state is not State.QUEUED:
            return f"it is {record.state}"
        if record.due <= now:
            return "it is due already"
        return Transition(update=(Update(record.message.id, due=now),))

    return plan


def _named(ids: Sequence[str]) -> str:
    if len(ids) <= _NAMED:
        return ", ".join(ids)
    return f"{several(len(ids))}: {', '.join(ids[:_NAMED])}, ..."


def _topology(named: Sequence[Exchange | Queue], bindings: Sequence[Binding]) -> str:
    ends = [f"{each.source} -> {each.to}" for each in bindings]
    return ", ".join([*(each.name for each in named), *ends][:_NAMED])
