"""The steps that cases are made of: send, take, settle, look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import msgspec

from ropeway.broker import QueueStats
from ropeway.claims import Claim
from ropeway.ids import new_id
from ropeway.message import DEFAULT_QUEUE, Delivery, JobRecord, Message, job_key
from ropeway.store import Backend
from ropeway.testing.conformance.harness import Harness
from ropeway.transition import APPLIED, Answer, Put, Settle, Transition

T = TypeVar("T")

LATE = 1.0
"""Seconds by which whoever waits may hear late: enough for a backend that polls."""

LONG = 30.0
"""Seconds that a waiter is ready to wait when the case is that it need not."""

_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


def message(**fields: Any) -> Message:
    """Make a message that differs from every other; `fields` are those of `Message`."""
    return Message(**{"id": new_id(), "task": "conformance", **fields})


async def send(backend: Backend, *messages: Message) -> None:
    """Publish in one commit, each message in a transition of its own."""
    answers = await backend.commit([Transition(publish=(each,)) for each in messages])
    assert answers == [APPLIED] * len(messages)


async def sent(backend: Backend, count: int = 1, **fields: Any) -> list[Message]:
    """Make `count` like messages and publish them in one commit."""
    messages = [message(**fields) for _ in range(count)]
    await send(backend, *messages)
    return messages


async def apply(backend: Backend, **fields: Any) -> Answer:
    """Commit one transition, which must be applied, and return its answer."""
    (answer,) = await backend.commit([Transition(**fields)])
    assert answer.status == "applied"
    return answer


async def put(backend: Backend, key: str, value: bytes = b"", **more: Any) -> int:
    """Write one record and return its version; `more` are further fields of the `Put`."""
    return (await apply(backend, put=(Put(key, value, **more),))).versions[key]


async def value_of(backend: Backend, key: str) -> bytes | None:
    """Return the value of one record."""
    (record,) = await backend.get([key])
    return record.value if record else None


async def version_of(backend: Backend, key: str) -> int:
    """Return the version of one record, 0 if it is absent."""
    (record,) = await backend.get([key])
    return record.version if record else 0


async def job(backend: Backend, job_id: str) -> JobRecord:
    """Return all that is kept of one job."""
    value = await value_of(backend, job_key(job_id))
    assert value is not None, f"nothing is kept of job {job_id}"
    return _decode_job(value)


async def counts(backend: Backend, queue: str = DEFAULT_QUEUE, cap: int = 1000) -> QueueStats:
    """Return the counts of one queue."""
    (found,) = await backend.stats([queue], cap)
    return found


class Claimer:
    """A worker as a backend sees it: a name, and leases of `lease` seconds."""

    def __init__(self, backend: Backend, name: str, lease: float) -> None:
        self.backend = backend
        self.name = name
        self.lease = lease

    async def claim(self, *claims: Claim, wait: float = 0.0) -> list[Delivery]:
        """Receive what `claims` ask for."""
        return await self.backend.receive(claims, self.name, self.lease, wait)

    async def take(self, n: int = 1, queue: str = DEFAULT_QUEUE) -> list[Delivery]:
        """Receive at most `n` messages, without waiting."""
        return await self.claim(Claim(queue, n))

    async def take_one(self, queue: str = DEFAULT_QUEUE) -> Delivery:
        """Receive the one message that must be there."""
        found = await self.take(1, queue)
        assert len(found) == 1, "nothing was handed over"
        return found[0]

    async def wait_one(self) -> Delivery:
        """Receive one message, however often nothing is handed over."""
        one = Claim(DEFAULT_QUEUE, 1)
        while not (found := await self.claim(one, wait=LONG)):  # noqa: ASYNC110  it waits
            await asyncio.sleep(0)
        return found[0]

    async def settle(self, delivery: Delivery, settle: Settle, **more: Any) -> Answer:
        """Settle a delivery; `more` are further fields of the transition."""
        (answer,) = await self.backend.commit([settled(delivery, settle, **more)])
        return answer


def claimer(harness: Harness, name: str = "first", units: float = 1.0) -> Claimer:
    """Make a worker on the backend under test, with leases of `units`."""
    return Claimer(harness.backend, name, units * harness.unit)


async def second_claimer(harness: Harness, units: float = 1.0) -> Claimer:
    """Make a worker on another handle, as in another process."""
    return Claimer(await harness.second(), "second", units * harness.unit)


def settled(delivery: Delivery, settle: Settle, **more: Any) -> Transition:
    """Make the transition that settles a delivery."""
    return Transition(fence=delivery.fence, settle=settle, **more)


def ids(found: list[Delivery] | list[Message] | list[JobRecord]) -> list[str]:
    """Return the ids of jobs, in order."""
    return [each.id if isinstance(each, Message) else each.message.id for each in found]


@asynccontextmanager
async def promptly(what: str) -> AsyncIterator[None]:
    """Fail if the block lasts longer than a hint may be late."""
    try:
        async with asyncio.timeout(LATE):
            yield
    except TimeoutError:
        raise AssertionError(f"{what}: not within {LATE} s") from None


@asynccontextmanager
async def waiting(waiter: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Start a waiter, give it time to fall asleep, and end it with the block."""
    task = asyncio.create_task(waiter)
    try:
        await asyncio.wait({task}, timeout=0.05)
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
