"""A backend at the other end of a line: every verb is asked for there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ropeway.broker import Held, QueueStats
from ropeway.capabilities import Capabilities
from ropeway.claims import MAX_BATCH, Claim, Limit, Meter
from ropeway.decide import Keep
from ropeway.message import Delivery, Fence, JobRecord
from ropeway.store import Causes, Count, Filter, Found
from ropeway.transition import Answer, Entry, Record, Transition, size
from ropeway.wrappers.batched import MAX_BYTES
from ropeway.wrappers.wire import VERBS, Failed, Reply, encode, raised


class Line(Protocol):
    """Carries a call to whoever serves it, and brings back the reply."""

    async def ask(self, verb: str, arguments: bytes) -> Reply:
        """Return the reply; raises `BackendUnavailable` when the line is lost before it came."""
        ...

    async def close(self) -> None:
        """Hang up; who waits for a reply hears that the line is lost. Asking calls again."""
        ...


class Remote:
    """The backend that serves `line`, with its contract; `capabilities` are that backend's.

    Opening does nothing, and closing hangs up: the backend is not this one's to open or close. A
    long commit goes in parts, so that no call holds up its neighbours. `patience` bounds each
    wait.
    """

    def __init__(
        self, line: Line, capabilities: Capabilities, *, patience: float = float("inf")
    ) -> None:
        self.capabilities = capabilities
        self._line = line
        self._patience = patience

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        await self._line.close()

    async def now(self) -> float:
        now: float = await self._ask("now")
        return now

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers: list[Answer] = []
        for part in _parts(transitions):
            answers += await self._ask("commit", part)
        return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        found: list[Delivery] = await self._ask("receive", claims, holder, lease, wait)
        return found

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        held: list[Held] = await self._ask("extend", fences, lease)
        return held

    async def lifeline(self, holder: str) -> str | None:
        path: str | None = await self._ask("lifeline", holder)
        return path

    async def declare(self, limits: Sequence[Limit]) -> None:
        await self._ask("declare", limits)

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        found: list[Meter] = await self._ask("meters", names)
        return found

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        found: list[JobRecord] = await self._ask("peek", queue, limit)
        return found

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        found: list[QueueStats] = await self._ask("stats", queues, cap)
        return found

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        found: list[Record | None] = await self._ask("get", keys)
        return found

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        found: list[Record] = await self._ask("scan", prefix, after, limit)
        return found

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        found: list[Entry] = await self._ask("read", log, after, limit)
        return found

    async def prune(self, keep: Keep, limit: int) -> int:
        changed: int = await self._ask("prune", keep, limit)
        return changed

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        told: list[str] = await self._ask("wait", names, min(timeout, self._patience))
        return told

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        found: Found = await self._ask("search", which, before, limit)
        return found

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        count: Count = await self._ask("count", which, cap)
        return count

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        causes: Causes = await self._ask("causes", which, limit)
        return causes

    async def _ask(self, verb: str, *arguments: Any) -> Any:
        reply = await self._line.ask(verb, encode(arguments))
        if isinstance(reply, Failed):
            raise raised(reply)
        return VERBS[verb].result.decode(reply.value)


def _parts(transitions: Sequence[Transition]) -> Iterator[list[Transition]]:
    part: list[Transition] = []
    room = MAX_BYTES
    for transition in transitions:
        part.append(transition)
        room -= size(transition)
        if room <= 0 or len(part) == MAX_BATCH:
            yield part
            part, room = [], MAX_BYTES
    if part:
        yield part
