"""Loading what transitions name: a statement for each table, however many they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from ropeway.backends.postgres.locks import MoreLocks
from ropeway.backends.postgres.model import Joined, Kept, LogEnd, Model, Names
from ropeway.backends.postgres.rows import Job, columns
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.message import Message
from ropeway.transition import Transition, digest

_MORE = 10_000
"""Counting what waits stops when so many are too many: more than one commit can end."""

_messages = msgspec.msgpack.Decoder(tuple[Message, ...]).decode


async def load(
    connection: Connection,
    transitions: Sequence[Transition],
    names: Names,
    held: frozenset[int],
) -> Model:
    """Take the locks `held`, and load what is named; raises `MoreLocks` if that is not enough."""
    model = Model(await connection.fetchval(SQL["lock"], sorted(held)))
    await _load_jobs(connection, model, names)
    if names.joins:
        await _load_joins(connection, model, names, transitions)
    if names.records:
        await _load_records(connection, model, names.records)
    if names.logs:
        found = await connection.fetch(SQL["load_logs"], _bytes(names.logs))
        model.logs = {name.decode(): LogEnd(number, last) for name, number, last in found}
    await _load_unkept(connection, model, transitions)
    _add_lines(model, names, transitions)
    if more := names.locks() - held:
        raise MoreLocks(more | held)
    for queue, most in names.rooms.items():
        model.depths[queue] = await connection.fetchval(SQL["depth"], queue, most + _MORE)
    if names.lines:
        lines = await connection.fetch(SQL["open_lines"], *columns(names.lines, 2))
        model.open_lines = {(queue, key) for queue, key in lines}
    return model


async def _load_jobs(connection: Connection, model: Model, names: Names) -> None:
    await _load_open(connection, model, names.jobs | names.published)
    wanted = (names.jobs | names.published) - model.jobs.keys()
    if wanted:
        for row in await connection.fetch(SQL["load_finished"], [*wanted]):
            job = Job(*row)
            job.stored = "finished"
            model.jobs[job.id] = job
    # What was settled when it was looked for among the open, and revived when it was looked for
    # among the settled. A message that is to be published is found when it is inserted.
    await _load_open(connection, model, names.jobs - model.jobs.keys())


async def _load_open(connection: Connection, model: Model, wanted: Iterable[str]) -> None:
    ids = [*wanted]
    if ids:
        for row in await connection.fetch(SQL["load_open"], ids):
            job = Job(*row)
            job.stored = "job"
            model.jobs[job.id] = job


async def _load_records(connection: Connection, model: Model, keys: Iterable[str]) -> None:
    for key, version, expires, owner in await connection.fetch(SQL["load_records"], _bytes(keys)):
        model.records[key.decode()] = Kept(version, expires, owner.decode())


async def _load_joins(
    connection: Connection, model: Model, names: Names, transitions: Sequence[Transition]
) -> None:
    for row in await connection.fetch(SQL["load_joins"], _bytes(names.joins)):
        model.joins[row[0].decode()] = Joined(*row[1:])
    if names.members:
        wanted = [(join.encode(), member.encode()) for join, member in names.members]
        for join, member in await connection.fetch(SQL["load_members"], *columns(wanted, 2)):
            model.members.add((join.decode(), member.decode()))
    before = names.published | names.jobs
    arriving = Counter(join for join, _ in names.members)
    made = {join.name: join for each in reversed(transitions) for join in reversed(each.join)}
    needs = {join.name: 0 for each in transitions for join in each.join}
    for name in names.joins:
        state = model.joins.get(name, Joined())
        if state.completes(arriving[name], needs.get(name)):
            then = made[name].then if state.messages is None else _messages(state.messages)
            model.then[name] = then if state.need is not None else ()
            names.add_messages(then)
    if new := (names.published | names.jobs) - before:
        more = Names()
        more.published = new
        await _load_jobs(connection, model, more)


async def _load_unkept(
    connection: Connection, model: Model, transitions: Sequence[Transition]
) -> None:
    lost = [
        (each.fence.holder, digest(each))
        for each in transitions
        if each.fence is not None and model.job(each.fence.id) is None
    ]
    if lost:
        found = await connection.fetch(SQL["was_unkept"], *columns(lost, 2))
        model.repeated = {row[0] for row in found}


def _add_lines(model: Model, names: Names, transitions: Sequence[Transition]) -> None:
    """What is known only now: in which lines the jobs stand, or will, and whether they count."""
    for job in model.jobs.values():
        if job.line is not None:
            names.lines.add(job.line)
        names.limited |= job.limited_by is not None
    for each in transitions:
        for update in each.update:
            job_to_move = model.job(update.id)
            if update.queue is not None and job_to_move and job_to_move.key is not None:
                names.lines.add((update.queue, job_to_move.key))


def _bytes(names: Iterable[str]) -> list[bytes]:
    return [name.encode() for name in names]
