"""The way to a server from one event loop: transactions with a deadline, and hints."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, TypeVar

from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.doubt import Doubts
from ropeway.backends.postgres.failures import gone, rolled_back, translated
from ropeway.backends.postgres.hints import POLL, Hints, Telling, payloads, token
from ropeway.backends.postgres.listener import Listener, notify
from ropeway.backends.postgres.migrations import prepare
from ropeway.backends.postgres.pool import Pool
from ropeway.backends.postgres.sessions import DEADLINE, Connection, Opener, Session
from ropeway.errors import BackendUnavailable, Indeterminate

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]

_TRIES = 5
_LONGEST_PAUSE = 0.05


class _Attempt:
    """How far one try of a transaction has come."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.committing = False
        self.late = False

    def expire(self) -> None:
        """Cut the connection: whoever waits for an answer of it hears of that at once.

        A statement is never cancelled: that would be asked for over one more connection.
        """
        self.late = True
        self.session.drop()


class Link:
    """Carries the verbs of a backend to its server, for the event loop that it is used on.

    `single` work is one statement, which needs no transaction around it. Work may be called again
    after a try that the server surely rolled back: it must leave no traces of its own.

    Before the first work the tables are made if there are none; not if `prepares` is false.
    """

    def __init__(
        self, address: Address, *, deadline: float = DEADLINE, prepares: bool = True
    ) -> None:
        self.address = address
        self._unprepared = asyncio.Lock() if prepares else None
        self.deadline = deadline
        self.opener = Opener(address)
        self.hints = Hints()
        self._pool = Pool(self.opener)
        self._doubts = Doubts(self.opener)
        self._listener = Listener(self.opener, self.hints)
        self._untold: set[str] = set()
        self._teller: asyncio.Task[None] | None = None

    async def run(self, work: Work[T], *, write: bool, single: bool = False) -> T:
        """Run one transaction, read committed, and return what `work` does.

        Work that does not `write` has no transaction around it: each statement sees what is
        committed by then in any case. Raises `Indeterminate` if it may have been committed and
        nobody knows, `BackendUnavailable` or `Backpressure` if it surely was not, and what `work`
        raises.
        """
        if self._unprepared is not None:
            await self._prepare()
        return await self._run(work, write=write, single=single)

    async def _prepare(self) -> None:
        lock = self._unprepared
        assert lock is not None
        async with lock:
            if self._unprepared is None:
                return
            schema = self.address.schema
            await self._run(lambda connection: prepare(connection, schema), write=True)
            self._unprepared = None

    async def _run(self, work: Work[T], *, write: bool, single: bool = False) -> T:
        deadline = asyncio.get_running_loop().time() + self.deadline
        plain = single or not write
        tries = 0
        while True:
            attempt = _Attempt(await self._pool.take(deadline))
            try:
                return await self._try(attempt, work, deadline, plain=plain, write=write)
            except Exception as error:
                tries += 1
                if not self._again(attempt, error, tries):
                    raise self._reason(attempt, error) from error
            if tries > 1:
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))

    async def _try(
        self, attempt: _Attempt, work: Work[T], deadline: float, *, plain: bool, write: bool
    ) -> T:
        session = attempt.session
        connection = session.connection
        watchdog = asyncio.get_running_loop().call_at(deadline, attempt.expire)
        self._doubts.watch(session)
        try:
            if plain and not session.pooled:
                attempt.committing = write
                return await work(connection)
            await connection.execute(session.begin)
            result = await work(connection)
            attempt.committing = write
            if await connection.execute("commit") == "COMMIT":
                return result
            attempt.committing = False
            raise BackendUnavailable("a statement failed, and the failure was passed over")
        except Exception:
            await _roll_back(session)
            raise
        except BaseException:
            # Cancelled in the middle of a statement: what would come next is its answer.
            session.drop()
            raise
        finally:
            watchdog.cancel()
            self._doubts.forget(session)
            self._pool.give(session)

    def _again(self, attempt: _Attempt, error: Exception, tries: int) -> bool:
        if rolled_back(error):
            return tries < _TRIES
        lost = gone(error)
        if lost:
            attempt.session.drop()
            self._pool.distrust()
        # What lay idle may have been dead for long; and without a commit nothing has happened.
        return lost and not attempt.late and not attempt.committing and tries == 1

    def _reason(self, attempt: _Attempt, error: Exception) -> Exception:
        if not attempt.late:
            return translated(error, self.address, unknown=attempt.committing)
        fact = f"{self.address} did not answer within {self.deadline:g} s"
        if attempt.committing:
            return Indeterminate(fact)
        return BackendUnavailable(fact, away=True)

    async def notify(self, names: Sequence[str]) -> None:
        """Tell those who wait for any of `names`, here at once and elsewhere soon; a hint."""
        tokens = {token(name) for name in names}
        self.hints.tell(tokens)
        self._untold |= tokens
        if self._teller is None and self._untold:
            self._teller = asyncio.create_task(self._tell())

    def telling(self, names: Iterable[str]) -> Telling:
        """Return what to tell for who does it by himself, with what he does."""
        tokens = {token(name) for name in names}
        return Telling(tokens, self.address.schema, [*payloads(tokens, self.hints.teller)])

    async def flush(self) -> None:
        """Return when everything that `notify` was given has been told, or could not be."""
        if self._teller is not None:
            await asyncio.wait([self._teller])

    async def _tell(self) -> None:
        try:
            while self._untold:
                tokens, self._untold = self._untold, set()
                with contextlib.suppress(Exception):  # a hint may be lost
                    if not await self._listener.notify(tokens):
                        await self._tell_over_pool(tokens)
        finally:
            self._teller = None

    async def _tell_over_pool(self, tokens: set[str]) -> None:
        session = await self._pool.take(asyncio.get_running_loop().time() + self.deadline)
        try:
            await notify(session, self.address.schema, payloads(tokens, self.hints.teller))
        finally:
            self._pool.give(session)

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        """See `Store.wait`; by the second wait for a name its changes are listened for."""
        await self._listener.start(POLL)
        return await self.hints.wait(names, timeout)

    async def open(self) -> None:
        """Connect once, to hear of what stands in the way. May be called again."""
        await self.run(_nothing, write=False)

    async def close(self) -> None:
        """Tell what is not told yet, and end every connection. May be called again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self.flush()
        await self._listener.close()
        await self._doubts.close()
        await self._pool.close()


async def _roll_back(session: Session) -> None:
    """Have a session that something went wrong in be fit for the next, or end it."""
    if not session.usable or not session.connection.is_in_transaction():
        return
    watchdog = asyncio.get_running_loop().call_later(1.0, session.drop)
    try:
        await session.connection.execute("rollback")
    except Exception:  # noqa: BLE001  the first error tells more
        session.drop()
    finally:
        watchdog.cancel()


async def _nothing(connection: Connection) -> Literal[True]:
    await connection.execute("select 1")
    return True
