"""Natural batching: what is asked for while a commit is in flight becomes the next commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from ropeway.claims import MAX_BATCH
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.store import Backend
from ropeway.transition import Answer, Transition, size
from ropeway.wrappers.delegate import Delegate

MAX_BYTES = 4_194_304


class _Ask:
    """One caller's transitions, in the order they came, and the answers so far."""

    def __init__(self, transitions: Sequence[Transition]) -> None:
        self.todo = deque(transitions)
        self.expected = len(self.todo)
        self.answers: list[Answer] = []
        self.done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()


class Batched(Delegate):
    """Joins the commits of callers that meet, without a timer: an idle one waits for nobody.

    A batch holds at most 200 transitions and about 4 MiB. When a whole batch fails for what one
    transition holds, each is tried alone, so that only its own caller hears of it. Belongs to
    one event loop.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
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

    def _next_batch(self) -> list[tuple[_Ask, Transition]]:
        batch: list[tuple[_Ask, Transition]] = []
        room = MAX_BYTES
        while self._waiting and len(batch) < MAX_BATCH and room > 0:
            ask = self._waiting[0]
            transition = ask.todo.popleft()
            batch.append((ask, transition))
            room -= size(transition)
            if not ask.todo:
                self._waiting.popleft()
        return batch

    async def _commit_batch(self, batch: list[tuple[_Ask, Transition]]) -> None:
        try:
            answers = await self.inner.commit([transition for _, transition in batch])
        except (Indeterminate, BackendUnavailable) as error:
            self._fail({ask for ask, _ in batch}, error)
        except Exception as error:  # noqa: BLE001  whoever asked raises it
            if len(batch) == 1:
                self._fail({batch[0][0]}, error)
                return
            for item in batch:
                if not item[0].done.done():
                    await self._commit_batch([item])
        else:
            for (ask, _), answer in zip(batch, answers, strict=True):
                ask.answers.append(answer)
                if len(ask.answers) == ask.expected and not ask.done.done():
                    ask.done.set_result(ask.answers)

    def _fail(self, asks: set[_Ask], error: Exception) -> None:
        for ask in asks:
            ask.todo.clear()
            if not ask.done.done():
                ask.done.set_exception(error)
        self._waiting = deque(ask for ask in self._waiting if ask.todo)
