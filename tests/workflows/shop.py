"""An app of small tasks for tests of workflows, and a note of what ran, how often."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from ropeway import RetryPolicy, Ropeway, Run, current
from ropeway.calls import Chain
from ropeway.operate.finding import search as find
from ropeway.searching import parse
from ropeway.workflows.build import Workflow


class Shop:
    """The tasks are attributes; `ran` counts runs by the node's name, `bad` makes `fragile` fail."""

    def __init__(self, url: str) -> None:
        self.app = app = Ropeway(url, lease=5.0)
        self.ran: Counter[str] = Counter()
        self.runs: set[str | None] = set()
        self.bad: set[int] = set()
        self.gate = asyncio.Event()

        def note() -> None:
            self.ran[current.node or "?"] += 1
            self.runs.add(current.run_id)

        @app.task
        async def numbers(n: int) -> list[int]:
            note()
            return list(range(n))

        @app.task
        async def double(x: int) -> int:
            note()
            return 2 * x

        @app.task
        def total(parts: list[int], more: dict[str, int] | None = None) -> int:
            note()
            return sum(parts) + sum((more or {}).values())

        @app.task(retries=RetryPolicy(retries=0))
        async def fragile(x: int) -> int:
            note()
            if x in self.bad:
                raise ValueError(f"{x} is bad")
            return x

        @app.task
        async def truth(value: bool) -> bool:
            note()
            return value

        @app.task
        async def say(text: str) -> str:
            note()
            return text

        @app.task
        async def wait_for_gate(x: int = 0) -> int:
            note()
            await self.gate.wait()
            return x

        @app.task
        async def more(n: int) -> Any:
            """Return more work: a chain of as many steps."""
            note()
            chain: Chain[int] = double.call(1) | double
            for _ in range(n - 2):
                chain = chain | double
            return chain

        @app.task
        async def tree(n: int) -> Any:
            """Return a map over what is only known now, and its sum; or a plain number."""
            note()
            if n == 0:
                return 0
            inner: Workflow = app.workflow("inner")
            items = inner.add(numbers.call(n))
            inner.add(total.call(inner.map(double, items), {"below": inner.add(tree.call(n - 1))}))
            return inner

        self.numbers, self.double, self.total, self.fragile = numbers, double, total, fragile
        self.truth, self.say, self.wait_for_gate, self.more = truth, say, wait_for_gate, more
        self.tree = tree

    async def found(self, search: str) -> set[str]:
        """Return the ids of the jobs that a search finds."""
        store, now = self.app.store, await self.app.store.now()
        page = await find(store, parse(search, now), None, 1_000, now)
        return {each.message.id for each in page.jobs}

    async def states(self, run: Run[Any]) -> dict[str, str]:
        """Return the state of each node by its name."""
        return {each.name: each.state for each in (await run.agraph()).nodes}
