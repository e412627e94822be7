"""Limits: what names one is counted when it is claimed, and parked while there is no room.

A parked message is in a lane where no claim looks, with the limit that it waits for and its turn.
The table `wake` says which limits hold something of a kind back in a queue, and when one of them
may have room. Claims that ask for it then free as many as there is room for. All of this happens
under one lock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from ropeway.backends.postgres.rows import columns
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.claims import AGEING, Limit, Meter

Candidate = tuple[float, int, str, str | None, int]
"""Its place, its serial, its id, the names of its limits, and its kind."""

_decode = msgspec.json.Decoder(list[str]).decode


async def declare(connection: Connection, limits: Sequence[Limit]) -> list[str]:
    """Make limits or change them; returns the queues in which something may try again."""
    ordered = sorted(limits, key=lambda each: each.name)
    rows = [(each.name, each.in_flight, each.rate, each.burst) for each in ordered]
    await connection.execute(SQL["declare"], *columns(rows, 4))
    woken = await connection.fetch(SQL["wake_all"], [each.name for each in limits])
    return [queue for (queue,) in woken]


async def choose(
    connection: Connection, queue: str, band: int, candidates: Sequence[Candidate], now: float
) -> list[str]:
    """Return those of the candidates that no limit holds back, and count them; park the others."""
    limited = [_decode(names) for _, _, _, names, _ in candidates if names is not None]
    meters = await meters_of(connection, {name for names in limited for name in names})
    chosen: list[str] = []
    parked: list[tuple[str, str, float]] = []
    wakes: dict[tuple[str, int, str], float | None] = {}
    taken: set[str] = set()
    for place, _, job_id, names, kind in candidates:
        mine = [] if names is None else _decode(names)
        full = next((name for name in mine if meters[name].room(now) == 0), None)
        if full is None:
            chosen.append(job_id)
            taken.update(mine)
            meters |= {name: _one_more(meters[name], now) for name in mine}
        else:
            parked.append((job_id, full, place - AGEING * band))
            wakes[queue, kind, full] = _date(meters[full].room_at(now))
    if taken:
        rows = [(name, meters[name].leased, meters[name].spent) for name in sorted(taken)]
        await connection.execute(SQL["keep_meters"], *columns(rows, 3))
    if parked:
        await connection.execute(SQL["park"], *columns(parked, 3))
        dated = [(*where, at) for where, at in wakes.items()]
        await connection.execute(SQL["set_wake"], *columns(dated, 4))
    return chosen


async def free_parked(connection: Connection, queue: str, kind: int, n: int, now: float) -> None:
    """Free at most `n` messages of a kind for each limit of a queue that has room by now."""
    due = [name for (name,) in await connection.fetch(SQL["due_wakes"], queue, kind)]
    meters = await meters_of(connection, set(due))
    for name in due:
        room = meters[name].room(now)
        free = n if room is None else min(n, room)
        if free > 0:
            await connection.execute(SQL["unpark"], queue, kind, name, free)
        if await connection.fetchval(SQL["any_parked"], queue, kind, name):
            at = _date(meters[name].room_at(now))
            await connection.execute(SQL["set_wake"], [queue], [kind], [name], [at])
        else:
            await connection.execute(SQL["drop_wake"], queue, kind, name)


async def meters_of(connection: Connection, names: Iterable[str]) -> dict[str, Meter]:
    """Return each limit and what of it is used."""
    meters = {name: Meter(Limit(name=name)) for name in names}
    if meters:
        found = await connection.fetch(SQL["meters"], [*meters])
        for name, in_flight, rate, burst, leased, spent in found:
            limit = Limit(name=name, in_flight=in_flight, rate=rate, burst=burst)
            meters[name] = Meter(limit, leased, spent)
    return meters


def _one_more(meter: Meter, now: float) -> Meter:
    return replace(meter, leased=meter.leased + 1, spent=meter.after_one(now))


def _date(at: float) -> float | None:
    return None if at == math.inf else at
