"""Sending calls: each becomes a message, together with what its body and its purpose ask for."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from ropeway.admission import Admission
from ropeway.blobs import Parcel, packed, unpack
from ropeway.calls import Call
from ropeway.capabilities import require
from ropeway.errors import (
    Backpressure,
    BadArguments,
    MessageTooLarge,
    Refused,
    RopewayError,
    Unroutable,
)
from ropeway.exchanges import Exchanges
from ropeway.joint import send_jointly
from ropeway.message import Message
from ropeway.middleware import Hooks
from ropeway.options import Duration, duration
from ropeway.reference import HEADS
from ropeway.results import Job
from ropeway.source import Stores
from ropeway.stepping import Begun
from ropeway.store import queue_name
from ropeway.transition import Answer, Transition
from ropeway.unique import send_unique

R = TypeVar("R")
_CHUNK = 1000


class Source(Stores, Protocol):
    """What a task needs of its app."""

    @property
    def hooks(self) -> Hooks:
        """What goes around each send and each run."""
        ...

    @property
    def exchanges(self) -> Exchanges:
        """What it declares."""
        ...


def refuse_uncalled(calls: Sequence[Any]) -> None:
    """Raise `BadArguments` for what is no call of a task."""
    wrong = next((each for each in calls if not isinstance(each, Call)), None)
    if wrong is not None:
        raise BadArguments(
            f"{wrong!r:.200} is no call of a task", hint="write task.call(...) for each"
        )


def spread_out(calls: Sequence[Call[R]], seconds: float) -> list[Call[R]]:
    """Return the calls with their due times spaced evenly over so many seconds."""
    found: list[Call[R]] = []
    for number, call in enumerate(calls):
        message, later = call.message, number * seconds / len(calls)
        if message.due is None:
            message = replace(message, delay=message.delay + later)
        else:
            message = replace(message, due=message.due + later)
        found.append(call.of(message))
    return found


def chunks(calls: Iterable[Call[R]], spread: Duration) -> Iterator[list[Call[R]]]:
    """Return calls in parts that are sent at once, spread over a time; raises for what is no call."""
    if seconds := duration(spread, "spread"):
        whole = list(calls)
        refuse_uncalled(whole)
        calls = spread_out(whole, seconds)
    remaining = iter(calls)
    while chunk := list(itertools.islice(remaining, _CHUNK)):
        refuse_uncalled(chunk)
        yield chunk


def send_chunks(app: Source, calls: Iterator[list[Call[R]]]) -> list[Job[R]]:
    """Send one part after the other: the next is made ready while a server works on one."""
    jobs: list[Job[R]] = []
    begun: Begun[list[Job[R]]] | None = None
    try:
        for chunk in calls:
            if begun is not None:
                jobs += begun.finish()
            begun = Begun(send_all(app, chunk))
    except BaseException:
        if begun is not None and not begun.ended:
            with contextlib.suppress(RopewayError):
                begun.finish()
        raise
    return jobs + begun.finish() if begun is not None else jobs


async def send_all(app: Source, calls: Sequence[Call[R]]) -> list[Job[R]]:
    """Send calls in as few commits as possible; the jobs come back in the same order."""
    if not app.hooks.sends:
        return await _send_all(app, calls)
    with app.hooks.sending([call.message for call in calls]) as messages:
        changed = zip(calls, messages, strict=True)
        return await _send_all(app, [call.of(message) for call, message in changed])


async def _send_all(app: Source, calls: Sequence[Call[R]]) -> list[Job[R]]:
    for call in calls:
        if call.holes:
            name = call.holes[0].node.name
            raise BadArguments(
                f"{call.message.task} is given the result of node {name!r}, which is there only in "
                "its workflow",
                hint="write wf.add(task.call(node))",
            )
    if any(call.connection is not None for call in calls):
        await send_jointly(app, calls)
        return [Job(app, call.message.id, call.result_type) for call in calls]
    routes = app.exchanges
    if any(each.message.mandatory is not None or routes.owes(each.message.queue) for each in calls):
        await app.exchanges.adeclare()
    alone = [call for call in calls if call.unique is not None]
    if alone:
        return await _send_unique(app, calls, alone)
    answers = await _commit(app, calls)
    if any(each.reason == "full" for each in answers):
        answers = await admitted(app, calls, answers)
    return [sent(app, call, answer) for call, answer in zip(calls, answers, strict=True)]


async def _commit(app: Source, calls: Sequence[Call[R]]) -> list[Answer]:
    most = app.settings.max_message
    if all(len(call.message.body) <= most for call in calls):
        return await app.store.commit([Transition(publish=(call.message,)) for call in calls])
    return await _send_large(app, calls, most)


async def admitted(
    app: Source, calls: Sequence[Call[R]], answers: Sequence[Answer]
) -> list[Answer]:
    """Send those again that found no room where publishers wait for it; return all answers."""
    found, admission = list(answers), Admission(app)
    while await admission.next_try(found):
        again = [number for number, each in enumerate(found) if each.reason == "full"]
        told = await _commit(app, [calls[number] for number in again])
        for number, answer in zip(again, told, strict=True):
            found[number] = answer
    return found


def is_plain(app: Source, call: Call[Any]) -> bool:
    """Whether a call is just its message, as nearly every one: a commit says it all."""
    message = call.message
    return (
        call.unique is None
        and call.connection is None
        and message.mandatory is None
        and not call.holes
        and not app.exchanges.owes(message.queue)
        and len(message.body) <= app.settings.max_message
        and not app.hooks.sends
    )


async def _send_large(app: Source, calls: Sequence[Call[R]], most: int) -> list[Answer]:
    """Send calls of which some have bodies that are kept apart."""
    for call in calls:
        if call.message.mandatory is not None and len(call.message.body) > most:
            raise MessageTooLarge(
                f"the arguments of {call.message.task} take {len(call.message.body):,} bytes, more "
                f"than max_message={most:,}, and what is sent to an exchange may have many copies",
                hint="store the data elsewhere and pass a reference (a path, a key)",
            )
    store, parcels = app.store, list[Parcel]()
    try:
        for call in calls:
            parcels.append(await packed(store, call.message, most))
        answers = await store.commit([each.transition for each in parcels])
    except RopewayError:
        await unpack(store, parcels)
        raise
    pairs = zip(parcels, answers, strict=True)
    await unpack(store, [parcel for parcel, answer in pairs if not answer.ok])
    return answers


def sent(app: Source, call: Call[R], answer: Answer) -> Job[R]:
    """Return the handle of a call that a backend has answered for; raises what it was refused for."""
    if answer.status == "refused":
        raise refusal(call.message, answer)
    return Job(app, call.message.id, call.result_type, sent_at=time.monotonic())


def refusal(message: Message, answer: Answer) -> Exception:
    """Return what is raised for a message that a backend has refused."""
    return _unroutable(message) if answer.reason == "unroutable" else _refusal(answer)


def _unroutable(message: Message) -> Unroutable:
    exchange, key = message.exchange, message.routing_key
    return Unroutable(
        f"exchange {exchange!r} has no queue for routing key {key!r} and its headers",
        hint=f"see: ropeway route {exchange} {key}",
    )


async def _send_unique(
    app: Source, calls: Sequence[Call[R]], alone: Sequence[Call[R]]
) -> list[Job[R]]:
    """Send those that must be the only ones, and then the others."""
    for capability in ("store", "recorded"):
        require(app.store.capabilities, capability, "a unique call")
    ids: dict[str, str] = {}
    most, admission = app.settings.max_message, Admission(app)
    became = await send_unique(app.store, alone, most)
    while await admission.next_try([refused for _, refused in became if refused]):
        again = [n for n, (_, refused) in enumerate(became) if refused and refused.reason == "full"]
        told = await send_unique(app.store, [alone[number] for number in again], most)
        for number, each in zip(again, told, strict=True):
            became[number] = each
    for call, (job_id, refused) in zip(alone, became, strict=True):
        if refused is not None:
            raise _refusal(refused)
        ids[call.message.id] = job_id
    others = [call for call in calls if call.unique is None]
    if others:
        await _send_all(app, others)
    return [Job(app, ids.get(call.message.id, call.message.id), call.result_type) for call in calls]


def _refusal(answer: Answer) -> Exception:
    if answer.reason == "full":
        queue = (answer.key or "").removeprefix(queue_name(""))
        return Backpressure(
            f"queue {queue!r} is full: {answer.current or 0} messages wait in it",
            hint="send again later, or see what they wait for: ropeway queues show " + queue,
        )
    if answer.key is not None and answer.key.startswith(HEADS):
        return Refused(
            "its arguments were removed before it was sent: more than an hour lay in between",
            hint="send it again",
        )
    return Refused(f"the message was refused: {answer.reason} ({answer.key})")
