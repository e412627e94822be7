"""Groups of failures as people and programs are shown them."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.cli.listing import Drawn
from ropeway.cli.table import Column
from ropeway.operate.cause import fingerprint
from ropeway.operate.job import error_line
from ropeway.store import Cause
from ropeway.words import NOTHING, relative

_COLUMNS = (
    Column(heading="CAUSE"),
    Column(heading="JOBS", right=True),
    Column(heading="TASK", least=16),
    Column(heading="NEWEST", right=True),
    Column(heading="ERROR OF THE NEWEST", least=20),
)


def drawn(causes: Sequence[Cause], now: float) -> Drawn:
    """Return the table of some groups."""
    return Drawn(_COLUMNS, [_row(cause, now) for cause in causes])


def _row(cause: Cause, now: float) -> list[str]:
    job = cause.newest
    return [
        fingerprint(cause) or NOTHING,
        f"{cause.number}{'' if cause.whole else '+'}",
        job.message.task,
        NOTHING if job.finished is None else relative(max(0.0, now - job.finished)),
        error_line(job),
    ]
