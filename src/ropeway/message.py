"""The values that travel: a message, its deliveries, and what becomes of them.

All are frozen. Durations are seconds; instants are seconds since the Unix epoch, UTC.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct, field

from ropeway.graph import Place
from ropeway.retry import RetryPolicy
from ropeway.states import State

ENVELOPE_VERSION = 1
JOB_PREFIX = "job/"
SOLO_AFTER, CHARGED_AFTER = 2, 4
"""Abandoned attempts after which a message runs alone, and after which a death that nothing explains
is charged to it: until then somebody may have killed its process, or its worker, from outside."""

SCHEDULE_HEADER, INSTANT_HEADER = "ropeway-schedule", "ropeway-instant"
"""What a job that a schedule sent says of it, and of the instant that it was sent for."""

DEFAULT_QUEUE = "default"
DEFAULT_BAND = 5
LOWEST_BAND, HIGHEST_BAND = 0, 9

Kind = Literal["loop", "threads", "cpu"]
KINDS: tuple[Kind, ...] = ("threads", "loop", "cpu")


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is agreed for one call beside its task's own rules; durations are seconds.

    `timeout`, `keep` (of the record after success), `early` (settled before it runs) and `store`
    (a record after success) come before the task's own; None leaves them to it. `expires` counts
    from when the job is first due. `unique` is the key of the record that no other live job may
    hold, `window` how long it is held after success. The process of a run that takes longer than
    `hard_timeout`, or more bytes of `memory`, is ended. `version` is that of
    the task that it was sent for, `node` its place in a workflow, if it has one.
    """

    timeout: float | None = None
    hard_timeout: float | None = None
    memory: int | None = None
    keep: float | None = None
    early: bool | None = None
    store: bool | None = None
    expires: float | None = None
    tags: tuple[str, ...] = ()
    unique: str | None = None
    window: float = 0.0
    version: int = 1
    node: Place | None = None

    def over(self, base: Terms) -> Terms:
        """Return these terms with what they leave open taken from `base`."""
        left = {
            name: value
            for name in ("timeout", "keep", "early", "store")
            if (value := getattr(base, name)) is not None and getattr(self, name) is None
        }
        return msgspec.structs.replace(self, **left) if left else self


class Message(Struct, frozen=True, gc=False, kw_only=True):
    """One requested call, as it is published; nothing below the codec looks inside `body`.

    `due` is an absolute date that a user gave; `delay` is relative, and the backend adds its own
    clock to it. `signature` is that of whoever published it, if there are keys: see `signing`. All
    that changes later (attempts, the current due time) is kept by the backend, outside the message.

    Messages of one queue with the same `key` are handed out one at a time, in the order they were
    published, also through retries. `limits` names those that its runs are counted against.

    One with `mandatory` set goes where its `exchange` sends it, by `routing_key` and `headers`, and
    not to `queue`; if that is nowhere, it is refused (True) or dropped (False). On what rests in a
    queue `mandatory` is None, and the other two tell how it came there.
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
    limits: tuple[str, ...] = ()
    terms: Terms | None = None
    exchange: str = ""
    routing_key: str = ""
    mandatory: bool | None = None
    version: int = ENVELOPE_VERSION

    def first_due(self, enqueued: float) -> float:
        """Return when it was first allowed to run, if it was stored at `enqueued`."""
        return enqueued + self.delay if self.due is None else max(self.due, enqueued)

    def expiry(self, enqueued: float) -> float | None:
        """Return from when on it must not be started, if it was stored at `enqueued`."""
        after = None if self.terms is None else self.terms.expires
        return self.expires if after is None else self.first_due(enqueued) + after


class Fence(Struct, frozen=True, gc=False, array_like=True):
    """Names one attempt; a settle is accepted only from the attempt that holds the lease."""

    id: str
    attempt: int
    holder: str


class Delivery(Struct, frozen=True, gc=False, kw_only=True):
    """One leased hand-over of a message, with its counters.

    `attempt` grows at every claim and is never reset; `failures`, `losses` and `releases` are
    charged by settles, and `unknown` tells how many of the releases were made because the worker
    did not know the task. What none of them explains was abandoned: see `abandoned` and `solo`.
    `unreadable` says why the message could not be read whole, `forged` why its signature does not
    hold; it must not run then.
    """

    message: Message
    fence: Fence
    failures: int = 0
    losses: int = 0
    releases: int = 0
    unknown: int = 0
    enqueued: float = 0.0
    due: float = 0.0
    unreadable: str | None = None
    forged: str | None = None

    @property
    def abandoned(self) -> int:
        """Earlier attempts that ended with nothing charged: the whole machine died, say."""
        return _abandoned(self.fence.attempt, self.failures, self.losses, self.releases)

    @property
    def solo(self) -> bool:
        """Whether it must run beside nothing else, so that a death is its own and charged."""
        # No more were abandoned than there were before: of nearly all that says it.
        return self.fence.attempt > SOLO_AFTER and self.abandoned >= SOLO_AFTER

    @property
    def first_due(self) -> float:
        """When the job was first allowed to run."""
        return self.message.first_due(self.enqueued)


class Failure(Struct, frozen=True, gc=False, kw_only=True):
    """An error as a value: what a caller or an operator is shown.

    `fingerprint` is the same for errors of the same cause: see `fingerprint`.
    """

    type: str
    message: str
    traceback: str = ""
    fingerprint: str = ""


def fingerprint(task: str, type: str, where: str = "") -> str:
    """Return what failures of one cause have in common: the task, the error's type, and where.

    Nothing that differs from run to run, such as a number in the text, may be in `where`.
    """
    told = f"{task}\0{type}\0{where}"
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


Ending = Literal[
    "returned",
    "settled",
    "skipped",
    "raised",
    "timed_out",
    "interrupted",
    "crashed",
    "abandoned",
    "unknown_task",
    "bad_arguments",
    "undecodable",
    "bad_signature",
]


class Outcome(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """How one run of a call ended, as its executor saw it.

    "settled" says that the call has settled its job itself, with what it wrote, "skipped" that a node
    of a workflow is not to run. "crashed" is the
    death of its process that it is charged with, "abandoned" one that it may have
    caused. `value` is the encoded result. `after` is the delay that a task asked for with `Retry`, or
    that something given back has to wait. `retryable` is the child's judgement, where the
    exception's class is known. `progress` is the last report of the call, encoded. `next` takes the
    place of the joins that a node's message names.
    """

    ending: Ending
    value: bytes | None = None
    error: Failure | None = None
    after: float | None = None
    retryable: bool = True
    progress: bytes | None = None
    next: tuple[str, ...] | None = None


class JobRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a store tells of one job: its message, counters and, when settled, how it ended."""

    message: Message
    state: State
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    releases: int = 0
    unknown: int = 0
    enqueued: float = 0.0
    due: float = 0.0
    started: float | None = None
    finished: float | None = None
    holder: str | None = None
    value: bytes | None = None
    error: Failure | None = None
    cancelling: bool = False

    @property
    def abandoned(self) -> int:
        """Attempts before the newest one that ended with nothing charged."""
        return _abandoned(self.attempt, self.failures, self.losses, self.releases)


def solo_key(job_id: str) -> str:
    """Return the key of the record that names the attempt of a job that has begun to run alone."""
    return "solo/" + job_id


def solo_mark(attempt: int) -> bytes:
    """Return what that record holds."""
    return b"%d" % attempt


LATE_PREFIX = "late/"


def late_key(job_id: str) -> str:
    """Return the key of the record which notes that a job was ended before it was started."""
    return LATE_PREFIX + job_id


def is_lost(attempt: int, abandoned: int, mark: bytes | None) -> bool:
    """Whether the silent end of an attempt is charged: it ran alone, and not for the first time."""
    return abandoned >= CHARGED_AFTER and mark == solo_mark(attempt)


def _abandoned(attempt: int, failures: int, losses: int, releases: int) -> int:
    return attempt - failures - losses - releases - 1


def job_key(job_id: str) -> str:
    """Return the key under which `Store.get` answers a job's `JobRecord`, as msgpack."""
    return JOB_PREFIX + job_id
