"""Loops that look by themselves do so at the same moments, so that an idle worker wakes seldom."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ropeway.backends.sqlite import Database, Looped
from ropeway.backends.sqlite.hints import POLL
from ropeway.worker.ticks import until


async def test_waits_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever they were begun, and none of them later than after a whole poll.

    Broken: each wait has a moment of its own, and a worker wakes for each.
    """
    loop, ends = asyncio.get_running_loop(), list[tuple[float, float]]()
    call_at = loop.call_at

    def noted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
        ends.append((loop.time(), when))
        return call_at(when, *rest, **more)

    database = Database(tmp_path / "jobs.db")
    transport = Looped(database)
    for name in "ab":
        await transport.wait([name], 0)
    monkeypatch.setattr(loop, "call_at", noted)
    await asyncio.gather(transport.wait(["a"], 5), transport.wait(["b"], 30))
    transport.close()
    database.close()
    for begun, end in ends:
        assert begun < end <= begun + POLL
        assert end / POLL == pytest.approx(round(end / POLL), abs=1e-6)
    for period in (0.5, 1.0):
        moment = (loop.time() + until(period)) / period
        assert moment == pytest.approx(round(moment), abs=0.01)
