"""The operations that this process carries on."""

from __future__ import annotations

import asyncio

from ropeway.config import Settings
from ropeway.operate.operations import Operation, carry
from ropeway.store import Backend

PATIENCE = 1.5
"""So long a request waits for the end of an operation; afterwards it is told how that goes on."""


class Running:
    """Carries operations on beside the pages, whoever looks; when the process ends they can be resumed."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Operation]] = {}
        self._leaving = False

    async def carry(self, store: Backend, settings: Settings, mine: Operation) -> Operation | None:
        """Carry an operation on; returns it if it ends within a moment, else None."""
        going = carry(store, settings, mine, lambda: self._leaving)
        task = self._tasks[mine.id] = asyncio.create_task(going)
        task.add_done_callback(lambda ended: self._over(mine.id, ended))
        await asyncio.wait({task}, timeout=PATIENCE)
        return task.result() if task.done() else None

    async def close(self) -> None:
        """Have each end after the batch that it is at."""
        self._leaving = True
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _over(self, wanted: str, task: asyncio.Task[Operation]) -> None:
        self._tasks.pop(wanted, None)
        if not task.cancelled():
            task.exception()  # what failed is in the audit log, and the operation is silent
