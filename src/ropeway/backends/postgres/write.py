"""Writing what has changed in a model: a statement for each kind of change."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.backends.postgres.locks import Raced
from ropeway.backends.postgres.model import Model
from ropeway.backends.postgres.rows import Job, columns, finished_columns, open_columns
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.store import queue_name


async def write(connection: Connection, model: Model) -> None:
    """Write all that has changed; raises `Raced` if an id has been published meanwhile."""
    await _write_jobs(connection, [job for job in model.jobs.values() if job.changed])
    if model.to_free:
        freed = await connection.fetch(SQL["free_next"], *columns(model.to_free, 2))
        model.changed.update(queue_name(queue) for (queue,) in freed)
    if model.given_back:
        await _give_back(connection, model)
    if model.unkept:
        noted = [(holder, digest) for digest, holder in model.unkept.items()]
        await connection.execute(SQL["note_unkept"], *columns(noted, 2))
    await _write_records(connection, model)
    await _write_logs(connection, model)
    await _write_joins(connection, model)


async def _write_jobs(connection: Connection, jobs: Sequence[Job]) -> None:
    still_open = [job for job in jobs if not job.removed and not job.final]
    settled = [job for job in jobs if not job.removed and job.final]
    left = [job.id for job in jobs if job.stored == "job" and (job.removed or job.final)]
    if left:
        await connection.execute(SQL["delete_open"], left)
    if gone := [job.id for job in jobs if job.stored == "finished"]:
        await connection.execute(SQL["delete_finished"], gone)
    if new := [job for job in still_open if job.stored != "job"]:
        await _insert(connection, new)
    if changed := [job for job in still_open if job.stored == "job"]:
        await connection.execute(SQL["update_open"], *open_columns(changed))
    if settled:
        await connection.execute(SQL["insert_finished"], *finished_columns(settled))


async def _insert(connection: Connection, new: Sequence[Job]) -> None:
    inserted = await connection.fetch(SQL["insert_open"], *open_columns(new))
    # With a new snapshot: an insert may have waited for the end of the job that had this id.
    ids = [job.id for job in new]
    if len(inserted) < len(new) or await connection.fetchval(SQL["any_finished"], ids):
        raise Raced


async def _give_back(connection: Connection, model: Model) -> None:
    names = [*model.given_back]
    await connection.execute(SQL["give_back"], names, [model.given_back[name] for name in names])
    await connection.execute(SQL["forget_limits"], names)
    woken = await connection.fetch(SQL["wake_all"], names)
    model.changed.update(queue_name(queue) for (queue,) in woken)


async def _write_records(connection: Connection, model: Model) -> None:
    changed = {key: kept for key, kept in model.records.items() if kept.changed}
    if dropped := [key.encode() for key, kept in changed.items() if kept.dropped]:
        await connection.execute(SQL["drop_records"], dropped)
    rows = [
        (key.encode(), kept.version, kept.expires, kept.owner.encode(), kept.value)
        for key, kept in changed.items()
        if not kept.dropped
    ]
    if rows:
        await connection.execute(SQL["put_records"], *columns(rows, 5))


async def _write_logs(connection: Connection, model: Model) -> None:
    # Its lock is held until the commit: nobody sees a later offset before these.
    logs = [log for log in model.logs.values() if log.new]
    entries = [
        (log.number, offset, value)
        for log in logs
        for offset, value in enumerate(log.new, log.last + 1)
    ]
    if entries:
        ends = [(log.number, log.last + len(log.new)) for log in logs]
        await connection.execute(SQL["end_logs"], *columns(ends, 2))
        await connection.execute(SQL["insert_entries"], *columns(entries, 3))
    if trims := [(log.number, log.trimmed) for log in model.logs.values() if log.trimmed]:
        await connection.execute(SQL["trim"], *columns(trims, 2))


async def _write_joins(connection: Connection, model: Model) -> None:
    rows = [
        (name.encode(), state.need, state.arrived, state.fired, state.purge, state.messages)
        for name, state in model.joins.items()
        if state.changed
    ]
    if rows:
        await connection.execute(SQL["keep_joins"], *columns(rows, 6))
    if model.new_members:
        members = [(join.encode(), member.encode()) for join, member in model.new_members]
        await connection.execute(SQL["add_members"], *columns(members, 2))
