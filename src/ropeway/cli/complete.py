"""Names from the database for a shell that completes a word; without one, or late, there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from ropeway.cli import contexts
from ropeway.cli.look import looking
from ropeway.control import Workers
from ropeway.errors import RopewayError
from ropeway.limiting import all_in_force
from ropeway.operate.source import Source
from ropeway.pauses import paused
from ropeway.runs.listing import newest
from ropeway.schedules.record import PREFIX
from ropeway.stepping import step
from ropeway.store import Backend, Filter
from ropeway.topics.records import all_subscriptions, all_topics
from ropeway.topology import load

_MOST = 50


def _names(ask: Callable[[Backend], Iterable[str]], begin: str) -> list[str]:
    """Return what a backend knows, by name, of what begins so; nothing where there is none."""
    try:
        with looking() as (backend, _):
            found = dict.fromkeys(ask(backend) if backend else ())
    except RopewayError:
        return []
    return [each for each in found if each.startswith(begin)][:_MOST]


def queue_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the queues that hold work or are paused and begin so."""

    def ask(backend: Backend) -> Iterable[str]:
        return sorted({each.queue for each in step(backend.stats())} | set(step(paused(backend))))

    return _names(ask, incomplete)


def context_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the contexts whose names begin so."""
    try:
        found = contexts.read().contexts
    except RopewayError:
        return []
    return [each.name for each in found if each.name.startswith(incomplete)]


def limit_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the limits in force whose names begin so."""
    return _names(lambda backend: (each.name for each in step(all_in_force(backend))), incomplete)


def schedule_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the schedules whose names begin so."""

    def ask(backend: Backend) -> Iterable[str]:
        found = step(backend.scan(PREFIX + incomplete, limit=_MOST))
        return (each.key.removeprefix(PREFIX) for each in found)

    return _names(ask, incomplete)


def worker_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the workers whose names begin so."""
    return _names(
        lambda backend: (each.holder for each in Workers(Source(backend)).ls()), incomplete
    )


def task_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the tasks that workers know and that begin so; no app is imported to find out."""
    return _names(
        lambda backend: sorted(n for each in Workers(Source(backend)).ls() for n in each.tasks),
        incomplete,
    )


def topic_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the topics whose names begin so."""
    return _names(lambda backend: (each.name for each in step(all_topics(backend))), incomplete)


def subscription_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the durable subscriptions, as PATTERN/NAME, that begin so."""

    def ask(backend: Backend) -> Iterable[str]:
        return sorted(f"{each.pattern}/{each.name}" for each in step(all_subscriptions(backend)))

    return _names(ask, incomplete)


def exchange_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the exchanges that are declared and begin so."""
    return _names(lambda backend: sorted(step(load(backend)).exchanges), incomplete)


def run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids of the newest runs of workflows that begin so."""
    return _names(
        lambda backend: (each.id for each in step(newest(backend, _MOST))), incomplete.lower()
    )


def job_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the newest ids that begin so."""

    def ask(backend: Backend) -> Iterable[str]:
        found = step(backend.search(Filter(id_prefix=incomplete.lower()), None, _MOST))
        return (each.message.id for each in found.jobs)

    return _names(ask, incomplete.lower())
