"""A publisher of prices, and listeners."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

from msgspec import Struct

from ropeway import Event, Ropeway

app = Ropeway()
SYMBOLS = ("ACME", "BOLT", "CORK")


class Moved(Struct):
    """The price of something has changed."""

    symbol: str
    cents: int


moved = app.topic("price.moved", Moved, key="symbol", keep="1h")


async def publish(count: int, pause: float = 0.005) -> None:
    """Publish so many prices."""
    cents = dict.fromkeys(SYMBOLS, 10_000)
    for number in range(count):
        symbol = SYMBOLS[number % len(SYMBOLS)]
        cents[symbol] += random.randint(-50, 50)
        await moved.apublish(Moved(symbol, cents[symbol]))
        await asyncio.sleep(pause)


async def listen(start: str, count: int) -> list[Event[Moved]]:
    """Take the first so many prices from a place on."""
    return [event async for event in _first(start, count)]


async def _first(start: str, count: int) -> AsyncIterator[Event[Moved]]:
    seen = 0
    async for event in moved.listen(start):
        yield event
        seen += 1
        if seen == count:
            return


def last_prices(events: list[Event[Moved]]) -> dict[str, int]:
    """Return the last price of each symbol."""
    return {event.data.symbol: event.data.cents for event in events}
