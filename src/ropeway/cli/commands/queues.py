"""`ropeway queues`: look at queues, pause and resume them, and empty them."""

from __future__ import annotations

import difflib
import time

import click

from ropeway import topology
from ropeway.broker import QueueStats
from ropeway.cli import jobview, queueview
from ropeway.cli.commands import queue_options
from ropeway.cli.complete import queue_names
from ropeway.cli.confirm import confirm
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import by_hand, changing, looking
from ropeway.cli.output import print_json, print_lines
from ropeway.cli.shared import LISTING, LOOKING, Shared, a_duration, confirmable, options
from ropeway.errors import ResultTimeout
from ropeway.operate import job as jobs_told
from ropeway.operate.exchange import options_of
from ropeway.operate.queue import CAP, FIELDS, pause_fields, summary
from ropeway.pauses import Pause, paused
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.words import several

_HEARD = 1.5
"""Seconds after which every worker that is well has heard of a pause."""

_LOOK = 0.2


@click.group(cls=Suggesting)
@options(*LOOKING)
def queues() -> None:
    """Look at queues, pause and empty them, and set their bounds: ls, show, pause, declare ..."""


for _command in queue_options.COMMANDS:
    queues.add_command(_command)


@queues.command()
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared) -> None:
    """List the queues that hold work or are paused, with counts.

    READY is due now, DELAYED is due later, LEASED is in the hands of a worker; OLDEST is when
    that which waits longest was due. Counts stop at 100,000.
    """
    found: list[QueueStats] = []
    pauses: dict[str, Pause] = {}
    now = 0.0
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            now, pauses = step(backend.now()), step(paused(backend))
            found = step(backend.stats(cap=CAP))
            names = {stats.queue for stats in found}
            found += [QueueStats(queue=name) for name in sorted(pauses) if name not in names]
            if not found and not shared.json:
                shared.say("no queue holds work")
    print_list(
        shared,
        FIELDS,
        [summary(stats, pauses.get(stats.queue), CAP) for stats in found],
        lambda: Drawn(
            queueview.COLUMNS,
            [queueview.row(stats, pauses.get(stats.queue), now, CAP) for stats in found],
        ),
    )


@queues.command()
@click.argument("queue", shell_complete=queue_names)
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, queue: str) -> None:
    """Show one queue: what waits, its options, and who paused it and why."""
    with changing() as backend:
        pause = step(paused(backend)).get(queue)
        stats, declared = _stats(backend, queue), step(topology.load(backend)).queues.get(queue)
        now = step(backend.now())
        if pause is None and declared is None:
            _question_the_name(shared, backend, stats)
    told = options_of(declared) if declared else {}
    if shared.json:
        print_json({**summary(stats, pause, CAP), "options": told})
    else:
        print_lines(queueview.page(stats, pause, now, CAP, told))


@queues.command()
@click.argument("queue", shell_complete=queue_names)
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@options(*LISTING)
@click.pass_obj
def peek(shared: Shared, queue: str, limit: int) -> None:
    """List what waits in a queue, by due time, and change nothing."""
    with changing() as backend:
        found = step(backend.peek(queue, limit))
        now = step(backend.now())
        if not found:
            _question_the_name(shared, backend, _stats(backend, queue))
    records = [jobs_told.summary(job, now) for job in found]
    print_list(shared, jobs_told.FIELDS, records, lambda: jobview.drawn(found, now))


@queues.command()
@click.argument("queue", shell_complete=queue_names)
@click.option("--why", default="", metavar="TEXT", help="The reason, for whoever looks.")
@options(*LOOKING)
@click.pass_obj
def pause(shared: Shared, queue: str, why: str) -> None:
    """Have no worker claim from a queue until it is resumed.

    Every worker hears of it within about a second, and one that starts later too. What runs goes
    on, and what is sent waits.
    """
    with changing() as backend:
        made = step(by_hand(backend).pause(queue, why))
        _question_the_name(shared, backend, _stats(backend, queue))
    if shared.json:
        print_json({"queue": queue, "paused": pause_fields(made)})
    else:
        shared.say(f"{queue} is paused; to go on: ropeway queues resume {queue}")


@queues.command()
@click.argument("queue", shell_complete=queue_names)
@options(*LOOKING)
@click.pass_obj
def resume(shared: Shared, queue: str) -> None:
    """Have workers claim from a paused queue again."""
    with changing() as backend:
        was = step(by_hand(backend).resume(queue))
    if shared.json:
        print_json({"queue": queue, "paused": None, "was_paused": was})
    else:
        shared.say(f"{queue} goes on" if was else f"{queue} was not paused")


@queues.command()
@click.argument("queue", shell_complete=queue_names)
@click.option("--why", default="", metavar="TEXT", help="The reason, for whoever looks.")
@click.option("--timeout", type=a_duration, metavar="DURATION", help="How long to wait at most.")
@options(*LOOKING)
@click.pass_obj
def drain(shared: Shared, queue: str, why: str, timeout: float | None) -> None:
    """Pause a queue and wait until nothing of it runs.

    What waits stays where it is. Exit code 8 if something runs still when the time is over; the
    queue stays paused then too.
    """
    with changing() as backend:
        step(by_hand(backend).pause(queue, why or "drained"))
        begun, told = time.monotonic(), -1
        while (leased := _stats(backend, queue).leased) or time.monotonic() - begun < _HEARD:
            if timeout is not None and time.monotonic() - begun > timeout:
                raise ResultTimeout(
                    f"{several(leased)} of {queue} still in hand",
                    hint="wait again: repeat the command",
                )
            if leased and leased != told:
                shared.say(f"{several(leased)} of {queue} still in hand")
                told = leased
            time.sleep(_LOOK)
        waiting = _stats(backend, queue)
    if shared.json:
        print_json({"queue": queue, "waiting": waiting.ready + waiting.delayed})
    else:
        shared.say(f"{queue} is paused, and nothing of it runs")


@queues.command()
@click.argument("queue", shell_complete=queue_names)
@confirmable
@options(*LOOKING)
@click.pass_obj
def purge(shared: Shared, queue: str, dry_run: bool, yes: bool) -> None:
    """Cancel every job that waits in a queue.

    Those that run are not touched. The records of the others stay, as cancelled, for as long as
    failed jobs are kept. Prints how many.
    """
    with changing() as backend:
        stats = _stats(backend, queue)
        waiting = stats.ready + stats.delayed
        _question_the_name(shared, backend, stats)
        if not dry_run and waiting:
            told = several(waiting, more=max(stats.ready, stats.delayed) >= CAP)
            confirm(f"cancel {told} waiting in {queue}", yes=yes)
        ended = 0 if dry_run else step(by_hand(backend).purge(queue))
    if shared.json:
        print_json({"queue": queue, "waiting": waiting, "cancelled": ended})
    else:
        print(waiting if dry_run else ended)


def _stats(backend: Backend, queue: str) -> QueueStats:
    (stats,) = step(backend.stats([queue], CAP))
    return stats


def _question_the_name(shared: Shared, backend: Backend, stats: QueueStats) -> None:
    """Say so if the queue holds nothing, as its name may be a slip."""
    if stats.ready or stats.delayed or stats.leased:
        return
    others = [known.queue for known in step(backend.stats())]
    close = difflib.get_close_matches(stats.queue, others, 1, 0.5)
    meant = f"; did you mean {close[0]}?" if close else ""
    shared.say(f"{stats.queue} holds no work{meant}")
