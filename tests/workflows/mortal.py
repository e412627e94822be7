"""`ropeway worker` that is killed around its commits: `python -m tests.workflows.mortal ARGUMENTS`.

With `MORTAL_AT` it kills itself, with its children, when it first comes to that point, and notes so;
with `MORTAL_WITHIN` before a commit that settles or right after one: at one of the first so many of
these boundaries, whichever chance picks.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ropeway.cli import main
from ropeway.connect import Connection
from ropeway.graph import RUNS, place_in
from ropeway.store import Backend
from ropeway.transition import Answer, Transition
from ropeway.wrappers.delegate import Delegate

POINTS = (
    "before page",
    "in page",
    "after page",
    "before settle",
    "in settle",
    "after settle",
    "before arrive",
    "in arrive",
    "after arrive",
    "before close",
    "after close",
    "before end",
    "after end",
)
"""A page of a map is sent; nodes are settled, with and without arrivals; the end of a run is written, and
settled. Before it is asked for, while it is done, and when its answer is here and nobody has heard."""

_looped = Connection.looped
_at = os.environ.get("MORTAL_AT", "")
_left = random.randint(1, int(os.environ.get("MORTAL_WITHIN") or 10**9))
_LONGEST = 0.003
"""Seconds after which one dies inside a commit, at most."""


class Mortal(Delegate):
    """Dies at a boundary of what it commits."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        kinds = {kind for each in transitions for kind in kinds_of(each)}
        counts = "settle" in kinds
        self._perhaps("before", kinds)
        _boundary(counts)
        if _at.startswith("in ") and _at[3:] in kinds:
            threading.Thread(target=_die, args=(random.uniform(0, _LONGEST),)).start()
        answers = await self.inner.commit(transitions)
        self._perhaps("after", kinds)
        _boundary(counts or "page" in kinds)
        return answers

    @staticmethod
    def _perhaps(when: str, kinds: set[str]) -> None:
        if any(_at == f"{when} {kind}" for kind in kinds):
            _die()


def kinds_of(transition: Transition) -> Iterator[str]:
    """Say what a commit is."""
    if transition.fence is not None and transition.settle is None and transition.publish:
        yield "page"
    if any(each.key.startswith(RUNS) for each in transition.put):
        yield "close"
    if transition.settle is not None and transition.fence is not None:
        yield "settle"
        if transition.arrive:
            yield "arrive"
        if place_in(transition.fence.id) == (0, 0):
            yield "end"


def _boundary(counts: bool) -> None:
    global _left
    _left -= counts
    if counts and not _left:
        _die()


def _die(pause: float = 0.0) -> None:
    time.sleep(pause)
    if _at:
        with Path("died").open("a") as notes:
            notes.write(f"{_at}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def _mortal(self: Connection, *, own: bool = False) -> Backend:
    backend = _looped(self, own=own)
    return Mortal(backend) if own else backend


if __name__ == "__main__":
    Connection.looped = _mortal  # type: ignore[method-assign]
    sys.argv[1:1] = ["worker"]
    sys.exit(main())
