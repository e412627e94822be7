"""What a person does to one job: cancel it, have it run again, remove it."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from ropeway.errors import JobNotFound, Refused
from ropeway.message import JobRecord, Message, job_key
from ropeway.states import State
from ropeway.store import Store
from ropeway.transition import Cancel, Record, Remove, Revive, Transition

Cancelled = Literal["cancelled", "asked", "ended"]
"""What became of a wish to cancel: done; its worker was asked to stop it; it had ended before."""

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
        hint="it was never sent to this database, its time to be kept is over, or it "
        "succeeded and was sent with store=False",
    )


def revival(
    job: Seen, now: float, due: float | None = None, message: Message | None = None
) -> Transition:
    """Return what has a job that has ended wait again, as it was seen, due at `due` or now.

    An `expires` that is over by then would end it at once, so it is left out.
    """
    wanted = message or job.record.message
    if wanted.expires is not None and wanted.expires <= max(now, due or now):
        message = msgspec.structs.replace(wanted, expires=None)
    return Transition(
        expect={job_key(wanted.id): job.version}, revive=(Revive(wanted.id, due, message),)
    )


def removal(job: Seen) -> Transition:
    """Return what forgets a job that has ended, as it was seen."""
    job_id = job.record.message.id
    return Transition(expect={job_key(job_id): job.version}, remove=(Remove(job_id),))


def why_not_again(state: State, *, succeeded: bool = False) -> str | None:
    """Return why a job in that state is not run again, if so; one that succeeded only when asked."""
    if not state.final:
        return f"it is {state}: only what has ended can run again"
    if state is State.SUCCEEDED and not succeeded:
        return "it succeeded: running it again has to be asked for"
    return None


async def cancel(store: Store, job_id: str, keep: float) -> Cancelled:
    """Cancel a job; raises `JobNotFound`."""
    (answer,) = await store.commit([Transition(cancel=(Cancel(job_id, keep),))])
    if job_id in answer.cancelled:
        return "cancelled"
    if job_id in answer.flagged:
        return "asked"
    (record,) = await store.get([job_key(job_id)])
    if record is None and not store.capabilities.recorded:
        return "asked"  # it is called off, in case it rests where nobody can look
    if record is None:
        raise unknown(job_id)
    return "ended"


async def retry(store: Store, job: Seen, *, delay: float, succeeded: bool) -> None:
    """Have a job run again; raises `Refused`."""
    reason = why_not_again(job.record.state, succeeded=succeeded)
    if reason:
        again = "retry(succeeded=True)" if job.record.state.final else "wait, or cancel it first"
        raise Refused(f"job {job.record.message.id} does not run again: {reason}", hint=again)
    now = await store.now()
    await _change(store, revival(job, now, now + delay if delay else None), job)


async def remove(store: Store, job: Seen) -> None:
    """Forget a job that has ended; raises `Refused`."""
    job_id = job.record.message.id
    if not job.record.state.final:
        raise Refused(f"job {job_id} is {job.record.state}", hint="cancel it first")
    await _change(store, removal(job), job)


async def _change(store: Store, transition: Transition, job: Seen) -> None:
    (answer,) = await store.commit([transition])
    if not answer.ok:
        raise changed(job.record.message.id)


def changed(job_id: str) -> Refused:
    """Return the error that says that somebody was quicker."""
    return Refused(
        f"job {job_id} has changed since it was looked at", hint="look again, and then decide"
    )
