"""How things are: everything that decides whether anybody has to look, read at one go."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ropeway.broker import QueueStats
from ropeway.control import WorkerRecord, on_record
from ropeway.pauses import Pause, paused
from ropeway.states import State
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


async def gather(backend: Backend, cap: int) -> Facts:
    """Look at a database."""
    now = await backend.now()
    lately = Filter(state=State.FAILED, since=now - LATELY)
    return Facts(
        now=now,
        cap=cap,
        queues=await backend.stats(cap=cap),
        pauses=await paused(backend),
        workers=await on_record(backend),
        failed=(await backend.causes(lately)).found,
        quarantined=(await backend.causes(Filter(state=State.QUARANTINED))).found,
    )
