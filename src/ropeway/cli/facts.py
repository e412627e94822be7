"""How things are: everything that `status` and `check` look at, read at one go."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ropeway.broker import QueueStats
from ropeway.cli.find import Source
from ropeway.control import WorkerRecord, Workers
from ropeway.pauses import Pause, paused
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend, Cause, Filter

LATELY = 3_600.0
"""Seconds: what was sent before is not among the failures of now."""


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a database at one instant; counts of a queue stop at `cap`."""

    now: float
    cap: int
    queues: Sequence[QueueStats] = ()
    pauses: dict[str, Pause] = {}
    workers: Sequence[WorkerRecord] = ()
    failed: Sequence[Cause] = ()
    quarantined: Sequence[Cause] = ()


def gather(backend: Backend, cap: int) -> Facts:
    """Look at a database."""
    now = step(backend.now())
    lately = Filter(state=State.FAILED, since=now - LATELY)
    return Facts(
        now=now,
        cap=cap,
        queues=step(backend.stats(cap=cap)),
        pauses=step(paused(backend)),
        workers=Workers(Source(backend)).ls(),
        failed=step(backend.causes(lately)).found,
        quarantined=step(backend.causes(Filter(state=State.QUARANTINED))).found,
    )
