"""Limits: what names one is counted when it is claimed, and parked while there is no room.

A parked message is out of the way of claims: it is `blocked` by the name of the limit. The table
`wake` says which limits hold something back in a queue, and when one of them may have room. Claims
of that queue then free as many as there is room for, in the order of their turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ops import Writing
from ropeway.claims import Limit, Meter
from ropeway.message import Message
from ropeway.store import queue_name

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str]).decode


def names_of(message: Message) -> str | None:
    """Return the column that names a message's limits, each once; null if there are none."""
    return _encode(list(dict.fromkeys(message.limits))).decode() if message.limits else None


def declare(limits: Sequence[Limit], writing: Writing) -> None:
    """Make limits or change them; what waits for one may try again."""
    for limit in limits:
        wanted = (limit.name, limit.in_flight, limit.rate, limit.burst)
        writing.execute(sql.DECLARE, wanted)
        _wake(writing, limit.name)


def choose(
    writing: Writing, queue: str, candidates: Sequence[tuple[int, str | None]], now: float
) -> list[int]:
    """Return those of the candidates that no limit holds back, and count them; park the others."""
    return [
        serial
        for serial, names in candidates
        if names is None or _admit(writing, queue, serial, _decode(names), now)
    ]


def give_back(writing: Writing, names: str) -> None:
    """A message that names these limits is leased no longer: others may try."""
    for name in _decode(names):
        writing.execute(sql.GIVE_BACK, (name,))
        writing.execute(sql.FORGET_LIMIT, (name,))
        _wake(writing, name)


def free_parked(writing: Writing, queue: str, n: int, now: float) -> None:
    """Free at most `n` messages for each limit of a queue that has room by now."""
    for (name,) in writing.execute(sql.DUE_WAKES, (queue, now)).fetchall():
        meter = _meter(writing, name)
        room = meter.room(now)
        free = n if room is None else min(n, room)
        if free > 0:
            writing.execute(sql.UNPARK, (queue, _blocked_by(name), free))
        if writing.execute(sql.IS_PARKED, (queue, _blocked_by(name))).get:
            _wake_at(writing, queue, meter, now)
        else:
            writing.execute(sql.DROP_WAKE, (queue, name))


def _admit(writing: Writing, queue: str, serial: int, names: list[str], now: float) -> bool:
    meters = [_meter(writing, name) for name in names]
    for meter in meters:
        if meter.room(now) == 0:
            writing.execute(sql.PARK, (_blocked_by(meter.limit.name), serial))
            _wake_at(writing, queue, meter, now)
            return False
    for meter in meters:
        writing.execute(sql.TAKE, (meter.limit.name, meter.after_one(now)))
    return True


def _meter(writing: Writing, name: str) -> Meter:
    row = writing.execute(sql.METER, (name,)).fetchone()
    if row is None:
        return Meter(Limit(name=name))
    in_flight, rate, burst, leased, spent = row
    return Meter(Limit(name=name, in_flight=in_flight, rate=rate, burst=burst), leased, spent)


def _wake_at(writing: Writing, queue: str, meter: Meter, now: float) -> None:
    at = meter.room_at(now)
    writing.execute(sql.SET_WAKE, (queue, meter.limit.name, None if at == math.inf else at))


def _wake(writing: Writing, name: str) -> None:
    woken = writing.execute(sql.WAKE_ALL, (writing.clock.now(), name)).fetchall()
    writing.changed.update(queue_name(queue) for (queue,) in woken)


def _blocked_by(name: str) -> str:
    # Beside it there is 'key', and a limit may have any name.
    return "limit/" + name
