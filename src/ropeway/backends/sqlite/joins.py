"""Joins: a row that counts, and a row for each member so that none counts twice."""

from __future__ import annotations

from collections.abc import Callable
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
    for arrive in transition.arrive:
        if _arrive(writing, arrive):
            fired[arrive.join] = _fire(writing, arrive.join)
    return fired


def any_over(execute: Callable[..., Any], now: float) -> bool:
    """Whether the time of some join is over."""
    first = execute(sql.EARLIEST_JOIN_PURGE).get
    return first is not None and first <= now


def remove(limit: int, writing: Writing) -> int:
    """Remove joins whose time is over, at most `limit` rows of them; return how many."""
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


def _make(writing: Writing, join: Join) -> bool:
    purge = writing.clock.now() + OPEN_KEPT
    complete = writing.execute(sql.MAKE_JOIN, (join.name, join.need, purge)).get
    if complete is None:
        return False  # it has fired
    writing.execute(sql.KEEP_THEN, (join.name, _encode(join.then)))
    return bool(complete)


def _arrive(writing: Writing, arrive: Arrive) -> bool:
    writing.execute(sql.ADD_MEMBER, (arrive.join, arrive.member, arrive.join))
    if not writing.connection.changes():
        return False  # it has arrived before, or the join has fired
    purge = writing.clock.now() + OPEN_KEPT
    return bool(writing.execute(sql.COUNT_MEMBER, (arrive.join, purge)).get)


def _fire(writing: Writing, name: str) -> Then:
    writing.execute(sql.FIRE, (writing.clock.now() + FIRED_KEPT, name))
    return _decode(writing.execute(sql.TAKE_THEN, (name,)).get)
