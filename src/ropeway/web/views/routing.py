"""Exchanges and bindings: as a picture, as a table, and where a message would go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from ropeway.operate.exchange import summary, wants, why
from ropeway.routing import Binding, Value, Way
from ropeway.topology import Topology, load
from ropeway.web.at import At, Shown

_ROW, _COLUMN, _WIDTH, _HEIGHT = 44, 380, 180, 30
_DRAWN = 60
"""A picture of more bindings than these would show nothing."""


class Box(Struct, frozen=True):
    """An exchange or a queue in the picture."""

    name: str
    note: str
    x: int
    y: int
    kind: str


class Line(Struct, frozen=True):
    """A binding in the picture; `marked` is on the way that was asked for."""

    path: str
    label: str
    x: int
    y: int
    marked: bool


class Picture(Struct, frozen=True):
    """Exchanges on the left, queues on the right, and the bindings between them."""

    boxes: list[Box]
    lines: list[Line]
    width: int
    height: int


async def routing(at: At) -> Shown:
    """Show what is declared, and the ways of a message that was asked for."""
    found = await load(at.store)
    exchange, key, headers = at.asks("exchange"), at.asks("key"), at.asks("headers")
    ways: list[Way] | None = None
    fault = ""
    if exchange:
        try:
            ways = list(found.router().ways(exchange, key, headers_of(headers)))
        except LookupError as error:
            fault = str(error.args[0])
    taken = {id_of(each) for way in ways or () for each in way.bindings}
    return Shown(
        template="routing.html",
        title=at.words("Routing"),
        values={
            "exchanges": [summary(found, each) for each in found.exchanges.values()],
            "bindings": [
                (each, wants(msgspec.structs.asdict(each)), id_of(each) in taken)
                for each in sorted(found.bindings, key=lambda each: (each.source, each.to))
            ],
            "picture": draw(found, taken) if len(found.bindings) <= _DRAWN else None,
            "asked": {"exchange": exchange, "key": key, "headers": headers},
            "ways": None if ways is None else [(way.queue, why(exchange, way)) for way in ways],
            "fault": fault,
        },
    )


def headers_of(text: str) -> dict[str, Value]:
    """Read `name=value` words; a name alone is a header of whatever value."""
    found: dict[str, Value] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        found[name] = value if equals else None
    return found


def id_of(binding: Binding) -> str:
    """Return what tells a binding from all others."""
    return f"{binding.source}\0{binding.to}\0{binding.key}\0{sorted(map(str, binding.arguments))}"


def draw(found: Topology, marked: set[str]) -> Picture | None:
    """Lay exchanges and queues out in columns: an exchange is right of those bound to it."""
    if not found.bindings:
        return None
    depth = depths(found.exchanges, found.bindings)
    last = max(depth.values(), default=0) + 1
    queues = dict.fromkeys(each.to for each in found.bindings if not each.to_exchange)
    columns = {("exchange", name): at for name, at in depth.items()}
    columns |= {("queue", name): last for name in queues}
    used = [0] * (last + 1)
    boxes: dict[tuple[str, str], Box] = {}
    for (kind, name), column in columns.items():
        note = found.exchanges[name].type if kind == "exchange" else ""
        boxes[kind, name] = Box(name, note, column * _COLUMN + 8, used[column] * _ROW + 8, kind)
        used[column] += 1
    lines = [
        _line(boxes["exchange", each.source], end, each, id_of(each) in marked)
        for each in found.bindings
        if (end := boxes.get(("exchange" if each.to_exchange else "queue", each.to))) is not None
        and ("exchange", each.source) in boxes
    ]
    height = max(used) * _ROW + 16
    return Picture(list(boxes.values()), lines, last * _COLUMN + _WIDTH + 16, height)


def depths(exchanges: Iterable[str], bindings: Sequence[Binding]) -> dict[str, int]:
    """Return how many exchanges are before each at most; a circle ends where it began."""
    depth = dict.fromkeys(exchanges, 0)
    for _ in depth:
        for each in bindings:
            if each.to_exchange and each.to in depth and each.source in depth:
                below = min(depth[each.source] + 1, len(depth) - 1)
                depth[each.to] = max(depth[each.to], below)
    return depth


def _line(start: Box, end: Box, binding: Binding, marked: bool) -> Line:
    x1, y1 = start.x + _WIDTH, start.y + _HEIGHT // 2
    x2, y2 = end.x, end.y + _HEIGHT // 2
    bend = max(30, (x2 - x1) // 2)
    label = wants(msgspec.structs.asdict(binding))
    path = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    # Beside its end lines are apart: what a label says is read there.
    return Line(path, label, x1 + (x2 - x1) * 3 // 4, y1 + (y2 - y1) * 27 // 32 - 4, marked)
