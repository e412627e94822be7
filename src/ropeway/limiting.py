"""The records of limits: what is in force, what the code says, and who has changed it by hand.

The backend itself enforces what `declare` told it last; the record says what that has to be, for
people and for the next worker. What was set by hand wins over the code until it is reset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.claims import Limit
from ropeway.config import seconds
from ropeway.errors import BadArguments, ConfigError, Refused
from ropeway.store import Backend, Store
from ropeway.transition import Drop, Put, Record, Transition

LimitValue = int | str | tuple[int, str]
"""Calls at once, such as 5; calls in a time, such as `"30/m"`; both; or `"none"`."""

_PREFIX = "limit/"
_PAGE = 100
_RATE = re.compile(r"(\d+)\s*/\s*(\d*)\s*(ms|s|m|h|d|w)(?:\s+burst\s+(\d+))?")
_NONE = "none"


class LimitInfo(Struct, frozen=True, kw_only=True):
    """A limit in force.

    `overridden` says that it was set by hand, at `since`, and `by` and `why` who did and for what.
    `declared` is what the code says, of the worker that started last.
    """

    name: str
    in_flight: int | None = None
    rate: float | None = None
    burst: int = 1
    overridden: bool = False
    declared: Limit | None = None
    by: str = ""
    since: float | None = None
    why: str = ""

    @property
    def limit(self) -> Limit:
        """What the backend has to enforce."""
        return Limit(name=self.name, in_flight=self.in_flight, rate=self.rate, burst=self.burst)


Change = Callable[[LimitInfo | None], LimitInfo | None]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LimitInfo).decode


# --- reading a value ------------------------------------------------------------------------------


def limit_of(name: str, value: LimitValue) -> Limit:
    """Read a limit; raises `BadArguments`."""
    if not isinstance(name, str) or not 0 < len(name) <= 255:
        raise BadArguments(f"{name!r} is not the name of a limit", hint="use 1 to 255 characters")
    if value == _NONE:
        return Limit(name=name)
    parts = value if isinstance(value, tuple) else (value,)
    fields: dict[str, float] = {}
    for part in parts:
        given = {"in_flight": part} if isinstance(part, int) else _rate(name, part)
        if given.keys() & fields.keys() or part is True or part is False:
            raise _unreadable(name, value)
        fields |= given
    try:
        return msgspec.convert({"name": name, **fields}, Limit)
    except (ValueError, msgspec.ValidationError) as error:
        raise BadArguments(f"limit {name!r}: {error}") from None


def _rate(name: str, text: str) -> dict[str, float]:
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise _unreadable(name, text)
    count, number, unit, burst = match.groups()
    try:
        period = seconds(f"{number or 1}{unit}")
        return {"rate": int(count) / period, "burst": int(burst or 1)}
    except (ConfigError, ZeroDivisionError):
        raise _unreadable(name, text) from None


def _unreadable(name: str, value: object) -> BadArguments:
    return BadArguments(
        f"limit {name!r}: {value!r} is no limit",
        hint='write 5 (at once), "30/m" or "30/m burst 5" (in a time), both: (5, "30/m"), or "none"',
    )


# --- changing what is in force --------------------------------------------------------------------


async def set_limit(backend: Backend, limit: Limit, *, by: str, why: str = "") -> LimitInfo:
    """Have a limit hold now, for every worker and whatever the code says, until it is reset."""
    since = await backend.now()

    def change(known: LimitInfo | None) -> LimitInfo:
        made = _told(limit, known.declared if known else None)
        return replace(made, overridden=True, by=by, since=since, why=why)

    _, made = await _change(backend, limit.name, change)
    assert made is not None
    return made


async def reset_limit(
    backend: Backend, name: str, declared: Limit | None = None
) -> tuple[LimitInfo | None, LimitInfo | None]:
    """Go back to what is `declared`, else to what the code said last; without that to no limit.

    Returns what was in force before, and what is now.
    """

    def change(known: LimitInfo | None) -> LimitInfo | None:
        says = declared or (known.declared if known else None)
        return _told(says, says) if says else None

    return await _change(backend, name, change)


async def bring_into_force(backend: Backend, declared: Iterable[Limit]) -> None:
    """Have the backend enforce what the code declares, except what was set by hand."""
    for limit in declared:

        def change(known: LimitInfo | None, limit: Limit = limit) -> LimitInfo:
            if known is not None and known.overridden:
                return replace(known, declared=limit)
            return _told(limit, limit)

        await _change(backend, limit.name, change)


async def in_force(store: Store, names: Sequence[str]) -> list[LimitInfo]:
    """Return those of the limits that are in force; the others limit nothing."""
    found = await store.get([_PREFIX + name for name in names])
    return [_decode(each.value) for each in found if each is not None]


async def all_in_force(store: Store) -> list[LimitInfo]:
    """Return every limit that is in force, by name."""
    found = list[Record]()
    while page := await store.scan(_PREFIX, found[-1].key if found else "", _PAGE):
        found += page
    return [_decode(each.value) for each in found]


async def _change(
    backend: Backend, name: str, change: Change
) -> tuple[LimitInfo | None, LimitInfo | None]:
    """Write what `change` makes of a record, and have it enforced; return the old and the new."""
    key = _PREFIX + name
    while True:
        (record,) = await backend.get([key])
        known = _decode(record.value) if record is not None else None
        wanted = change(known)
        if wanted == known:
            break
        expect = {key: record.version if record is not None else 0}
        if wanted is None:
            written = Transition(expect=expect, drop=(Drop(key),))
        else:
            written = Transition(expect=expect, put=(Put(key, _encode(wanted)),))
        (answer,) = await backend.commit([written])
        if answer.ok:
            break
        if answer.reason != "conflict":
            raise Refused(f"limit {name!r} could not be changed: {answer.reason}")
    await _enforce(backend, name)
    return known, wanted


async def _enforce(backend: Backend, name: str) -> None:
    """Declare what the record says, until it says the same afterwards.

    Whoever declares last has looked at the record after that, so the two agree in the end.
    """
    told: Limit | None = None
    while (limit := await _said(backend, name)) != told:
        await backend.declare([limit])
        told = limit


async def _said(store: Store, name: str) -> Limit:
    found = await in_force(store, [name])
    return found[0].limit if found else Limit(name=name)


def _told(limit: Limit, declared: Limit | None) -> LimitInfo:
    return LimitInfo(
        name=limit.name,
        in_flight=limit.in_flight,
        rate=limit.rate,
        burst=limit.burst,
        declared=declared,
    )
