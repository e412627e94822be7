"""Names from the database for a shell that completes a word; without one, or late, there are none."""

from __future__ import annotations

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
from ropeway.store import Filter
from ropeway.topics.records import all_subscriptions, all_topics
from ropeway.topology import load

_MOST = 50


def queue_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the queues that hold work or are paused and begin so."""
    try:
        with looking() as (backend, _):
            if backend is None:
                return []
            names = {stats.queue for stats in step(backend.stats())} | set(step(paused(backend)))
    except RopewayError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))[:_MOST]


def context_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the contexts whose names begin so."""
    try:
        found = contexts.read().contexts
    except RopewayError:
        return []
    return [each.name for each in found if each.name.startswith(incomplete)]


def limit_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the limits in force whose names begin so."""
    try:
        with looking() as (backend, _):
            found = step(all_in_force(backend)) if backend else []
    except RopewayError:
        return []
    return [limit.name for limit in found if limit.name.startswith(incomplete)][:_MOST]


def schedule_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the schedules whose names begin so."""
    try:
        with looking() as (backend, _):
            found = step(backend.scan(PREFIX + incomplete, limit=_MOST)) if backend else []
    except RopewayError:
        return []
    return [each.key.removeprefix(PREFIX) for each in found]


def worker_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the workers whose names begin so."""
    try:
        with looking() as (backend, _):
            found = Workers(Source(backend)).ls() if backend else []
    except RopewayError:
        return []
    return [worker.holder for worker in found if worker.holder.startswith(incomplete)]


def task_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the tasks that workers know and that begin so; no app is imported to find out."""
    try:
        with looking() as (backend, _):
            found = Workers(Source(backend)).ls() if backend else []
    except RopewayError:
        return []
    names = {name for worker in found for name in worker.tasks if name.startswith(incomplete)}
    return sorted(names)[:_MOST]


def topic_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the topics whose names begin so."""
    try:
        with looking() as (backend, _):
            found = step(all_topics(backend)) if backend else []
    except RopewayError:
        return []
    return [each.name for each in found if each.name.startswith(incomplete)][:_MOST]


def subscription_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the durable subscriptions, as PATTERN/NAME, that begin so."""
    try:
        with looking() as (backend, _):
            found = step(all_subscriptions(backend)) if backend else []
    except RopewayError:
        return []
    names = sorted(f"{each.pattern}/{each.name}" for each in found)
    return [name for name in names if name.startswith(incomplete)][:_MOST]


def exchange_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the exchanges that are declared and begin so."""
    try:
        with looking() as (backend, _):
            found = sorted(step(load(backend)).exchanges) if backend else []
    except RopewayError:
        return []
    return [name for name in found if name.startswith(incomplete)][:_MOST]


def run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids of the newest runs of workflows that begin so."""
    try:
        with looking() as (backend, _):
            found = step(newest(backend, _MOST)) if backend else []
    except RopewayError:
        return []
    return [each.id for each in found if each.id.startswith(incomplete.lower())]


def job_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the newest ids that begin so."""
    try:
        with looking() as (backend, _):
            if backend is None:
                return []
            found = step(backend.search(Filter(id_prefix=incomplete.lower()), None, _MOST)).jobs
    except RopewayError:
        return []
    return [job.message.id for job in found]
