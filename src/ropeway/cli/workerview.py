"""A worker as people and programs are shown it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ropeway.cli.listing import Drawn
from ropeway.cli.table import Cell, Column
from ropeway.control import FORGOTTEN, HEARTBEAT, WorkerRecord
from ropeway.words import NOTHING, date, iso, relative

COLUMNS = (
    Column(heading="WORKER", least=16),
    Column(heading="STATE"),
    Column(heading="BUSY", right=True),
    Column(heading="CHILDREN", right=True, optional=3),
    Column(heading="QUEUES", least=8, optional=2),
    Column(heading="CODE", optional=1),
    Column(heading="VERSION", optional=4),
    Column(heading="UP", right=True, optional=5),
    Column(heading="HEARD", right=True),
)

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

_MARKS = {
    "starting": Cell("◌"),
    "consuming": Cell("▶", "green"),
    "quiet": Cell("‖", "yellow"),
    "draining": Cell("‖", "yellow"),
    "waiting": Cell("✕", "red"),
}
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


def drawn(workers: Sequence[WorkerRecord], now: float) -> Drawn:
    """Return the table of a list of workers."""
    return Drawn(
        COLUMNS,
        [_row(worker, now) for worker in workers],
        [_MARKS[worker.state] for worker in workers],
    )


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


def page(worker: WorkerRecord, others: Sequence[WorkerRecord], now: float) -> str:
    """Write all that is known of one worker, `others` being all there are."""
    queues = "every queue" if worker.queues is None else ", ".join(worker.queues)
    lines = {
        "worker": worker.holder,
        "state": f"{worker.state}: {worker.why}" if worker.why else worker.state,
        "process": f"{worker.pid} on {worker.host}, up since {date(worker.started)}",
        "heard": f"{relative(now - worker.heard)}, {worker.settled} settled by then",
        "children": f"{len(worker.children)}: {', '.join(map(str, worker.children)) or 'none'}",
        "busy": _places(worker),
        "queues": queues,
        "offers": ", ".join(f"{name}={n}" for name, n in worker.offers.items()) or "nothing",
        "app": f"{worker.app}, code {worker.code}",
        "version": f"ropeway {worker.version}, Python {worker.python}",
        "tasks": f"{len(worker.tasks)}: {', '.join(sorted(worker.tasks)) or 'none'}",
    }
    known = {name for each in others if each.app == worker.app for name in each.tasks}
    if lacks := sorted(known.difference(worker.tasks)):
        lines["lacks"] = f"{', '.join(lacks)}: other workers of {worker.app} have them"
    return "\n".join(f"{name:<8} {text}" for name, text in lines.items())


def _row(worker: WorkerRecord, now: float) -> list[str]:
    queues = "*" if worker.queues is None else ",".join(worker.queues)
    busy, slots = sum(worker.busy.values()), sum(worker.slots.values())
    return [
        worker.holder,
        worker.state,
        f"{busy}/{slots}",
        str(len(worker.children)),
        queues or NOTHING,
        worker.code,
        worker.version,
        relative(now - worker.started).removesuffix(" ago"),
        relative(now - worker.heard),
    ]


def _places(worker: WorkerRecord) -> str:
    kinds = [f"{worker.busy.get(kind, 0)} of {n} {kind}" for kind, n in worker.slots.items()]
    return ", ".join(kinds) or "nothing can run"


def _codes(workers: Sequence[WorkerRecord]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for worker in workers:
        found.setdefault(worker.app, Counter())[worker.code] += 1
    return found
