"""Putting a job right: what of it may be changed, before it runs or runs again."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ropeway.blobs import packed, refuse_larger
from ropeway.codecs import JSON, codec_for
from ropeway.config import Settings
from ropeway.errors import BadArguments, Refused
from ropeway.jobs import Seen, commit, commit_revival, revival
from ropeway.message import Message, job_key
from ropeway.options import checked_priority, checked_queue
from ropeway.reference import drops
from ropeway.states import State
from ropeway.store import Store
from ropeway.transition import Transition, Update


class Edit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a job; whatever is not given stays as it is.

    `arguments` are all arguments by their names; `body` is what they are written as, for bytes that
    no codec makes.
    """

    arguments: dict[str, Any] | UnsetType = UNSET
    body: bytes | UnsetType = UNSET
    task: str | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    due: float | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.arguments is not UNSET and self.body is not UNSET:
            raise BadArguments("both arguments and body were given", hint="give one of them")
        if self.queue is not UNSET:
            checked_queue(self.queue)
        if self.priority is not UNSET:
            checked_priority(self.priority)


def edited(message: Message, edit: Edit) -> Message:
    """Return a message as an edit leaves it; its signature covers it no more."""
    given = {
        "task": edit.task,
        "queue": edit.queue,
        "band": edit.priority,
        "headers": edit.headers,
        "body": edit.body,
    }
    changes: dict[str, Any] = {name: each for name, each in given.items() if each is not UNSET}
    if edit.arguments is not UNSET:
        codec = codec_for(message.content_type) or JSON
        changes |= {"body": codec.encode(edit.arguments), "content_type": codec.content_type}
    if not changes:
        return message
    return replace(message, **changes, signature=None)


def correction(job: Seen, edit: Edit, message: Message, now: float) -> Transition:
    """Return what puts a job right, as it was seen: one that has ended runs again with it.

    `message` is what `edit` makes of its message. Raises `Refused` for a job that runs, and for
    what cannot be changed while a job waits.
    """
    record = job.record
    if record.state.final:
        due = None if edit.due is UNSET else edit.due
        return revival(job, now, due, message)
    if record.state is State.RUNNING:
        raise Refused(f"job {message.id} is running", hint="cancel it, then edit it")
    named = ("task", "headers", "content_type")
    fixed = [name for name in named if getattr(message, name) != getattr(record.message, name)]
    if fixed:
        raise Refused(
            f"the {fixed[0]} of a job that waits cannot be changed",
            hint=f"cancel job {message.id}, then edit it",
        )
    rewritten = message.body != record.message.body
    change = Update(
        message.id,
        due=None if edit.due is UNSET else edit.due,
        queue=None if edit.queue is UNSET else edit.queue,
        band=None if edit.priority is UNSET else edit.priority,
        body=message.body if rewritten else None,
    )
    return Transition(
        expect={job_key(message.id): job.version},
        drop=drops(message.id, record.message.body) if rewritten else (),
        update=(change,),
    )


async def correct(store: Store, job: Seen, edit: Edit, settings: Settings) -> None:
    """Put a job right; raises `Refused`, and `MessageTooLarge` for its new arguments."""
    message = edited(job.record.message, edit)
    refuse_larger(len(message.body), settings, "the arguments take")
    parcel = await packed(store, message, settings.max_message)
    transition = correction(job, edit, parcel.message, await store.now())
    transition = replace(transition, expect={**transition.expect, **parcel.guard})
    if transition.revive:
        await commit_revival(store, transition, job)
    else:
        await commit(store, transition, job)
