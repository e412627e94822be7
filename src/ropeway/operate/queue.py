"""A queue as plain values."""

from __future__ import annotations

from typing import Any

from ropeway.broker import QueueStats
from ropeway.pauses import Pause
from ropeway.words import iso

CAP = 100_000
"""Counting stops here, so that looking at a long queue costs little."""


FIELDS = ("queue", "ready", "delayed", "leased", "capped", "oldest_due", "paused")
"""What `summary` returns, for `--fields`."""


def summary(stats: QueueStats, pause: Pause | None, cap: int) -> dict[str, Any]:
    """Return a queue for JSON; `capped` says that a count may be larger than it reads."""
    return {
        "queue": stats.queue,
        "ready": stats.ready,
        "delayed": stats.delayed,
        "leased": stats.leased,
        "capped": max(stats.ready, stats.delayed, stats.leased) >= cap,
        "oldest_due": iso(stats.oldest_due),
        "paused": pause_fields(pause) if pause else None,
    }


def pause_fields(pause: Pause) -> dict[str, Any]:
    """Return a pause for JSON."""
    return {"by": pause.by, "since": iso(pause.since), "why": pause.why}
