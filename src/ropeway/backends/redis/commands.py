"""What the scripts `publish`, `settle` and `commit` are sent, and what is made of their answers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from ropeway.backends.redis.rows import (
    NONE,
    Fresh,
    failure_bytes,
    joined,
    message_parts,
)
from ropeway.claims import MAX_BATCH
from ropeway.envelope import NUMBERS
from ropeway.message import Message, job_key
from ropeway.states import State
from ropeway.transition import (
    APPLIED,
    FIRED_KEPT,
    OPEN_KEPT,
    REPEATED,
    Answer,
    Finish,
    Put,
    Refusal,
    Reject,
    Revive,
    Settle,
    Transition,
    Update,
    digest,
    guards_state,
    is_plain,
    size,
)

Arg = bytes | str | int | float
Args = list[Arg]

JOBS = job_key("")
"""What the keys of jobs begin with, which are no records of the usual form."""

_MOST_BYTES = 1_048_576
"""In one call: the server does nothing else until it has read and done it."""

_RUN = struct.Struct("<IIB")
_SETTLE = struct.Struct("<BBBBddd")
_PUT = struct.Struct("<dB")
_UPDATE = struct.Struct("<dBB")
_REVIVE = struct.Struct("<dB")
_COUNTS = struct.Struct("<13I")
_CHARGES = {"none": 0, "failures": 1, "losses": 2, "releases": 3, "unknown": 4}
_FAILED = NUMBERS[State.QUARANTINED]


def number(value: float | None) -> float:
    """Return a number as the scripts have it."""
    return NONE if value is None else value


def parts_of(transitions: Sequence[Transition]) -> Iterator[Sequence[Transition]]:
    """Part a list into what one call may hold, by number and by bytes."""
    if len(transitions) == 1:
        yield transitions
        return
    first, held = 0, 0
    for at, each in enumerate(transitions):
        held += size(each)
        if at > first and (at - first >= MAX_BATCH or held > _MOST_BYTES):
            yield transitions[first:at]
            first, held = at, size(each)
    if first < len(transitions):
        yield transitions[first:]


def is_settle(transition: Transition) -> bool:
    """Whether all that a transition does is to settle."""
    return (
        transition.settle is not None
        and transition.fence is not None
        and not transition.publish
        and not guards_state(transition)
        and is_plain(transition)
    )


def is_message(transition: Transition) -> bool:
    """Whether all that a transition does is to publish one message."""
    return (
        len(transition.publish) == 1
        and transition.fence is None
        and not guards_state(transition)
        and is_plain(transition)
    )


def is_guarded(transition: Transition) -> bool:
    """Whether all that it does is to publish one message, unless certain records are there."""
    return (
        len(transition.publish) == 1
        and transition.fence is None
        and not transition.room
        and not any(transition.expect.values())
        and not any(key.startswith(JOBS) for key in transition.expect)
        and is_plain(transition)
    )


def encode_messages(messages: Sequence[Message]) -> Args:
    """Return the arguments of `publish`."""
    args: Args = []
    for message in messages:
        args += message_parts(message)
    return args


def encode_send(found: Fresh, told: bytes) -> Args:
    """Return the arguments of `send`, which tells of a message on the channel `told`."""
    return [*found.kept, found.before, found.after, found.lane, found.queue, told]


def encode_send_many(found: Fresh, told: bytes, absent: Sequence[str] = ()) -> Args:
    """Return the arguments of `send_many`, which tells of messages on the channel `told`.

    It does nothing if one of the records `absent` is there.
    """
    head: Args = [found.before, found.after, found.lane, found.queue, told, len(absent)]
    return [*head, *absent, *found.kept]


def encode_settles(transitions: Sequence[Transition]) -> Args:
    """Return the arguments of `settle`."""
    args: Args = []
    for (holder, attempt, head, error, bare), run in groupby(map(_parted, transitions), _in_common):
        members: Args = []
        for _, fence_id, rest in run:
            members += (fence_id,) if bare else (fence_id, rest)
        count = len(members) if bare else len(members) // 2
        args += (holder, _RUN.pack(count, attempt, bare) + head, error, *members)
    return args


def _parted(transition: Transition) -> tuple[tuple[str, int, bytes, bytes, bool], str, bytes]:
    """Return what a settle has in common with others, its id, and its digest and value in one.

    The last is left out where nothing is remembered, for the job is gone then.
    """
    fence, settle = transition.fence, transition.settle
    assert fence is not None
    head, error, value = _settle(settle)
    gone = isinstance(settle, Finish) and settle.keep <= 0
    rest = b"" if gone else digest(transition) + value
    return (fence.holder, fence.attempt, head, error, gone), fence.id, rest


_in_common = itemgetter(0)


def encode(transitions: Sequence[Transition]) -> Args:
    """Return the arguments of `commit`."""
    args: Args = [repr(FIRED_KEPT), repr(OPEN_KEPT), len(transitions)]
    for transition in transitions:
        if is_message(transition):
            args.append("p")
            args += message_parts(transition.publish[0])
        elif is_settle(transition):
            args.append("s")
            _add_fence(args, transition)
            args += _settle(transition.settle)
        else:
            args.append("g")
            _add_general(args, transition)
    return args


def _add_fence(args: Args, transition: Transition) -> None:
    fence = transition.fence
    assert fence is not None
    args += (fence.id, fence.attempt, fence.holder, digest(transition))


def _settle(settle: Settle | None) -> tuple[bytes, bytes, bytes]:
    """Return the three parts of a settle: numbers, the error, the value."""
    if isinstance(settle, Finish):
        has_value = settle.value is not None
        head = _finish(settle.state, settle.counts, settle.keep, has_value=has_value)
        return head, failure_bytes(settle.error), settle.value or b""
    if isinstance(settle, Reject):
        head = _SETTLE.pack(2, _FAILED, _CHARGES[settle.counts], 0, settle.keep, NONE, NONE)
        return head, failure_bytes(settle.failure()), b""
    assert settle is not None
    times = number(settle.delay), number(settle.at)
    head = _SETTLE.pack(1, 0, _CHARGES[settle.counts], 0, 0.0, *times)
    return head, failure_bytes(settle.error), b""


@lru_cache(maxsize=64)
def _finish(state: State, counts: str, keep: float, *, has_value: bool) -> bytes:
    return _SETTLE.pack(0, NUMBERS[state], _CHARGES[counts], has_value, keep, NONE, NONE)


def _put(each: Put) -> Args:
    meta = _PUT.pack(number(each.ttl), each.if_owner is not None)
    return [each.key, each.value, each.owner, each.if_owner or "", meta]


def _update(each: Update) -> Args:
    meta = _UPDATE.pack(number(each.due), each.queue is not None, each.body is not None)
    band = "" if each.band is None else str(each.band)
    return [each.id, each.queue or "", band, each.body or b"", meta]


def _revive(each: Revive) -> Args:
    meta = _REVIVE.pack(number(each.due), each.message is not None)
    _, raw, static = message_parts(each.message) if each.message else ("", b"", b"")
    return [each.id, raw, static, meta]


_PARTS: dict[str, Callable[[Any], Sequence[Arg]]] = {
    "expect": lambda each: each,
    "put": _put,
    "drop": lambda each: (each.key, each.if_owner or "", int(each.if_owner is not None)),
    "append": lambda each: (each.log, each.value),
    "trim": lambda each: (each.log, each.upto),
    "publish": message_parts,
    "join": lambda each: (each.name, each.need, joined(each.then)),
    "arrive": lambda each: (each.join, each.member),
    "cancel": lambda each: (each.id, repr(each.keep)),
    "update": _update,
    "revive": _revive,
    "remove": lambda each: (each.id,),
    "room": lambda each: each,
}
"""How each kind of part is written, in the order in which the script reads them."""


def _add_general(args: Args, transition: Transition) -> None:
    fenced, settles = transition.fence is not None, transition.settle is not None
    args.append(fenced + 2 * settles + 4 * is_plain(transition))
    if fenced:
        _add_fence(args, transition)
    parts = {name: getattr(transition, name) for name in _PARTS}
    parts["expect"] = tuple(transition.expect.items())
    parts["room"] = tuple(transition.room.items())
    args.append(_COUNTS.pack(*map(len, parts.values())))
    for name, many in parts.items():
        for each in many:
            args += _PARTS[name](each)
    if settles:
        args += _settle(transition.settle)


def answer_of(reply: Any) -> Answer:
    """Make an answer of what the script says to one transition."""
    if reply == 0:
        return APPLIED
    if reply == 1:
        return REPEATED
    if reply[0] == 2:
        reason: Refusal = reply[1].decode()
        return Answer(status="refused", reason=reason, key=reply[2].decode(), current=reply[3])
    _, versions, offsets, fired, cancelled, flagged = reply
    return Answer(
        status="applied",
        versions=_pairs(versions),
        offsets=_pairs(offsets),
        fired=tuple(each.decode() for each in fired),
        cancelled=tuple(each.decode() for each in cancelled),
        flagged=tuple(each.decode() for each in flagged),
    )


def _pairs(flat: Sequence[Any]) -> dict[str, int]:
    return {key.decode(): value for key, value in zip(flat[::2], flat[1::2], strict=True)}
