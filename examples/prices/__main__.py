"""Run the example: a publisher, one who listens from the beginning on, and one who comes late."""

from __future__ import annotations

import asyncio

from examples.prices.ticker import Moved, last_prices, listen, publish
from ropeway import Event

COUNT = 60


async def main() -> None:
    """Listen live, come late, and compare."""
    live = asyncio.create_task(listen("start", COUNT))
    publisher = asyncio.create_task(publish(COUNT))
    await asyncio.sleep(COUNT * 0.005 / 2)
    late = asyncio.create_task(listen("start", COUNT))
    await publisher
    told("live", await live)
    told("late", await late)
    print(f"both end with the same: {last_prices(await live) == last_prices(await late)}")


def told(who: str, events: list[Event[Moved]]) -> None:
    """Say what somebody has seen."""
    offsets = [event.offset for event in events]
    print(f"{who} saw {len(offsets)} prices, from {offsets[0]} to {offsets[-1]}")


if __name__ == "__main__":
    asyncio.run(main())
