"""`ropeway bench`: how quick a place is, seen from here, and a worker beside it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ropeway.cli.benchworker import working
from ropeway.cli.confirm import confirm
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import by_hand, changing
from ropeway.cli.measuring import Measured, measuring
from ropeway.cli.shared import LISTING, Shared, options
from ropeway.cli.table import Column
from ropeway.config import load
from ropeway.words import several

FIELDS = ("what", "jobs", "rate", "p50", "p95", "p99")
_COLUMNS = (
    Column(heading="WHAT", least=16),
    Column(heading="JOBS", right=True),
    Column(heading="RATE", right=True),
    Column(heading="P50", right=True),
    Column(heading="P95", right=True),
    Column(heading="P99", right=True),
)
_MOST = 100_000
_IS_NOT = (
    "One process, one connection, one after the other: this tells how far away the place is, and not"
    " how much it can do for many senders, nor how quick your tasks and workers are."
)
_WORKER_IS_NOT = (
    "The tasks do nothing: this tells what a job costs a worker here, and not how quick yours are. Times of"
    " the first two are from start to end, of the last from sending to the result."
)
_jobs = click.option(
    "--jobs",
    type=click.IntRange(1, _MOST),
    default=500,
    show_default=True,
    help="How many.",
)
_size = click.option(
    "--size",
    type=click.IntRange(2, 65_536),
    default=100,
    show_default=True,
    metavar="BYTES",
    help="How large the arguments of each are.",
)


@click.group(cls=Suggesting)
@options(*LISTING)
def bench() -> None:
    """Measure the place where jobs are kept, and a worker: enqueue, roundtrip, worker."""


@bench.command()
@_jobs
@_size
@options(*LISTING)
@click.pass_obj
def enqueue(shared: Shared, jobs: int, size: int) -> None:
    """Measure how long sending takes: one job at a time, and many at a time."""
    _may_be_measured(2 * jobs)
    with changing() as backend, measuring(backend, by_hand(backend), size) as place:
        found = list(place.enqueue(jobs))
    _print(shared, found)


@bench.command()
@_jobs
@_size
@options(*LISTING)
@click.pass_obj
def roundtrip(shared: Shared, jobs: int, size: int) -> None:
    """Measure how long a job takes from being sent to its result, without its task."""
    _may_be_measured(jobs)
    with changing() as backend, measuring(backend, by_hand(backend), size) as place:
        found = [place.roundtrip(jobs)]
    _print(shared, found)


@bench.command()
@_jobs
@_size
@click.option(
    "--children", type=click.IntRange(1, 64), default=1, help="Child processes. Default: 1."
)
@options(*LISTING)
@click.pass_obj
def worker(shared: Shared, jobs: int, size: int, children: int) -> None:
    """Measure a worker on this machine: one is started, and given jobs that do nothing."""
    _may_be_measured(2 * jobs + min(jobs, 200) + 1)
    url = load({}).url
    with changing() as backend, working(backend, by_hand(backend), url, children) as started:
        found = list(started.run(jobs, size))
    _print(shared, found, _WORKER_IS_NOT)


def _may_be_measured(jobs: int) -> None:
    settings = load({})
    if settings.broker:
        raise click.UsageError("A pair of a broker and a store cannot be measured, only one place.")
    confirm(f"send {several(jobs)} to {settings.where}", yes=True)


def _print(shared: Shared, found: Sequence[Measured], is_not: str = _IS_NOT) -> None:
    records = [
        {
            "what": each.what,
            "jobs": each.jobs,
            "rate": round(each.rate, 1),
            **dict(zip(("p50", "p95", "p99"), each.times, strict=True)),
        }
        for each in found
    ]
    rows = [
        [
            each.what,
            str(each.jobs),
            f"{each.rate:,.0f}/s",
            *(f"{t * 1000:.2f}ms" for t in each.times),
        ]
        for each in found
    ]
    print_list(shared, FIELDS, records, lambda: Drawn(_COLUMNS, rows))
    shared.say(is_not)
