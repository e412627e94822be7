"""The values that travel: a message, its deliveries, and the changes that are committed for it.

All are frozen. Durations are seconds; instants are seconds since the Unix epoch, UTC.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct, field

from ropeway.retry import RetryPolicy
from ropeway.states import State

ENVELOPE_VERSION = 1
JOB_PREFIX = "job/"
DEFAULT_QUEUE = "default"
DEFAULT_BAND = 5
LOWEST_BAND, HIGHEST_BAND = 0, 9

Kind = Literal["loop", "threads"]


class Message(Struct, frozen=True, gc=False, kw_only=True):
    """One requested call, as it is published; nothing below the codec looks inside `body`.

    `due` is an absolute date that a user gave; `delay` is relative, and the backend adds its own
    clock to it. `signature` covers the message without itself; all that changes later (attempts,
    the current due time) is kept by the backend, outside the message.
    """

    id: str
    task: str
    body: bytes = b""
    queue: str = DEFAULT_QUEUE
    band: int = DEFAULT_BAND
    key: str | None = None
    due: float | None = None
    delay: float = 0.0
    expires: float | None = None
    kind: Kind = "threads"
    policy: RetryPolicy | None = None
    headers: dict[str, str] = field(default_factory=dict)
    trace: str | None = None
    content_type: str = "application/json"
    signature: bytes | None = None
    version: int = ENVELOPE_VERSION


class Fence(Struct, frozen=True, gc=False, array_like=True):
    """Names one attempt; a settle is accepted only from the attempt that holds the lease."""

    id: str
    attempt: int
    holder: str


class Delivery(Struct, frozen=True, gc=False, kw_only=True):
    """One leased hand-over of a message, with its counters.

    `attempt` grows at every claim and is never reset; `failures`, `losses` and `releases` are
    charged by settles. What none of them explains was abandoned: see `abandoned`. `unreadable`
    says why the message could not be read whole; it must not run then.
    """

    message: Message
    fence: Fence
    failures: int = 0
    losses: int = 0
    releases: int = 0
    enqueued: float = 0.0
    due: float = 0.0
    unreadable: str | None = None

    @property
    def abandoned(self) -> int:
        """Earlier attempts that ended without any settle (the whole machine died, say)."""
        return self.fence.attempt - self.failures - self.losses - self.releases - 1

    @property
    def first_due(self) -> float:
        """When the job was first allowed to run."""
        asked = self.message.due
        return self.enqueued + self.message.delay if asked is None else max(asked, self.enqueued)


class Failure(Struct, frozen=True, gc=False, kw_only=True):
    """An error as a value: what a caller or an operator is shown."""

    type: str
    message: str
    traceback: str = ""


Ending = Literal[
    "returned",
    "raised",
    "timed_out",
    "interrupted",
    "crashed",
    "unknown_task",
    "bad_arguments",
    "undecodable",
]


class Outcome(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """How one run of a call ended, as its executor saw it.

    `value` is the encoded result. `after` is the delay that a task asked for with `Retry`.
    `retryable` is the child's judgement, where the exception's class is known.
    """

    ending: Ending
    value: bytes | None = None
    error: Failure | None = None
    after: float | None = None
    retryable: bool = True


class Finish(Struct, frozen=True, gc=False, tag="finish", array_like=True):
    """Settle for good; the record is kept for `keep` seconds."""

    state: State
    value: bytes | None = None
    error: Failure | None = None
    keep: float = 86_400.0
    counts: Literal["failures", "none"] = "none"


class Release(Struct, frozen=True, gc=False, tag="release", array_like=True):
    """Give the message back, due `delay` seconds from the backend's now, or `at` a date.

    Without either it returns to its old place in the queue. `counts` names what is charged.
    """

    counts: Literal["failures", "losses", "releases", "none"]
    delay: float | None = None
    at: float | None = None
    error: Failure | None = None


class Reject(Struct, frozen=True, gc=False, tag="reject", array_like=True):
    """Put the message in quarantine, bytes intact, for a person to look at."""

    reason: str
    detail: str = ""
    counts: Literal["failures", "losses", "none"] = "none"
    keep: float = 604_800.0


Settle = Finish | Release | Reject


class Put(Struct, frozen=True, gc=False, array_like=True):
    """Write a record. Keys that `job_key` makes are the backend's own: a `ValueError`."""

    key: str
    value: bytes

    def __post_init__(self) -> None:
        if self.key.startswith(JOB_PREFIX):
            raise ValueError(f"{self.key!r} names a job: it changes by settles alone")


class Record(Struct, frozen=True):
    """A kept value and the number that grows with every write of its key."""

    key: str
    version: int
    value: bytes


class Transition(Struct, frozen=True, gc=False, kw_only=True, array_like=True):
    """All-or-nothing change: every guard is checked before anything is written.

    Guards: `fence` (that attempt still holds its lease) and `expect` (key -> version, 0 for
    absent). Writes: `put`, `drop`, `publish`, and `settle` of the fenced message.
    """

    fence: Fence | None = None
    expect: dict[str, int] = field(default_factory=dict)
    put: tuple[Put, ...] = ()
    drop: tuple[str, ...] = ()
    publish: tuple[Message, ...] = ()
    settle: Settle | None = None


_encode = msgspec.msgpack.Encoder().encode


def digest(transition: Transition) -> bytes:
    """Return 8 bytes that tell this transition from any other that the same attempt might send."""
    return hashlib.blake2b(_encode(transition), digest_size=8).digest()


def size(transition: Transition) -> int:
    """Return roughly how many bytes of content the transition carries."""
    total = sum(len(message.body) for message in transition.publish)
    total += sum(len(put.value) for put in transition.put)
    if isinstance(transition.settle, Finish) and transition.settle.value:
        total += len(transition.settle.value)
    return total


Refusal = Literal["lost", "conflict", "duplicate", "full", "cancelled"]


class Answer(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a backend did with one transition.

    `repeated` says that exactly this was applied before, so a caller that lost a reply may send
    it again. When refused, `key` names what stood in the way and `current` its version.
    """

    status: Literal["applied", "repeated", "refused"]
    reason: Refusal | None = None
    key: str | None = None
    current: int | None = None
    versions: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the change stands."""
        return self.status != "refused"


APPLIED = Answer(status="applied")
REPEATED = Answer(status="repeated")


class JobRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a store tells of one job: its message, counters and, when settled, how it ended."""

    message: Message
    state: State
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    releases: int = 0
    enqueued: float = 0.0
    due: float = 0.0
    started: float | None = None
    finished: float | None = None
    holder: str | None = None
    value: bytes | None = None
    error: Failure | None = None


def job_key(job_id: str) -> str:
    """Return the key under which `Store.get` answers a job's `JobRecord`, as msgpack."""
    return JOB_PREFIX + job_id
