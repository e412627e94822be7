"""A job's record as people and programs are shown it."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.cli.listing import Drawn
from ropeway.cli.table import Cell, Column
from ropeway.matching import ran, view, waited
from ropeway.message import JobRecord
from ropeway.operate.job import error_line
from ropeway.words import duration, relative

COLUMNS = (
    Column(heading="ID"),
    Column(heading="TASK", least=16),
    Column(heading="QUEUE", least=8, optional=5),
    Column(heading="STATE"),
    Column(heading="TRY", right=True, optional=2),
    Column(heading="WAITED", right=True, optional=4),
    Column(heading="RAN", right=True, optional=3),
    Column(heading="AGE", right=True),
    Column(heading="ERROR", least=12, optional=1),
)


_MARKS = {
    "queued": Cell("·"),
    "scheduled": Cell("◷", "cyan"),
    "retrying": Cell("↻", "yellow"),
    "running": Cell("▶", "blue"),
    "succeeded": Cell("✓", "green"),
    "failed": Cell("✕", "red"),
    "cancelled": Cell("–", "yellow"),
    "expired": Cell("◌", "yellow"),
    "quarantined": Cell("!", "bold red"),
}


def mark(job: JobRecord, now: float) -> Cell:
    """Return the sign of the state."""
    return _MARKS[view(job, now)]


def drawn(jobs: Sequence[JobRecord], now: float) -> Drawn:
    """Return the table of some jobs."""
    return Drawn(COLUMNS, [row(job, now) for job in jobs], [mark(job, now) for job in jobs])


def row(job: JobRecord, now: float) -> list[str]:
    """Return the cells of `COLUMNS`."""
    wait = waited(job, now)
    return [
        job.message.id,
        job.message.task,
        job.message.queue,
        job.state.value,
        str(job.attempt),
        relative(wait) if wait is not None and wait < 0 else duration(wait),
        duration(ran(job, now)),
        relative(max(0.0, now - job.enqueued)),
        error_line(job),
    ]
