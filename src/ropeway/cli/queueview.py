"""A queue as people and programs are shown it."""

from __future__ import annotations

from collections.abc import Mapping

from ropeway.broker import QueueStats
from ropeway.cli.table import Column
from ropeway.pauses import Pause, in_words
from ropeway.words import NOTHING, date, relative

COLUMNS = (
    Column(heading="QUEUE", least=12),
    Column(heading="READY", right=True),
    Column(heading="DELAYED", right=True),
    Column(heading="LEASED", right=True),
    Column(heading="OLDEST", right=True),
    Column(heading="PAUSED", least=8, optional=1),
)


def row(stats: QueueStats, pause: Pause | None, now: float, cap: int) -> list[str]:
    """Return the cells of `COLUMNS`."""
    oldest = NOTHING if stats.oldest_due is None else relative(now - stats.oldest_due)
    return [stats.queue, *counts(stats, cap), oldest, f"by {pause.by}" if pause else NOTHING]


def counts(stats: QueueStats, cap: int) -> list[str]:
    """Write what is ready, delayed and leased; a plus after what may be more."""
    return [f"{n}+" if n >= cap else str(n) for n in (stats.ready, stats.delayed, stats.leased)]


def page(
    stats: QueueStats, pause: Pause | None, now: float, cap: int, options: Mapping[str, object]
) -> str:
    """Write all that is known of one queue."""
    ready, delayed, leased = counts(stats, cap)
    lines = {
        "queue": stats.queue,
        "ready": f"{ready} due now",
        "delayed": f"{delayed} due later",
        "leased": f"{leased} in the hands of a worker",
    }
    if stats.oldest_due is not None:
        ago = relative(now - stats.oldest_due)
        lines["oldest"] = f"due {date(stats.oldest_due)}, {ago}"
    if options:
        lines["options"] = ", ".join(f"{name}={value}" for name, value in options.items())
    lines["paused"] = in_words(pause, now) if pause else "no"
    return "\n".join(f"{name:<8} {text}" for name, text in lines.items())
