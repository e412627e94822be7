"""A worker as people and programs are shown it."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.cli.listing import Drawn
from ropeway.cli.table import Cell, Column
from ropeway.control import WorkerRecord
from ropeway.words import NOTHING, date, relative

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


_MARKS = {
    "starting": Cell("◌"),
    "consuming": Cell("▶", "green"),
    "quiet": Cell("‖", "yellow"),
    "draining": Cell("‖", "yellow"),
    "waiting": Cell("✕", "red"),
}


def drawn(workers: Sequence[WorkerRecord], now: float) -> Drawn:
    """Return the table of a list of workers."""
    return Drawn(
        COLUMNS,
        [_row(worker, now) for worker in workers],
        [_MARKS[worker.state] for worker in workers],
    )


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
