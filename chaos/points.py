"""Points inside a worker at which it can be made to die: around, and inside, what it asks its backend.

The controller arms a point for one process by a file; the process notes its own end before it dies, so
that the history knows the very moment.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from chaos.history import FOLDER, History, now
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.message import Delivery
from ropeway.store import Backend
from ropeway.transition import Answer, Transition
from ropeway.wrappers.delegate import Delegate

NEMESIS = "kill at "
"""A strike at a point is called this, and the name of the point."""

_LONGEST = 0.002
"""Seconds into a verb, at most, at which a process dies inside it."""


def arming(folder: Path, pid: int | str) -> Path:
    """The file that names the point at which this process is to die."""
    return folder / f"armed-{pid}"


class Points(Delegate):
    """Dies at the point that is armed, when it comes there with work in hand."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._folder = Path(os.environ[FOLDER])
        self._armed = arming(self._folder, os.getpid())

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        self._perhaps("claim", inside=True)
        deliveries = await self.inner.receive(claims, holder, lease, wait)
        if deliveries:
            self._perhaps("claimed")
        return deliveries

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        settles = any(each.settle is not None for each in transitions)
        if settles:
            self._perhaps("before settle")
            self._perhaps("settle", inside=True)
        answers = await self.inner.commit(transitions)
        if settles:
            self._perhaps("settled")
        return answers

    async def prune(self, keep: Keep, limit: int) -> int:
        self._perhaps("prune", inside=True)
        return await self.inner.prune(keep, limit)

    def _perhaps(self, point: str, *, inside: bool = False) -> None:
        try:
            wanted = self._armed.read_text()
        except FileNotFoundError:
            return
        if wanted != point:
            return
        self._armed.unlink(missing_ok=True)
        if inside:
            threading.Thread(target=self._die, args=(point, random.uniform(0, _LONGEST))).start()
        else:
            self._die(point, 0.0)

    def _die(self, point: str, pause: float) -> NoReturn:
        time.sleep(pause)
        moment = now()
        history = History(self._folder, "dead")
        history.log("strike", NEMESIS + point, sup=os.getpid(), at=moment)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL came back")


POINTS = ("claim", "claimed", "before settle", "settle", "settled", "prune")
"""In a transaction that claims; when it is done; before, in and after one that settles; pruning."""
