"""What a person does to one job: cancel it, have it run again, remove it."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.errors import JobNotFound, Refused
from ropeway.graph import Lost, arrivals, lost_key
from ropeway.message import JobRecord, Message, job_key
from ropeway.progress import progress_key
from ropeway.reference import drops
from ropeway.states import State
from ropeway.store import Store
from ropeway.transition import (
    OPEN_KEPT,
    Arrive,
    Cancel,
    Drop,
    Put,
    Record,
    Remove,
    Revive,
    Transition,
)
from ropeway.unique import regained

Cancelled = Literal["cancelled", "asked", "ended"]
"""What became of a wish to cancel: done; its worker was asked to stop it; it had ended before."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(JobRecord).decode


class Seen(Struct, frozen=True):
    """A job as somebody looked at it: a change of another version of it is refused."""

    record: JobRecord
    version: int


async def see(store: Store, job_id: str) -> Seen:
    """Look at a job; raises `JobNotFound`."""
    (record,) = await store.get([job_key(job_id)])
    if record is None:
        raise unknown(job_id)
    return seen(record)


def seen(record: Record) -> Seen:
    """Read what a store keeps of a job."""
    return Seen(_decode(record.value), record.version)


def unknown(job_id: str) -> JobNotFound:
    """Return the error that says that nothing is kept of a job."""
    return JobNotFound(
        f"nothing is kept of job {job_id}",
        hint="it was never sent to this database, its time to be kept is over, it succeeded and "
        "was sent with store=False, or it rests in the broker of a pair",
    )


def revival(
    job: Seen, now: float, due: float | None = None, message: Message | None = None
) -> Transition:
    """Return what has a job that has ended wait again, as it was seen, due at `due` or now.

    An `expires` that is over by then would end it at once, so it is left out. What is kept apart
    of a result goes with it, and of arguments that others take the place of.
    """
    old = job.record
    wanted = message or job.record.message
    if wanted.expires is not None and wanted.expires <= max(now, due or now):
        wanted = message = replace(wanted, expires=None)
    if due is not None and wanted.terms is not None and wanted.terms.expires is not None:
        wanted = message = replace(wanted, due=due)  # its time counts from when it is due
    return Transition(
        expect={job_key(wanted.id): job.version},
        drop=drops(
            wanted.id, old.value, None if wanted.body == old.message.body else old.message.body
        ),
        revive=(Revive(wanted.id, due, message),),
    )


async def held(store: Store, transition: Transition, message: Message) -> Transition | str:
    """Add to a revival what a job needs that is to be the only one of its purpose.

    Returns why it cannot be that, if another one is.
    """
    more = await regained(store, message)
    if isinstance(more, str):
        return f"job {more} is there for the same purpose"
    if more is None:
        return transition
    return replace(transition, expect={**transition.expect, **more.expect}, put=more.put)


def removal(job: Seen) -> Transition:
    """Return what forgets a job that has ended, as it was seen."""
    message = job.record.message
    job_id = message.id
    return Transition(
        expect={job_key(job_id): job.version},
        drop=(Drop(progress_key(job_id)), *drops(job_id, message.body, job.record.value)),
        remove=(Remove(job_id),),
    )


def why_not_again(state: State, *, succeeded: bool = False) -> str | None:
    """Return why a job in that state is not run again, if so; one that succeeded only when asked."""
    if not state.final:
        return f"it is {state}: only what has ended can run again"
    if state is State.SUCCEEDED and not succeeded:
        return "it succeeded: running it again has to be asked for"
    return None


async def cancel(store: Store, job_id: str, keep: float) -> Cancelled:
    """Cancel a job; raises `JobNotFound`.

    The run that it is a node of hears of it in the same step, and goes on without it.
    """
    while True:
        (record,) = await store.get([job_key(job_id)])
        if record is None and store.capabilities.recorded:
            raise unknown(job_id)
        transition = Transition(cancel=(Cancel(job_id, keep),))
        if record is not None:
            transition = cancellation(seen(record), keep)
        (answer,) = await store.commit([transition])
        if answer.ok:
            break
    if job_id in answer.cancelled:
        return "cancelled"
    if job_id in answer.flagged or record is None:
        return "asked"  # without a record it is called off, in case it rests where nobody can look
    return "ended"


def cancellation(job: Seen, keep: float) -> Transition:
    """Return what cancels a job as it was seen; a run that it is a node of goes on without it."""
    message = job.record.message
    cancel = (Cancel(message.id, keep),)
    node = None if message.terms is None else message.terms.node
    if node is None or job.record.state.final or not node.next:
        return Transition(cancel=cancel)
    told = arrivals(node, message.id)
    lost = Lost(node.path, "Cancelled", "it was cancelled")
    return Transition(
        expect={job_key(message.id): job.version},
        put=(Put(lost_key(node.run, told[0][1]), _encode(lost), ttl=OPEN_KEPT),),
        arrive=tuple(Arrive(join, member) for join, member in told),
        cancel=cancel,
    )


async def retry(store: Store, job: Seen, *, delay: float, succeeded: bool) -> None:
    """Have a job run again; raises `Refused`."""
    reason = why_not_again(job.record.state, succeeded=succeeded)
    if reason:
        again = "retry(succeeded=True)" if job.record.state.final else "wait, or cancel it first"
        raise Refused(f"job {job.record.message.id} does not run again: {reason}", hint=again)
    now = await store.now()
    await commit_revival(store, revival(job, now, now + delay if delay else None), job)


async def commit_revival(store: Store, transition: Transition, job: Seen) -> None:
    """Have a job run again that may have to be the only one; raises `Refused`."""
    whole = await held(store, transition, job.record.message)
    if isinstance(whole, str):
        raise Refused(f"job {job.record.message.id} does not run again: {whole}")
    await commit(store, whole, job)


async def remove(store: Store, job: Seen) -> None:
    """Forget a job that has ended; raises `Refused`."""
    job_id = job.record.message.id
    if not job.record.state.final:
        raise Refused(f"job {job_id} is {job.record.state}", hint="cancel it first")
    await commit(store, removal(job), job)


async def commit(store: Store, transition: Transition, job: Seen) -> None:
    """Change a job as it was seen; raises `Refused` if somebody was quicker."""
    (answer,) = await store.commit([transition])
    if not answer.ok:
        raise Refused(
            f"job {job.record.message.id} has changed since it was looked at",
            hint="look again, and then decide",
        )
