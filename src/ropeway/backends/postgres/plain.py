"""What nearly every commit is: messages, settles and renewals without anything else, set by set.

Each is guarded by the statement that does it. What a statement did not do (a known id, a lost lease,
something with a key or a limit) is left to be looked at closely, by `commit.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import asyncpg
from msgspec import Struct, field

from ropeway.backends.postgres.failures import gone, rolled_back, unknown_of
from ropeway.backends.postgres.hints import Telling
from ropeway.backends.postgres.rows import columns
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.broker import Held
from ropeway.envelope import KIND_NUMBERS, NUMBERS, error_of, head_of
from ropeway.message import Failure, Fence, Message, job_key
from ropeway.states import State
from ropeway.store import queue_name
from ropeway.transition import Finish, Reject, Release, Transition, digest, guards_state, is_plain

_logger = logging.getLogger("ropeway")

Row = tuple[Any, ...]
_MISTAKES = "42"
"""What the codes of errors begin with that say of a statement that it cannot be: it is not repeated."""


class Plain(Struct):
    """The plain ones of a commit, sorted by what is done with them: places in it, and rows."""

    publish: dict[str, int] = field(default_factory=dict)
    finish: dict[str, int] = field(default_factory=dict)
    unkept: dict[str, int] = field(default_factory=dict)
    release: dict[str, int] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def only_publishes(self) -> bool:
        """Whether there is nothing else in it."""
        return len(self.publish) == len(self.rows)

    def queues(self) -> set[str]:
        """The names of the queues that it publishes to, as who waits names them."""
        return {queue_name(self.rows[job_id][2]) for job_id in self.publish}

    @property
    def statements(self) -> int:
        """How many statements do it all."""
        return sum(map(bool, (self.publish, self.finish, self.unkept, self.release)))


def sort(transitions: Sequence[Transition]) -> Plain | None:
    """Sort a commit of nothing but plain transitions; None if there is anything else in it."""
    plain = Plain()
    for place, each in enumerate(transitions):
        if guards_state(each) or not is_plain(each) or not _add(plain, place, each):
            return None
    return plain


def _add(plain: Plain, place: int, each: Transition) -> bool:
    if each.fence is None:
        if len(each.publish) != 1:
            return False
        (message,) = each.publish
        if message.key is not None or message.limits:
            return False
        job_id, row, among = message.id, _message_row(message), plain.publish
    elif each.settle is None or each.publish:
        return False
    else:
        job_id = each.fence.id
        row, among = _settle_row(plain, each, each.fence)
    if job_id in plain.rows:
        return False
    among[job_id] = place
    plain.rows[job_id] = row
    return True


def _message_row(message: Message) -> Row:
    terms = message.terms
    return (
        message.id,
        message.task,
        message.queue,
        message.band,
        KIND_NUMBERS[message.kind],
        message.due,
        message.delay,
        message.expires,
        None if terms is None else terms.expires,
        head_of(message),
        message.body,
    )


def _settle_row(plain: Plain, each: Transition, fence: Fence) -> tuple[Row, dict[str, int]]:
    settle = each.settle
    guard: Row = (fence.id, fence.attempt, fence.holder)
    if isinstance(settle, Release):
        return (*guard, *_release_row(settle), digest(each)), plain.release
    error: Failure | None
    if isinstance(settle, Reject):
        state, value, error = State.QUARANTINED, None, settle.failure()
    else:
        assert isinstance(settle, Finish)
        state, value, error = settle.state, settle.value, settle.error
    if settle.keep <= 0:
        return (*guard, digest(each)), plain.unkept
    charged = int(settle.counts == "failures"), int(settle.counts == "losses")
    ending = (NUMBERS[state], value, error_of(error), _cause(error), settle.keep)
    return (*guard, *ending, *charged, digest(each)), plain.finish


def _cause(error: Failure | None) -> str:
    return "" if error is None else error.fingerprint


def _release_row(settle: Release) -> Row:
    counts = settle.counts
    return (
        settle.at,
        settle.delay,
        error_of(settle.error),
        int(counts == "failures"),
        int(counts == "losses"),
        int(counts in {"releases", "unknown"}),
        int(counts == "unknown"),
    )


async def do_and_tell(
    connection: Connection, plain: Plain, telling: Callable[[Iterable[str]], Telling]
) -> tuple[AbstractSet[str], Telling] | None:
    """Do it all, commit and tell, in one round trip, where there is a procedure for that; returns the
    ids of which it was done, and who was told.

    None if there is none, or if it failed and it is not known how far it came: to be done, perhaps
    once more, without telling.
    """
    if plain.only_publishes:
        told = telling(plain.queues())
        statement, values = _publishing([plain.rows[job_id] for job_id in plain.publish])
    elif len(plain.unkept) == len(plain.rows):
        told = telling(map(job_key, plain.unkept))
        statement, values = "finish_unkept_and_tell", _settling([*plain.rows.values()])
    else:
        return None
    if not values:
        return None
    try:
        answer = await connection.fetchval(SQL[statement], *values, told.channel, told.texts)
    except asyncpg.QueryCanceledError as error:
        raise unknown_of(error) from error
    except asyncpg.PostgresError as error:
        if gone(error) or (error.sqlstate or "").startswith(_MISTAKES):
            raise
        if not rolled_back(error):
            _logger.warning("PostgreSQL has not told who waits: %s", error)
        return None
    if plain.unkept:
        return plain.rows.keys() if answer is None else set(answer), told
    return plain.rows.keys() - set(answer), told


def _publishing(rows: Sequence[Row]) -> tuple[str, Row]:
    alike = rows[0][1:-1]
    joined = _joined([row[0] for row in rows])
    if joined is None or any(row[1:-1] != alike for row in rows):
        return "publish_and_tell", tuple(columns(rows, 11))
    return "publish_alike_and_tell", (joined, [row[-1] for row in rows], *alike)


def _settling(rows: Sequence[Row]) -> Row:
    """What the procedure takes; nothing if the attempts or their holders differ."""
    guard = rows[0][1:3]
    joined = _joined([row[0] for row in rows])
    if joined is None or any(row[1:3] != guard for row in rows):
        return ()
    return joined, *guard, b"".join([row[3] for row in rows])


def _joined(ids: Sequence[str]) -> str | None:
    """Ids as one text: the client takes a look at each element of an array, and that adds up."""
    joined = ",".join(ids)
    return joined if joined and joined.count(",") == len(ids) - 1 else None


async def do(connection: Connection, plain: Plain) -> tuple[set[str], set[str]]:
    """Do what can be done; return the ids of which it was done, and the names that changed."""
    done: set[str] = set()
    changed: set[str] = set()
    if plain.publish:
        rows = [plain.rows[job_id] for job_id in plain.publish]
        known = await connection.fetchval(SQL["publish"], *columns(rows, 11))
        done |= plain.publish.keys() - set(known)
        changed |= plain.queues()
    for name, among in ("finish", plain.finish), ("finish_unkept", plain.unkept):
        if among:
            found = await _each(connection, name, plain, among)
            done.update(row[0] for row in found)
            changed.update(job_key(row[0]) for row in found)
    if plain.release:
        for job_id, queue in await _each(connection, "release", plain, plain.release):
            done.add(job_id)
            changed |= {job_key(job_id), queue_name(queue)}
    return done, changed


async def _each(
    connection: Connection, name: str, plain: Plain, among: Iterable[str]
) -> list[asyncpg.Record]:
    # By id, as everybody who changes several: so that no two wait for each other.
    rows = [plain.rows[job_id] for job_id in sorted(among)]
    return await connection.fetch(SQL[name], *columns(rows, 0))


async def extend(connection: Connection, fences: Sequence[Fence], lease: float) -> list[Held]:
    """Renew each lease that is still the attempt's own, expired or not."""
    rows = sorted({(fence.id, fence.attempt, fence.holder) for fence in fences})
    found = await connection.fetch(SQL["extend"], *columns(rows, 3), lease)
    held: dict[tuple[str, int, str], Held] = {
        (job_id, attempt, holder): "cancelled" if cancelled else "held"
        for job_id, attempt, holder, cancelled in found
    }
    return [held.get((fence.id, fence.attempt, fence.holder), "lost") for fence in fences]
