"""`ropeway queues`: look at queues."""

from __future__ import annotations

from typing import Any

import click

from ropeway.broker import QueueStats
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import looking
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.cli.table import Column
from ropeway.cli.words import NOTHING, iso, relative
from ropeway.stepping import step

CAP = 100_000
"""Counting stops here, so that looking at a long queue costs little."""

_COLUMNS = (
    Column(heading="QUEUE", least=12),
    Column(heading="READY", right=True),
    Column(heading="DELAYED", right=True),
    Column(heading="LEASED", right=True),
    Column(heading="OLDEST", right=True),
)


@click.group(cls=Suggesting)
@options(*LOOKING)
def queues() -> None:
    """Look at queues: ls."""


FIELDS = ("queue", "ready", "delayed", "leased", "capped", "oldest_due")


@queues.command()
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared) -> None:
    """List the queues that hold work, with counts.

    READY is due now, DELAYED is due later, LEASED is in the hands of a worker; OLDEST is when
    that which waits longest was due. Counts stop at 100,000.
    """
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        found = step(backend.stats(cap=CAP)) if backend else []
        now = step(backend.now()) if backend else 0.0
    if backend and not found and not shared.json:
        shared.say("no queue holds work")
    print_list(
        shared,
        FIELDS,
        [summary(stats, CAP) for stats in found],
        lambda: Drawn(_COLUMNS, [row(stats, now, CAP) for stats in found]),
    )


def row(stats: QueueStats, now: float, cap: int) -> list[str]:
    """Return the cells of a queue."""
    oldest = NOTHING if stats.oldest_due is None else relative(now - stats.oldest_due)
    counts = [f"{n}+" if n >= cap else str(n) for n in (stats.ready, stats.delayed, stats.leased)]
    return [stats.queue, *counts, oldest]


def summary(stats: QueueStats, cap: int) -> dict[str, Any]:
    """Return a queue for JSON; `capped` says that a count may be larger than it reads."""
    return {
        "queue": stats.queue,
        "ready": stats.ready,
        "delayed": stats.delayed,
        "leased": stats.leased,
        "capped": max(stats.ready, stats.delayed, stats.leased) >= cap,
        "oldest_due": iso(stats.oldest_due),
    }
