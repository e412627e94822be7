"""What supervisor and child say to each other; msgpack arrays, told apart by a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec
from msgspec import Struct

from ropeway.bounds import Queue
from ropeway.claims import Limit
from ropeway.message import Delivery, Kind, Outcome, Terms
from ropeway.retry import RetryPolicy
from ropeway.routing import Binding, Exchange
from ropeway.runs.records import INNER
from ropeway.schedules.declaring import Declared
from ropeway.topics.records import SubscriptionRecord, TopicRecord


class TaskInfo(Struct, frozen=True, kw_only=True):
    """What a supervisor knows of a task, without importing it."""

    kind: Kind
    queue: str
    digest: str
    policy: RetryPolicy
    terms: Terms = Terms()


class Manifest(Struct, frozen=True, tag=1, array_like=True):
    """A child's first word: the app as it imported it, settings and all."""

    pid: int
    settings: dict[str, str | int | float]
    tasks: dict[str, TaskInfo]
    slots: dict[Kind, int]
    limits: list[Limit] = []
    code: str = ""
    exchanges: list[Exchange] = []
    bindings: list[Binding] = []
    schedules: list[Declared] = []
    topics: list[TopicRecord] = []
    subscriptions: list[SubscriptionRecord] = []
    queues: list[Queue] = []


def own_tasks(tasks: Mapping[str, TaskInfo]) -> dict[str, TaskInfo]:
    """Return those of the app, without what every worker knows."""
    return {name: info for name, info in tasks.items() if not name.startswith(INNER)}


class Start(Struct, frozen=True, array_like=True, gc=False):
    """One call to run, known to both sides by its `slot`."""

    slot: int
    job_id: str
    task: str
    attempt: int
    body: bytes
    content_type: str
    policy: RetryPolicy | None
    holder: str = ""
    queue: str = ""
    key: str | None = None
    headers: dict[str, str] | None = None
    terms: Terms | None = None
    solo: bool = False
    trace: str | None = None
    exchange: str = ""
    routing_key: str = ""

    @classmethod
    def of(cls, slot: int, delivery: Delivery) -> Self:
        """What a delivery says of the call to run."""
        message, fence = delivery.message, delivery.fence
        return cls(
            slot,
            message.id,
            message.task,
            fence.attempt,
            message.body,
            message.content_type,
            message.policy,
            fence.holder,
            message.queue,
            message.key,
            message.headers or None,
            message.terms,
            delivery.solo,
            message.trace,
            message.exchange,
            message.routing_key,
        )


class Run(Struct, frozen=True, tag=2, array_like=True):
    """Supervisor: run these."""

    calls: list[Start]


class Ended(Struct, frozen=True, tag=3, array_like=True):
    """Child: these have ended."""

    outcomes: list[tuple[int, Outcome]]


class Recall(Struct, frozen=True, tag=4, array_like=True):
    """Supervisor: give back what has not started."""


class Recalled(Struct, frozen=True, tag=5, array_like=True):
    """Child: these had not started, and will not."""

    slots: list[int]


class Interrupt(Struct, frozen=True, tag=6, array_like=True):
    """Supervisor: stop these, as far as their executor can."""

    slots: list[int]


class Hold(Struct, frozen=True, tag=7, array_like=True):
    """Supervisor: keep this lifeline, so that my death is not taken for yours."""

    path: str


class Describe(Struct, frozen=True, tag=20, array_like=True):
    """Supervisor: say what every thread and coroutine of yours is doing."""


class Described(Struct, frozen=True, tag=21, array_like=True):
    """Child: this is what they do."""

    text: str


FromChild = Manifest | Ended | Recalled | Described
ToChild = Run | Recall | Interrupt | Hold | Describe

CONTROL = (Recall, Interrupt, Recalled, Hold, Describe, Described)
"""Frames that go ahead of those that carry bodies."""

encode = msgspec.msgpack.Encoder().encode
decode_from_child = msgspec.msgpack.Decoder(FromChild).decode
decode_to_child = msgspec.msgpack.Decoder(ToChild).decode
