"""Limits: what names one is counted when it is claimed, and parked while there is no room.

A parked message is in a lane where no claim looks, and in the table `parked` in the order of its
turn. The table `wake` says which limits hold something of a kind back in a queue, and when one of
them may have room. Claims that ask for it then free as many as there is room for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.lanes import BY_LIMIT
from ropeway.backends.sqlite.ops import Writing
from ropeway.claims import AGEING, Limit, Meter
from ropeway.message import Message
from ropeway.store import queue_name

Candidate = tuple[float, int, str | None, int]
"""Its place, its serial, the names of its limits, and its kind."""

Execute = Callable[..., Any]

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


def meters(execute: Execute, names: Sequence[str]) -> list[Meter]:
    """Return each limit and what of it is used, in the order asked."""
    return [_meter(execute, name) for name in names]


def choose(
    writing: Writing, queue: str, band: int, candidates: Sequence[Candidate], now: float
) -> list[int]:
    """Return those of the candidates that no limit holds back, and count them; park the others."""
    chosen: list[int] = []
    for place, serial, names, kind in candidates:
        full = None if names is None else _admit(writing, _decode(names), now)
        if full is None:
            chosen.append(serial)
        else:
            rank = place - AGEING * band
            writing.execute(sql.LEAVE_LANE, (BY_LIMIT, serial))
            writing.execute(sql.PARK, (queue, kind, full.limit.name, rank, serial))
            _wake_at(writing, queue, kind, full, now)
    return chosen


def give_back(writing: Writing, names: str) -> None:
    """A message that names these limits is leased no longer: others may try."""
    for name in _decode(names):
        writing.execute(sql.GIVE_BACK, (name,))
        writing.execute(sql.FORGET_LIMIT, (name,))
        _wake(writing, name)


def free_parked(writing: Writing, queue: str, kind: int, n: int, now: float) -> None:
    """Free at most `n` messages of a kind for each limit of a queue that has room by now."""
    for (name,) in writing.execute(sql.DUE_WAKES, (queue, kind, now)).fetchall():
        meter = _meter(writing.execute, name)
        room = meter.room(now)
        free = n if room is None else min(n, room)
        place = (queue, kind, name)
        while (serial := writing.execute(sql.FIRST_PARKED, place).get) is not None and free > 0:
            writing.execute(sql.UNPARK, (serial,))
            writing.execute(sql.DROP_PARKED, (serial,))
            free -= 1
        if serial is None:
            writing.execute(sql.DROP_WAKE, place)
        else:
            _wake_at(writing, queue, kind, meter, now)


def _admit(writing: Writing, names: list[str], now: float) -> Meter | None:
    """Count a message if there is room for it, or return the first limit where there is none."""
    found = meters(writing.execute, names)
    for meter in found:
        if meter.room(now) == 0:
            return meter
    for meter in found:
        writing.execute(sql.TAKE, (meter.limit.name, meter.after_one(now)))
    return None


def _meter(execute: Execute, name: str) -> Meter:
    row = execute(sql.METER, (name,)).fetchone()
    if row is None:
        return Meter(Limit(name=name))
    in_flight, rate, burst, leased, spent = row
    return Meter(Limit(name=name, in_flight=in_flight, rate=rate, burst=burst), leased, spent)


def _wake_at(writing: Writing, queue: str, kind: int, meter: Meter, now: float) -> None:
    at = meter.room_at(now)
    writing.execute(sql.SET_WAKE, (queue, kind, meter.limit.name, None if at == math.inf else at))


def _wake(writing: Writing, name: str) -> None:
    woken = writing.execute(sql.WAKE_ALL, (writing.clock.now(), name)).fetchall()
    writing.changed.update(queue_name(queue) for (queue,) in woken)
