"""Logs: appending in one round trip, reading, and giving places to what came in others' transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ropeway.backends.postgres import query
from ropeway.backends.postgres.failures import AFTERWARDS, unknown_of
from ropeway.backends.postgres.hints import Telling
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.locks import bucket
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.store import log_name
from ropeway.transition import Answer, Append, Entry, Transition

_AT_ONCE = 2_000
"""What has arrived in others' transactions gets its places in steps of so many."""


class Appends(Struct):
    """A commit of nothing but appends."""

    transitions: Sequence[Transition]

    @property
    def appends(self) -> list[Append]:
        """All of them, in order."""
        return [append for each in self.transitions for append in each.append]

    def arguments(self, names: Sequence[str]) -> tuple[list[Any], ...]:
        """Return what the function of the schema takes; `names` are the logs."""
        places = {name: place for place, name in enumerate(names, 1)}
        counts, steps = Counter[str](), list[int]()
        appends = self.appends
        for append in appends:
            counts[append.log] += 1
            steps.append(counts[append.log])
        return (
            locks(names),
            [name.encode() for name in names],
            [counts[name] for name in names],
            [places[append.log] for append in appends],
            steps,
            [append.value for append in appends],
        )

    def answers(self, last: dict[str, int]) -> list[Answer]:
        """Return the answers; `last` are the offsets before."""
        found: list[Answer] = []
        for each in self.transitions:
            for append in each.append:
                last[append.log] += 1
            offsets = {append.log: last[append.log] for append in each.append}
            found.append(Answer(status="applied", offsets=offsets))
        return found


def only_appends(transitions: Sequence[Transition]) -> Appends | None:
    """Return a commit of nothing but appends; None if there is anything else in it."""
    if all(each.append and Transition(append=each.append) == each for each in transitions):
        return Appends(transitions)
    return None


def locks(names: Sequence[str]) -> list[int]:
    """Return the locks of logs, in the order in which they are taken."""
    return sorted({bucket("log", name) for name in names})


async def append(link: Link, appends: Appends) -> list[Answer]:
    """Append, commit and tell, in one round trip."""
    names = list(dict.fromkeys(each.log for each in appends.appends))
    hints = [log_name(name) for name in names]
    arguments = appends.arguments(names)

    async def work(connection: Connection) -> tuple[list[int] | None, Telling | None]:
        if connection.is_in_transaction():
            return await connection.fetchval(SQL["append"], *arguments), None
        telling = link.telling(hints)
        wanted = (*arguments, telling.channel, telling.texts)
        try:
            return await connection.fetchval(SQL["append_and_tell"], *wanted), telling
        except AFTERWARDS as error:
            raise unknown_of(error) from error

    before: list[int] | None = None
    while before is None:
        before, told = await link.run(work, write=True, single=True)
        if told is not None:
            link.hints.tell(told.tokens)
        else:
            await link.notify(hints)
    return appends.answers(dict(zip(names, before, strict=True)))


async def read(link: Link, log: str, after: int, limit: int) -> list[Entry]:
    """Return the entries of a log, with those that were committed by others until now."""

    async def look(connection: Connection) -> tuple[list[Entry], bool]:
        return await query.read(connection, log, after, limit)

    found, arrived = await link.run(look, write=False)
    while arrived and (after < 0 or len(found) < limit):
        whole = await _take_in(link, log)
        found, arrived = await link.run(look, write=False)
        if whole:
            break
    return found


async def _take_in(link: Link, log: str) -> bool:
    async def work(connection: Connection) -> bool:
        # Looked at behind the lock: what two transactions have left is in the order of its writing.
        await connection.fetchval(SQL["lock"], locks([log]))
        whole: bool = await connection.fetchval(SQL["take_in"], [log.encode()], _AT_ONCE)
        return whole

    return await link.run(work, write=True)
