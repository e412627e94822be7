"""Durable subscriptions in one process, on memory: workers that are cut off in the middle of it."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ropeway import Ropeway
from tests.conftest import AsyncEventually

COUNT = 60


class Moved(Struct):
    """Something happened to an account, for the how manieth time."""

    account: str
    number: int


async def _publish(topic: Any, name: str, chance: random.Random) -> None:
    sent = 0
    while sent < COUNT:
        n = min(chance.randint(1, 9), COUNT - sent)
        await topic.apublish_many(Moved(f"{name}{i % 3}", i) for i in range(sent, sent + n))
        sent += n
        await asyncio.sleep(chance.random() / 200)


async def test_no_event_is_skipped_or_lost_when_workers_are_cut_off(
    aeventually: AsyncEventually,
) -> None:
    """Four publish, three subscribe, and what runs is interrupted at once: each gets all, in order."""
    app = Ropeway("memory://", lease=1)
    moved = app.topic("account.moved", Moved, key="account", partitions=2)
    seen: dict[str, dict[str, list[int]]] = {
        n: defaultdict(list) for n in ("loop", "thread", "slow")
    }

    def noting(name: str) -> Callable[[Moved], None]:
        return lambda event: seen[name][event.account].append(event.number)

    @moved.subscribe("loop", from_="start")
    async def in_loop(event: Moved) -> None:
        noting("loop")(event)

    @moved.subscribe("thread", from_="start")
    def in_thread(event: Moved) -> None:
        noting("thread")(event)

    @app.topics.subscribe("account.#", "slow", from_="start")
    async def slow(event: Moved) -> None:
        await asyncio.sleep(0.001)
        noting("slow")(event)

    def count(name: str) -> int:
        return sum(len(set(numbers)) for numbers in seen[name].values())

    chance = random.Random(11)
    publishers = [asyncio.create_task(_publish(moved, name, chance)) for name in "abcd"]
    for _ in range(3):
        goal = count("slow") + chance.randrange(1, 40)
        async with app.worker() as worker:
            await aeventually(lambda goal=goal: count("slow") >= goal)  # type: ignore[misc]  # bound
            worker.stop(now=True)
    await asyncio.gather(*publishers)
    async with app.worker():
        await aeventually(lambda: {count(name) for name in seen} == {4 * COUNT}, 30)
    for name, accounts in seen.items():
        for numbers in accounts.values():
            assert list(dict.fromkeys(numbers)) == sorted(set(numbers)), (name, numbers)
    await app.aclose()
