"""`ropeway worker` that is killed around its settles: `python -m tests.workflows.mortal ARGUMENTS`.

Before a commit that settles or right after one it kills itself, with its children: at one of the
first so many of these boundaries, whichever chance picks.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Sequence

from ropeway.cli import main
from ropeway.connect import Connection
from ropeway.store import Backend
from ropeway.transition import Answer, Transition
from ropeway.wrappers.delegate import Delegate

_looped = Connection.looped
_left = random.randint(1, int(os.environ["MORTAL_WITHIN"]))


class Mortal(Delegate):
    """Dies at a boundary of what it commits."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        settles = any(each.settle is not None for each in transitions)
        _boundary(settles)
        answers = await self.inner.commit(transitions)
        _boundary(settles or any(each.publish for each in transitions))
        return answers


def _boundary(counts: bool) -> None:
    global _left
    _left -= counts
    if counts and not _left:
        os.kill(os.getpid(), signal.SIGKILL)


def _mortal(self: Connection, *, own: bool = False) -> Backend:
    backend = _looped(self, own=own)
    return Mortal(backend) if own else backend


if __name__ == "__main__":
    Connection.looped = _mortal  # type: ignore[method-assign]
    sys.argv[1:1] = ["worker"]
    sys.exit(main())
