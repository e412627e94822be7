"""Natural batching: what is asked for while a commit is in flight becomes the next commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import chain, islice
from typing import NamedTuple

from ropeway.claims import MAX_BATCH
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.store import Backend
from ropeway.transition import Answer, Transition, only_publishes, size
from ropeway.wrappers.delegate import Delegate

MAX_BYTES = 4_194_304


class _Ask:
    """One caller's transitions, in the order they came, how far they are, and the answers so far."""

    def __init__(self, transitions: Sequence[Transition]) -> None:
        self.transitions = transitions
        self.begun = 0
        self.answers: list[Answer] = []
        self.done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()

    def next(self, room: _Room) -> _Part:
        """Return what goes next, as far as there is room."""
        start, end = self.begun, len(self.transitions)
        while self.begun < end and room.take(self.transitions[self.begun]):
            self.begun += 1
        return _Part(self, start, self.begun)

    def answer(self, answers: Sequence[Answer]) -> None:
        """Take the next answers; the last ones are what the caller waits for."""
        self.answers += answers
        if len(self.answers) == len(self.transitions) and not self.done.done():
            self.done.set_result(self.answers)


class _Room:
    """How much more a batch may hold: as many as one transaction holds, or `most` that only publish."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, MAX_BYTES
        self._count, self._publishes = 0, True

    def take(self, transition: Transition) -> bool:
        """Make room for one; False if there is none."""
        publishes = self._publishes and only_publishes(transition)
        if self._bytes <= 0 or self._count >= (self._most if publishes else MAX_BATCH):
            return False
        self._publishes = publishes
        self._count += 1
        self._bytes -= size(transition)
        return True


class _Part(NamedTuple):
    """Some of one caller's transitions, one after the other."""

    ask: _Ask
    start: int
    end: int

    @property
    def transitions(self) -> Sequence[Transition]:
        return self.ask.transitions[self.start : self.end]

    def single(self) -> list[_Part]:
        """Return a part for each."""
        return [_Part(self.ask, at, at + 1) for at in range(self.start, self.end)]


class Batched(Delegate):
    """Joins the commits of callers that meet, without a timer: an idle one waits for nobody.

    A batch holds at most 200 transitions, or `most` that only publish, and about 4 MiB: so the
    backend has it in one transaction, or in several of what may be repeated. When a whole batch
    fails for what one transition holds, each is tried alone, so that only its own caller hears of
    it. Belongs to one event loop.
    """

    def __init__(self, inner: Backend, most: int = MAX_BATCH) -> None:
        super().__init__(inner)
        self._most = most
        self._waiting: deque[_Ask] = deque()
        self._driver: asyncio.Task[None] | None = None

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        if not transitions:
            return []
        ask = _Ask(transitions)
        self._waiting.append(ask)
        if self._driver is None:
            # A task of its own: the caller that happened to come first may be cancelled.
            self._driver = asyncio.create_task(self._drive())
        return await ask.done

    async def close(self) -> None:
        if self._driver is not None:
            await asyncio.wait([self._driver])
        await self.inner.close()

    async def _drive(self) -> None:
        try:
            while self._waiting:
                await self._commit_batch(self._next_batch())
        finally:
            self._driver = None

    def _next_batch(self) -> list[_Part]:
        batch: list[_Part] = []
        room = _Room(self._most)
        while self._waiting:
            ask = self._waiting[0]
            part = ask.next(room)
            if part.start < part.end:
                batch.append(part)
            if ask.begun < len(ask.transitions):
                break
            self._waiting.popleft()
        return batch

    async def _commit_batch(self, batch: list[_Part]) -> None:
        parts = [part.transitions for part in batch]
        try:
            answers = await self.inner.commit(parts[0] if len(parts) == 1 else [*chain(*parts)])
        except (Indeterminate, BackendUnavailable) as error:
            self._fail({part.ask for part in batch}, error)
        except Exception as error:  # noqa: BLE001  whoever asked raises it
            each = [one for part in batch for one in part.single()]
            if len(each) == 1:
                self._fail({each[0].ask}, error)
                return
            for one in each:
                if not one.ask.done.done():
                    await self._commit_batch([one])
        else:
            told = iter(answers)
            for part in batch:
                part.ask.answer([*islice(told, part.end - part.start)])

    def _fail(self, asks: set[_Ask], error: Exception) -> None:
        for ask in asks:
            ask.begun = len(ask.transitions)
            if not ask.done.done():
                ask.done.set_exception(error)
        self._waiting = deque(ask for ask in self._waiting if ask not in asks)
