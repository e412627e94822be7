"""Limits: how many calls that name one may run at once, or start in a time, wherever they run.

The code declares them and a worker brings that into force; what was set at run time wins over the
code. A record for each limit says which it is, for people and for the next worker; the backend
itself enforces what `declare` told it last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from ropeway.claims import Limit
from ropeway.config import seconds
from ropeway.errors import BadArguments, BadTask, ConfigError
from ropeway.stepping import step
from ropeway.store import Backend, Store
from ropeway.transition import Drop, Put, Record, Transition

LimitValue = int | str | tuple[int, str]
"""Calls at once, such as 5; calls in a time, such as `"30/m"`; or both."""

_PREFIX = "limit/"
_PAGE = 100
_RATE = re.compile(r"(\d+)\s*/\s*(\d*)\s*(ms|s|m|h|d|w)(?:\s+burst\s+(\d+))?")


class LimitInfo(Struct, frozen=True, kw_only=True):
    """A limit in force. `overridden` says that it was set at run time, not by the code."""

    name: str
    in_flight: int | None = None
    rate: float | None = None
    burst: int = 1
    overridden: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LimitInfo).decode


class Source(Protocol):
    """What limits need of their app."""

    @property
    def store(self) -> Backend:
        """The store for the calling context."""
        ...


class Limits:
    """The limits of an app: those that its code declares, and the verbs to change them."""

    def __init__(self, app: Source, declared: Mapping[str, LimitValue]) -> None:
        self._app = app
        self.declared: dict[str, Limit] = {}
        self.declare(declared)

    def declare(self, limits: Mapping[str, LimitValue]) -> None:
        """Note what the code says; a worker brings it into force when it starts."""
        for name, value in limits.items():
            limit = limit_of(name, value)
            if self.declared.setdefault(name, limit) != limit:
                raise BadTask(
                    f"limit {name!r} is declared twice, and not alike",
                    hint="declare it once, at the app, and name it in the tasks",
                )

    def set(self, name: str, value: LimitValue) -> None:
        """Change a limit now, for every worker, until `reset`: calls at once, `"30/m"`, or both."""
        step(self.aset(name, value))

    async def aset(self, name: str, value: LimitValue) -> None:
        """The same as `set`, for async code."""
        store, info = self._app.store, _told(limit_of(name, value), overridden=True)
        await store.commit([Transition(put=(Put(_PREFIX + name, _encode(info)),))])
        await _enforce(store, name)

    def reset(self, name: str) -> None:
        """Go back to what the code of this app declares; without that nothing is limited."""
        step(self.areset(name))

    async def areset(self, name: str) -> None:
        """The same as `reset`, for async code."""
        store, key = self._app.store, _PREFIX + name
        declared = self.declared.get(name)
        if declared is None:
            await store.commit([Transition(drop=(Drop(key),))])
        else:
            await store.commit([Transition(put=(Put(key, _encode(_told(declared))),))])
        await _enforce(store, name)

    def ls(self) -> list[LimitInfo]:
        """List the limits in force, by name."""
        return step(self.als())

    async def als(self) -> list[LimitInfo]:
        """The same as `ls`, for async code."""
        store, found = self._app.store, list[Record]()
        while page := await store.scan(_PREFIX, found[-1].key if found else "", _PAGE):
            found += page
        return [_decode(each.value) for each in found]


def limit_of(name: str, value: LimitValue) -> Limit:
    """Read a limit; raises `BadArguments`."""
    if not isinstance(name, str) or not 0 < len(name) <= 255:
        raise BadArguments(f"{name!r} is not the name of a limit", hint="use 1 to 255 characters")
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
        hint='write 5 (at once), "30/m" or "30/m burst 5" (in a time), or both: (5, "30/m")',
    )


async def bring_into_force(store: Backend, declared: Iterable[Limit]) -> None:
    """Have the backend enforce what the code declares, except what was set at run time."""
    for limit in declared:
        key, info = _PREFIX + limit.name, _told(limit)
        while True:
            (record,) = await store.get([key])
            known = _decode(record.value) if record is not None else None
            if known == info or (known is not None and known.overridden):
                break
            put, version = Put(key, _encode(info)), record.version if record is not None else 0
            (answer,) = await store.commit([Transition(expect={key: version}, put=(put,))])
            if answer.ok:
                break
        await _enforce(store, limit.name)


async def in_force(store: Store, names: Sequence[str]) -> list[LimitInfo]:
    """Return those of the limits that are in force; the others limit nothing."""
    found = await store.get([_PREFIX + name for name in names])
    return [_decode(each.value) for each in found if each is not None]


async def _enforce(store: Backend, name: str) -> None:
    """Declare what the record says, until it says the same afterwards.

    Whoever declares last has looked at the record after that, so the two agree in the end.
    """
    told: Limit | None = None
    while (limit := await _said(store, name)) != told:
        await store.declare([limit])
        told = limit


async def _said(store: Backend, name: str) -> Limit:
    (record,) = await store.get([_PREFIX + name])
    if record is None:
        return Limit(name=name)
    info = _decode(record.value)
    return Limit(name=name, in_flight=info.in_flight, rate=info.rate, burst=info.burst)


def _told(limit: Limit, *, overridden: bool = False) -> LimitInfo:
    return LimitInfo(
        name=limit.name,
        in_flight=limit.in_flight,
        rate=limit.rate,
        burst=limit.burst,
        overridden=overridden,
    )
