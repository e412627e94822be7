"""Large bodies: laid into the store apart from their messages, loaded again, and swept up.

They are written in pieces before what refers to them, so that nobody in between has to hold more
than a few; what refers to them is committed only if they are still there. So a body is there as
long as a job refers to it. One that nothing refers to any more is found by its head, and removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.capabilities import require
from ropeway.config import Settings
from ropeway.errors import BodyLost, MessageTooLarge, RopewayError
from ropeway.message import JobRecord, Message, job_key
from ropeway.reference import (
    HEADS,
    PIECE,
    Head,
    Reference,
    digest,
    drops_of,
    head_key,
    is_left,
    refer,
    reference_of,
    written,
)
from ropeway.store import Store
from ropeway.transition import Put, Record, Transition

SWEEP_EVERY = 300.0
"""Seconds between two sweeps, whichever worker makes them."""

_AT_ONCE = 4
_PAGE = 100
_SWEPT = "swept/blobs"

_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


class Parcel(Struct, frozen=True):
    """A message that is ready to be published, and what must hold for that."""

    message: Message
    guard: dict[str, int] = {}

    @property
    def transition(self) -> Transition:
        """What publishes it."""
        return Transition(expect=self.guard, publish=(self.message,))


async def lay(
    store: Store, job_id: str, data: bytes, attempt: int = 0
) -> tuple[bytes, dict[str, int]]:
    """Write a body; returns what stands in its place, and what must hold when that is committed.

    A result is that of an `attempt`: while this runs, nobody removes what it has laid.
    """
    require(store.capabilities, "store", "a body that is larger than max_message")
    reference = refer(data, attempt)
    head = Head(await store.now(), reference.size, reference.piece, attempt)
    put = Put(head_key(job_id, reference.token), _encode(head), owner=job_id)
    try:
        (answer,) = await store.commit([Transition(put=(put,))])
        keys = list(reference.keys(job_id))
        for first in range(0, len(keys), _AT_ONCE):
            part = tuple(
                Put(key, data[number * PIECE : (number + 1) * PIECE], owner=job_id)
                for number, key in enumerate(keys[first : first + _AT_ONCE], first)
            )
            await store.commit([Transition(put=part)])
    except RopewayError:
        await _take_up(store, job_id, reference)
        raise
    return written(reference), {put.key: answer.versions[put.key]}


async def load(store: Store, job_id: str, held: bytes) -> bytes:
    """Return the body that a job holds, from elsewhere if need be; raises `BodyLost`."""
    reference = reference_of(held)
    if reference is None:
        return held
    parts: list[bytes] = []
    keys = list(reference.keys(job_id))
    for first in range(0, len(keys), _AT_ONCE):
        for record in await store.get(keys[first : first + _AT_ONCE]):
            if record is None:
                raise _lost(job_id, reference, "is gone")
            parts.append(record.value)
    data = b"".join(parts)
    if digest(data) != reference.digest:
        raise _lost(job_id, reference, "has changed")
    return data


async def loaded(store: Store, message: Message) -> Message:
    """Return the message with its body in it; raises `BodyLost`."""
    body = await load(store, message.id, message.body)
    return message if body is message.body else replace(message, body=body)


async def packed(store: Store, message: Message, most: int) -> Parcel:
    """Lay the body of a message into the store if it has more than `most` bytes."""
    if len(message.body) <= most:
        return Parcel(message)
    body, guard = await lay(store, message.id, message.body)
    return Parcel(replace(message, body=body), guard)


async def unpack(store: Store, parcels: Sequence[Parcel]) -> None:
    """Remove what was laid for messages that were not published, as far as that can be done."""
    for each in parcels:
        reference = reference_of(each.message.body) if each.guard else None
        if reference is not None:
            await _take_up(store, each.message.id, reference)


def refuse_larger(size: int, settings: Settings, what: str) -> None:
    """Raise `MessageTooLarge` for a body that is larger than the settings allow."""
    if size > settings.largest:
        name = "max_blob" if settings.max_blob > settings.max_message else "max_message"
        raise MessageTooLarge(
            f"{what} {size:,} bytes, more than {name}={settings.largest:,}",
            hint="store the data elsewhere and pass a reference (a path, a key)",
        )


async def is_time_to_sweep(store: Store) -> bool:
    """Whether there is anything to look at, and nobody has begun to within the last minutes.

    Whoever is told so has the turn.
    """
    if not await store.scan(HEADS, limit=1) or (await store.get([_SWEPT]))[0] is not None:
        return False
    turn = Transition(expect={_SWEPT: 0}, put=(Put(_SWEPT, b"", ttl=SWEEP_EVERY),))
    (answer,) = await store.commit([turn])
    return answer.ok


async def sweep(store: Store) -> int:
    """Remove all bodies that no job refers to; returns how many."""
    after, swept = await sweep_some(store)
    while after:
        after, more = await sweep_some(store, after)
        swept += more
    return swept


async def sweep_some(store: Store, after: str = "") -> tuple[str, int]:
    """Look at the bodies that follow; returns from where to go on, if anywhere, and how many went."""
    page = await store.scan(HEADS, after, _PAGE)
    swept = await _sweep_page(store, page, await store.now()) if page else 0
    return page[-1].key if len(page) == _PAGE else "", swept


async def _sweep_page(store: Store, page: Sequence[Record], now: float) -> int:
    names = [each.key.removeprefix(HEADS).rpartition("/") for each in page]
    jobs = await store.get([job_key(job_id) for job_id, _, _ in names])
    swept = 0
    for each, (job_id, _, token), kept in zip(page, names, jobs, strict=True):
        head = _decode_head(each.value)
        if is_left(head, token, _decode_job(kept.value) if kept else None, now):
            reference = Reference(token, head.size, head.piece, b"")
            # Not if it is referred to meanwhile: that would be another version of the job.
            guard = {each.key: each.version, job_key(job_id): kept.version if kept else 0}
            removal = Transition(expect=guard, drop=drops_of(job_id, reference))
            (answer,) = await store.commit([removal])
            swept += answer.ok
    return swept


async def _take_up(store: Store, job_id: str, reference: Reference) -> None:
    # Not if the job is there: it may have been sent with this very body before.
    removal = Transition(expect={job_key(job_id): 0}, drop=drops_of(job_id, reference))
    with suppress(RopewayError):
        await store.commit([removal])


def _lost(job_id: str, reference: Reference, what: str) -> BodyLost:
    return BodyLost(
        f"of job {job_id}, what was kept apart from it ({reference.size:,} bytes) {what}",
        hint="send it again; or give all arguments anew: ropeway jobs edit --args",
    )
