"""The app that is measured: subscribers that do nothing but look at the clock now and then."""

from __future__ import annotations

import os
import time

from msgspec import Struct

from ropeway import Ropeway

app = Ropeway(os.environ["ROPEWAY_URL"])


class Tick(Struct):
    """The price of something."""

    symbol: str
    price: float


ticks = app.topic("ticks", Tick, key="symbol")
late = app.topic("late", float)
_NOTES = os.open(os.environ["TOPICS_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _handler(number: int) -> None:
    @ticks.subscribe(f"reader-{number}", from_="start")
    async def handle(event: Tick) -> None: ...


for each in range(int(os.environ["TOPICS_READERS"])):
    _handler(each)


@late.subscribe("clock")
async def note(event: float) -> None:
    """Note how long it took to get here."""
    os.write(_NOTES, f"{time.time() - event}\n".encode())
