"""A worker as plain values, and what a person should notice of workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ropeway.control import FORGOTTEN, HEARTBEAT, WorkerRecord
from ropeway.words import iso

FIELDS = (
    "worker",
    "host",
    "pid",
    "state",
    "why",
    "busy",
    "slots",
    "children",
    "queues",
    "offers",
    "app",
    "code",
    "tasks",
    "version",
    "python",
    "started",
    "heard",
    "settled",
)
"""What `summary` returns, for `--fields`."""


_LATE = HEARTBEAT * 1.5


def summary(worker: WorkerRecord) -> dict[str, Any]:
    """Return a worker for JSON."""
    return {
        "worker": worker.holder,
        "host": worker.host,
        "pid": worker.pid,
        "state": worker.state,
        "why": worker.why or None,
        "busy": worker.busy,
        "slots": worker.slots,
        "children": list(worker.children),
        "queues": None if worker.queues is None else list(worker.queues),
        "offers": worker.offers,
        "app": worker.app,
        "code": worker.code,
        "tasks": worker.tasks,
        "version": worker.version,
        "python": worker.python,
        "started": iso(worker.started),
        "heard": iso(worker.heard),
        "settled": worker.settled,
    }


def remarks(workers: Sequence[WorkerRecord], now: float) -> list[str]:
    """Say what a person should notice: silence, reasons, and code that is not the same."""
    said = [f"{each.holder}: {each.why}" for each in workers if each.why]
    said += [
        f"{each.holder}: not heard of for {now - each.heard:.0f} s; one that has died is forgotten"
        f" after {FORGOTTEN:.0f} s"
        for each in workers
        if now - each.heard > _LATE
    ]
    for app, names in _codes(workers).items():
        if len(names) > 1:
            listed = ", ".join(f"{code} ({count})" for code, count in names.most_common())
            said.append(f"workers of {app} run different code: {listed}")
    return said


def _codes(workers: Sequence[WorkerRecord]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for worker in workers:
        found.setdefault(worker.app, Counter())[worker.code] += 1
    return found
