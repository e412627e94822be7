"""One live job for one purpose: who holds it, and what becomes of a call that finds it held.

A record names the job that holds a purpose. It is written in the same step as the message, under a
guard, so that of many who send at once one succeeds. Whoever is refused looks at the job that the
record names: if that is over, the record is taken over, again under a guard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.blobs import Parcel, packed, unpack
from ropeway.codec import Undecodable
from ropeway.codecs import codec_for
from ropeway.config import seconds
from ropeway.decide import Holder, hold
from ropeway.errors import BadArguments, ConfigError, NotUnique
from ropeway.message import JobRecord, Message, job_key
from ropeway.reference import HEADS, drops
from ropeway.states import State
from ropeway.store import Backend, Store
from ropeway.transition import Answer, Record, Transition, Update

_PREFIX = "unique/"
_decode_job = msgspec.msgpack.Decoder(JobRecord).decode
_decode_holder = msgspec.msgpack.Decoder(Holder).decode


class Unique(Struct, frozen=True, kw_only=True):
    """Which calls of a task count as the same, for how long, and what a second one does.

    `key` names the purpose; without it calls with equal arguments are the same. A job holds its
    purpose `until` it has "started" or is "settled", and for the duration `window` after success.
    On `conflict` the second send returns the job that is there ("return"), gives it the new
    arguments and dates if it still waits ("replace"), or raises `NotUnique` ("refuse").
    """

    key: str | None = None
    until: Literal["started", "settled"] = "settled"
    window: float | str | timedelta = 0.0
    conflict: Literal["return", "replace", "refuse"] = "return"

    def __post_init__(self) -> None:
        window = self.window
        try:
            plain = window.total_seconds() if isinstance(window, timedelta) else window
            msgspec.structs.force_setattr(self, "window", seconds(plain, "window"))
        except ConfigError as error:
            raise BadArguments(error.fact, hint=error.hint) from None
        self._check("until", {"started", "settled"})
        self._check("conflict", {"return", "replace", "refuse"})
        if self.key is not None and not isinstance(self.key, str):
            raise BadArguments(f"unique: key={self.key!r} is not text")

    def _check(self, field: str, known: set[str]) -> None:
        if (value := getattr(self, field)) not in known:
            words = " or ".join(f'"{each}"' for each in sorted(known))
            raise BadArguments(f"unique: {field}={value!r} is not known", hint=f"write {words}")


class Wanted(Protocol):
    """A call that is to be the only one of its purpose."""

    @property
    def message(self) -> Message:
        """What is sent; its terms name the record."""
        ...

    @property
    def unique(self) -> Unique | None:
        """How it is unique."""
        ...


def unique_of(given: bool | float | str | timedelta | Unique) -> Unique | None:
    """Read the option: True, a duration for which it holds after success too, or a `Unique`."""
    if given is False:
        return None
    if given is True:
        return Unique()
    return given if isinstance(given, Unique) else Unique(window=given)


def record_of(unique: Unique, task: str, body: bytes, content_type: str) -> str:
    """Return the key of the record that calls of one purpose share."""
    said = b"key:" + unique.key.encode() if unique.key is not None else _sorted(body, content_type)
    return f"{_PREFIX}{task}/{hashlib.blake2b(said, digest_size=16).hexdigest()}"


def _sorted(body: bytes, content_type: str) -> bytes:
    codec = codec_for(content_type)
    value: Any = codec.decode(body, Any) if codec is not None else body
    return body if isinstance(value, Undecodable) else msgspec.json.encode(value, order="sorted")


async def send_unique(
    store: Backend, calls: Sequence[Wanted], most: int
) -> list[tuple[str, Answer | None]]:
    """Send calls of which each is the only one of its purpose.

    Returns for each the id of the job that is there now, or the answer of a backend that refused
    it for another reason. Bodies of more than `most` bytes are kept apart.
    """
    sent: list[tuple[str, Answer | None]] = []
    parcels = list[Parcel]()
    try:
        for call in calls:
            parcels.append(await packed(store, call.message, most))
        answers = await store.commit([_first(each) for each in parcels])
        for call, parcel, answer in zip(calls, parcels, answers, strict=True):
            if answer.ok or _stands_in_the_way(answer):
                sent.append((call.message.id, None if answer.ok else answer))
            else:
                sent.append(await _settle_conflict(store, call, parcel, most))
    finally:
        # Guarded: nothing is taken from what was sent.
        there = {job_id for job_id, refused in sent if refused is None}
        await unpack(store, [each for each in parcels if each.message.id not in there])
    return sent


def _stands_in_the_way(answer: Answer) -> bool:
    """Whether it is something else than the purpose, or the job that holds it."""
    return answer.reason != "conflict" or (answer.key or "").startswith(HEADS)


async def regained(store: Store, message: Message) -> Transition | str | None:
    """Return what makes a job that is to run again the holder of its purpose, or who holds it.

    None if it needs no such thing. The transition has nothing but guards and a record.
    """
    key = None if message.terms is None else message.terms.unique
    if key is None:
        return None
    (record,) = await store.get([key])
    if record is None:
        return Transition(expect={key: 0}, put=(hold(message.id, key),))
    expect, holder = {key: record.version}, _decode_holder(record.value)
    if holder.job_id != message.id:
        (kept,) = await store.get([job_key(holder.job_id)])
        job = _decode_job(kept.value) if kept is not None else None
        if (holder.until and await store.now() < holder.until) or (job and not job.state.final):
            return holder.job_id
        expect[job_key(holder.job_id)] = kept.version if kept else 0
    return Transition(expect=expect, put=(hold(message.id, key),))


async def _settle_conflict(
    store: Backend, call: Wanted, parcel: Parcel, most: int
) -> tuple[str, Answer | None]:
    while True:
        attempt = await _look(store, call, parcel, most)
        if isinstance(attempt, str):
            return attempt, None
        (answer,) = await store.commit([attempt])
        if answer.ok:
            return attempt.update[0].id if attempt.update else call.message.id, None
        if _stands_in_the_way(answer):
            return call.message.id, answer
        # Somebody else was quicker, or the job has moved on: look again.


async def _look(store: Backend, call: Wanted, parcel: Parcel, most: int) -> str | Transition:
    """Return the job that is to be returned, or what to try next."""
    message, unique = call.message, call.unique
    assert unique is not None
    key = _record(message)
    (record,) = await store.get([key])
    if record is None:
        return _first(parcel)
    holder = _decode_holder(record.value)
    if holder.job_id == message.id:
        return message.id  # it was sent before; the reply was lost
    if holder.until and await store.now() < holder.until:
        return _met(unique, message, holder, "it succeeded a short while ago")
    (kept,) = await store.get([job_key(holder.job_id)])
    job = _decode_job(kept.value) if kept is not None else None
    started = job is not None and job.state is State.RUNNING
    if job is None or job.state.final or (started and unique.until == "started"):
        expect = {key: record.version, job_key(holder.job_id): kept.version if kept else 0}
        return _holding(parcel, expect)
    if unique.conflict == "replace" and not started:
        return await _replacing(store, message, record, job.message, most)
    return _met(unique, message, holder, f"it is {job.state}")


def _met(unique: Unique, message: Message, holder: Holder, why: str) -> str:
    if unique.conflict == "return":
        return holder.job_id
    verb = "replaced" if unique.conflict == "replace" else "sent twice"
    raise NotUnique(
        f"{message.task} cannot be {verb}: job {holder.job_id} is there, and {why}",
        hint=f"see: ropeway jobs show {holder.job_id}",
        job_id=holder.job_id,
    )


async def _replacing(
    store: Backend, message: Message, record: Record, there: Message, most: int
) -> Transition:
    due = await store.now() + message.delay if message.due is None else message.due
    parcel = await packed(store, replace(message, id=there.id), most)
    body = parcel.message.body
    change = Update(there.id, due=due, queue=message.queue, band=message.band, body=body)
    return Transition(
        expect={record.key: record.version, **parcel.guard},
        drop=() if body == there.body else drops(there.id, there.body),
        update=(change,),
    )


def _first(parcel: Parcel) -> Transition:
    return _holding(parcel, {_record(parcel.message): 0})


def _holding(parcel: Parcel, expect: dict[str, int]) -> Transition:
    message = parcel.message
    put = hold(message.id, _record(message))
    return Transition(expect={**expect, **parcel.guard}, put=(put,), publish=(message,))


def _record(message: Message) -> str:
    assert message.terms is not None and message.terms.unique is not None
    return message.terms.unique
