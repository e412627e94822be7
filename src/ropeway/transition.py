"""The one way to change anything: transitions as values, and a backend's answers to them."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct, field

from ropeway.message import JOB_PREFIX, Failure, Fence, Message
from ropeway.states import State


class Finish(Struct, frozen=True, gc=False, tag="finish", array_like=True):
    """Settle for good; the record is kept for `keep` seconds, and with 0 it goes at once."""

    state: State
    value: bytes | None = None
    error: Failure | None = None
    keep: float = 86_400.0
    counts: Literal["failures", "none"] = "none"


class Release(Struct, frozen=True, gc=False, tag="release", array_like=True):
    """Give the message back, due `delay` seconds from the backend's now, or `at` a date.

    Without either it returns to its old place in the queue. `counts` names what is charged; an
    "unknown" one is a release as well, and with "none" the attempt counts as abandoned, as if
    nobody had settled it. A message whose cancellation was asked for does not go back: it is
    settled as cancelled.
    """

    counts: Literal["failures", "losses", "releases", "unknown", "none"]
    delay: float | None = None
    at: float | None = None
    error: Failure | None = None


class Reject(Struct, frozen=True, gc=False, tag="reject", array_like=True):
    """Put the message in quarantine, bytes intact, for a person to look at."""

    reason: str
    detail: str = ""
    counts: Literal["failures", "losses", "none"] = "none"
    keep: float = 604_800.0
    fingerprint: str = ""

    def failure(self) -> Failure:
        """Return it as what is kept as the job's error."""
        return Failure(type=self.reason, message=self.detail, fingerprint=self.fingerprint)


Settle = Finish | Release | Reject

FIRED_KEPT = 86_400.0
"""Seconds for which a join is remembered after it has fired, so that it cannot fire again."""

OPEN_KEPT = 31_536_000.0
"""Seconds after which a join that has not fired is given up, longer than anybody waits for one: what
it holds back is owed, so that only what nobody can complete any more may go."""


class Put(Struct, frozen=True, gc=False, array_like=True):
    """Write a record; after `ttl` seconds it is gone. `owner` is kept with it.

    A record that is over is absent for everybody. With `if_owner` the write is skipped, and
    nothing is refused, unless the record is absent or has that owner; then the answer has no
    version of it. Keys that `job_key` makes are the backend's own: a `ValueError`.
    """

    key: str
    value: bytes
    ttl: float | None = None
    owner: str = ""
    if_owner: str | None = None

    def __post_init__(self) -> None:
        _refuse_job(self.key)


class Drop(Struct, frozen=True, gc=False, array_like=True):
    """Remove a record if it is there; with `if_owner` only one that has that owner."""

    key: str
    if_owner: str | None = None

    def __post_init__(self) -> None:
        _refuse_job(self.key)


class Append(Struct, frozen=True, gc=False, array_like=True):
    """Add an entry to the end of a log, which begins with its first entry."""

    log: str
    value: bytes


class Trim(Struct, frozen=True, gc=False, array_like=True):
    """Remove the entries of a log up to the offset `upto`, but never its last one.

    So the end of a log can always be read. Offsets go on as if nothing had gone.
    """

    log: str
    upto: int


class Join(Struct, frozen=True, gc=False, array_like=True):
    """Have `then` published when `need` distinct members have arrived, at once if they have.

    The same join made again keeps its `then` and raises `need` to the larger of the two; it never
    lowers it. When it has fired it stays as it is: later arrivals and joins change nothing. A
    message of `then` whose id is already there is not published again, whatever is in it.
    `Store.prune` forgets a join, with its members, `FIRED_KEPT` seconds after it has fired, and
    one that has not `OPEN_KEPT` seconds after it was last made, or first arrived at.
    """

    name: str
    need: int
    then: tuple[Message, ...] = ()


class Arrive(Struct, frozen=True, gc=False, array_like=True):
    """Count `member` in, once however often it arrives, also before the join is made.

    Arrivals never conflict with each other.
    """

    join: str
    member: str


class Cancel(Struct, frozen=True, gc=False, array_like=True):
    """End a job that waits as cancelled, its record kept for `keep` seconds; flag one that runs.

    A flagged job's holder hears of it from `extend`, and is hinted to ask at once. Whatever then
    ends its attempt without finishing it, also the end of its lease, settles it as cancelled. A
    job that is settled or unknown stays as it is: nothing is refused.
    """

    id: str
    keep: float = 604_800.0


class Update(Struct, frozen=True, gc=False, array_like=True):
    """Change a job that waits, keeping its counters; None leaves a field as it is.

    Refused as a conflict if the job is running, settled or unknown.
    """

    id: str
    due: float | None = None
    queue: str | None = None
    band: int | None = None
    body: bytes | None = None


class Revive(Struct, frozen=True, gc=False, array_like=True):
    """Have a settled job wait again under its own id, due at `due`, or now.

    It is as if it had just been published: in its queue behind what is ready, of its key where its
    publishing had put it, with nothing counted against it; only `attempt` goes on, so that no
    attempt of before can settle it. A result goes, the error stays to be looked at. `message` takes
    the place of the kept one: what is needed to put it right. Refused as a conflict unless the job
    is settled; name its version in `expect` to revive only what was looked at.
    """

    id: str
    due: float | None = None
    message: Message | None = None

    def __post_init__(self) -> None:
        if self.message is not None and self.message.id != self.id:
            raise ValueError(f"job {self.id} cannot become job {self.message.id}")


class Remove(Struct, frozen=True, gc=False, array_like=True):
    """Forget a settled job at once. A conflict if it waits or runs; one that is unknown is gone."""

    id: str


class Record(Struct, frozen=True):
    """A kept value and the number that grows with every write of its key."""

    key: str
    version: int
    value: bytes
    owner: str = ""


class Entry(Struct, frozen=True):
    """One entry of a log; offsets grow by one, from 1, in the order of commits."""

    offset: int
    value: bytes
    appended: float


class Transition(Struct, frozen=True, gc=False, kw_only=True, array_like=True):
    """All-or-nothing change: every guard is checked before anything is written.

    Guards: `fence` (that attempt still holds its lease), `expect` (key -> version, 0 for absent),
    that every updated job waits, that those to be revived or removed are settled, and `room` (queue
    -> how many may wait in it, with what this publishes into it). Writes, in the order of the
    fields: `put`, `drop`, `append`, `trim`, `publish`, `join`, `arrive`, `cancel`, `update`,
    `revive`, `remove`, and `settle` of the fenced message.
    """

    fence: Fence | None = None
    expect: dict[str, int] = field(default_factory=dict)
    put: tuple[Put, ...] = ()
    drop: tuple[Drop, ...] = ()
    append: tuple[Append, ...] = ()
    trim: tuple[Trim, ...] = ()
    publish: tuple[Message, ...] = ()
    join: tuple[Join, ...] = ()
    arrive: tuple[Arrive, ...] = ()
    cancel: tuple[Cancel, ...] = ()
    update: tuple[Update, ...] = ()
    revive: tuple[Revive, ...] = ()
    remove: tuple[Remove, ...] = ()
    settle: Settle | None = None
    room: dict[str, int] = field(default_factory=dict)


_encode = msgspec.msgpack.Encoder().encode


def digest(transition: Transition) -> bytes:
    """Return 8 bytes that tell this transition from any other that the same attempt might send."""
    return hashlib.blake2b(_encode(transition), digest_size=8).digest()


def guards_state(transition: Transition) -> bool:
    """Whether it depends on more than its fence and the ids of its messages."""
    return bool(transition.expect or transition.room)


def only_publishes(transition: Transition) -> bool:
    """Whether it publishes and does nothing else, so that it may be repeated whatever became of it."""
    return transition.settle is None and not guards_state(transition) and is_plain(transition)


def is_plain(transition: Transition) -> bool:
    """Whether all that the transition writes is messages and a settle, as nearly every one."""
    return not (
        transition.put
        or transition.drop
        or transition.append
        or transition.trim
        or transition.join
        or transition.arrive
        or transition.cancel
        or transition.update
        or transition.revive
        or transition.remove
    )


def only_arrives(transition: Transition) -> bool:
    """Whether it is a settle, arrivals, and nothing else: as the end of a node that succeeded."""
    return transition.settle is not None and not (
        guards_state(transition)
        or transition.publish
        or transition.put
        or transition.drop
        or transition.append
        or transition.trim
        or transition.join
        or transition.cancel
        or transition.update
        or transition.revive
        or transition.remove
    )


def size(transition: Transition) -> int:
    """Return roughly how many bytes of content the transition carries."""
    settle = transition.settle
    total = len(settle.value) if isinstance(settle, Finish) and settle.value else 0
    for message in transition.publish:
        total += len(message.body)
    # Asked twice for each message there is, of which nearly all are plain.
    return total if is_plain(transition) else total + _size_of_the_rest(transition)


def _size_of_the_rest(transition: Transition) -> int:
    return (
        sum(len(put.value) for put in transition.put)
        + sum(len(append.value) for append in transition.append)
        + sum(len(message.body) for join in transition.join for message in join.then)
        + sum(len(each.message.body) for each in transition.revive if each.message)
    )


Refusal = Literal["lost", "conflict", "duplicate", "full", "cancelled", "unroutable"]


class Answer(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a backend did with one transition.

    `repeated` says that exactly this was applied before, so a caller that lost a reply may send
    it again. When refused, `key` names what stood in the way and `current` its version; when `full`
    that is the name of the queue, and how many wait in it, as far as that was counted. Effects:
    `versions` of what was put, `offsets` of what was appended (the last one for each log), joins
    that `fired`, and which jobs `cancel` ended or flagged.
    """

    status: Literal["applied", "repeated", "refused"]
    reason: Refusal | None = None
    key: str | None = None
    current: int | None = None
    versions: dict[str, int] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    fired: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the change stands."""
        return self.status != "refused"


APPLIED = Answer(status="applied")
REPEATED = Answer(status="repeated")


def _refuse_job(key: str) -> None:
    if key.startswith(JOB_PREFIX):
        raise ValueError(f"{key!r} names a job: it changes by settles alone")
