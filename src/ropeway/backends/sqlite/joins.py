"""Joins: a row that counts, and a row for each member so that none counts twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ops import Writing
from ropeway.message import Message
from ropeway.transition import FIRED_KEPT, OPEN_KEPT, Arrive, Join, Transition

Then = tuple[Message, ...]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Then).decode


def apply(writing: Writing, transition: Transition) -> dict[str, Then]:
    """Make joins and count members in; return what is to be published for each that fires."""
    fired: dict[str, Then] = {}
    for join in transition.join:
        if _make(writing, join):
            fired[join.name] = _fire(writing, join.name)
    return fired | arrive_all(writing, transition.arrive)


def any_over(execute: Callable[..., Any], now: float) -> bool:
    """Whether the time of some join is over."""
    first = execute(sql.EARLIEST_JOIN_PURGE).get
    return first is not None and first <= now


def remove(limit: int, writing: Writing) -> int:
    """Remove joins whose time is over, at most `limit` rows of them; return how many."""
    _count(writing)
    over = writing.execute(sql.JOINS_OVER, (writing.clock.now(), limit)).fetchall()
    removed = 0
    for (name,) in over:
        writing.execute(sql.DROP_MEMBERS, (name, limit - removed))
        removed += writing.connection.changes()
        if removed == limit:
            break  # the join goes after its last member, with the next step
        writing.execute(sql.DROP_THEN, (name,))
        writing.execute(sql.DROP_JOIN, (name,))
        removed += 1
    return removed


def arrive_all(writing: Writing, arrivals: Sequence[Arrive]) -> dict[str, Then]:
    """Count members in; return what is to be published for each join that fires."""
    return {each.join: _fire(writing, each.join) for each in arrivals if _arrive(writing, each)}


class _Point:
    """How a join stands in the middle of a transaction; `counted` is what its row says."""

    __slots__ = ("arrived", "counted", "fired", "need")

    def __init__(self, need: int | None, arrived: int, fired: int) -> None:
        self.need, self.arrived, self.fired = need, arrived, bool(fired)
        self.counted = arrived


def _point(writing: Writing, name: str) -> _Point:
    found: _Point | None = writing.points.get(name)
    if found is None:
        if not writing.points:
            writing.last.append(partial(_count, writing))
        row = writing.execute(sql.JOIN_POINT, (name,)).fetchone()
        found = writing.points[name] = _Point(*row or (None, 0, 0))
    return found


def _count(writing: Writing) -> None:
    """Write how many have arrived, once for all that did so in this transaction."""
    points, writing.points = writing.points, {}
    for name, point in points.items():
        if point.arrived != point.counted:
            purge = writing.clock.now() + OPEN_KEPT
            writing.execute(sql.COUNT_MEMBERS, (name, point.arrived, purge))


def _make(writing: Writing, join: Join) -> bool:
    if join.name in writing.points:
        _count(writing)
    purge = writing.clock.now() + OPEN_KEPT
    complete = writing.execute(sql.MAKE_JOIN, (join.name, join.need, purge)).get
    if complete is None:
        return False  # it has fired
    writing.execute(sql.KEEP_THEN, (join.name, _encode(join.then)))
    return bool(complete)


def _arrive(writing: Writing, arrive: Arrive) -> bool:
    point = _point(writing, arrive.join)
    if point.fired:
        return False
    # Who comes first and completes it is nobody who could come twice: it fires.
    if point.arrived or point.need != 1:
        writing.execute(sql.ADD_MEMBER, (arrive.join, arrive.member))
        if not writing.connection.changes():
            return False  # it has arrived before
    point.arrived += 1
    return point.need is not None and point.arrived >= point.need


def _fire(writing: Writing, name: str) -> Then:
    point = _point(writing, name)
    point.fired, point.counted = True, point.arrived
    writing.execute(sql.FIRE, (point.arrived, writing.clock.now() + FIRED_KEPT, name))
    return _decode(writing.execute(sql.TAKE_THEN, (name,)).get)
