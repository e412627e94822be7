"""Asking a child what it is doing: in a frame, and by a signal if it answers none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from ropeway.worker.frames import Describe
from ropeway.worker.handed import Handed
from ropeway.worker.pipe import Pipe

_ANSWER = 1.0
"""Seconds for which a child may leave a question unanswered before it counts as blocked."""


class Question:
    """One at a time: who asks while another waits gets the same answer."""

    def __init__(self, handed: Handed) -> None:
        self._handed = handed
        self._asked: asyncio.Future[str] | None = None

    async def ask(self, pipe: Pipe, pid: int) -> str:
        """Return what the child's threads and coroutines are doing, in words."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            pipe.send(Describe())
        try:
            return await asyncio.wait_for(asyncio.shield(self._asked), _ANSWER)
        except TimeoutError:
            return await self._by_signal(pid)

    def answered(self, text: str) -> None:
        """The child has said this."""
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(text)
        self._asked = None

    async def _by_signal(self, pid: int) -> str:
        # Its interpreter need not come to it: what it is in the middle of writes this down.
        cell = self._handed.cell
        cell.clear_dump()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
        deadline = time.monotonic() + _ANSWER
        said = ""
        while time.monotonic() < deadline and not (said and cell.dump() == said):
            said = cell.dump()
            await asyncio.sleep(_ANSWER / 20)
        stepped = cell.stepped()
        titles = "".join(
            f"{'runs' if slot in stepped else 'holds'} job {call.delivery.fence.id}"
            f" {call.delivery.message.task} attempt {call.delivery.fence.attempt}\n"
            for slot, call, _ in self._handed.running()
        )
        unheard = "nor does it hear signals: is it stopped?"
        return f"its event loop is blocked\n{titles}{said or unheard}\n"
