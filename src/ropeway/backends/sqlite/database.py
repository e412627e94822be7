"""One process's hold on a database file: connections, and writers that commit for one another."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import apsw

from ropeway.backends.sqlite import hints, statements
from ropeway.backends.sqlite.turnstile import PATIENCE, Turnstile
from ropeway.claims import MAX_BATCH
from ropeway.clock import Clock, SystemClock
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate

T = TypeVar("T")

BATCH_BESIDE_OTHERS = 50
"""Items in one transaction while another process waits for its turn."""

_MOMENT = 0.003
"""Seconds for which even an event loop may wait for its turn."""

_LONGEST_FORK = 30.0
"""Seconds that a fork waits for transactions to end: longer than any is patient."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Writing:
    """What the work of one transaction needs: a cursor, the clocks, and the names it changed."""

    def __init__(self, connection: apsw.Connection, clock: Clock) -> None:
        self.connection = connection
        self.execute = connection.cursor().execute
        self.clock = clock
        self.changed: set[str] = set()


Durable = Literal["before", "after", "no"]
"""When work is on the disk: before anyone sees it, before its caller is answered, or some time.

Settles come first to the disk: nobody may see a result that a power cut undoes. A message may be
seen a moment early: who claims it then dies in the same power cut. Leases need not be durable, for
who could lose one is dead by then too, and the next claim has another holder.
"""


class Op(Generic[T]):
    """Work that waits to be done inside a transaction, whoever's."""

    def __init__(self, work: Callable[[Writing], T], items: int, durable: Durable) -> None:
        self._work = work
        self.items = items
        self.durable = durable
        self.done = False
        self._result: T | None = None
        self._error: Exception | None = None

    def run(self, writing: Writing) -> None:
        self._result = self._work(writing)

    def fail(self, error: Exception) -> None:
        self._error = error

    def take(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set by run, unless it raised


class Database:
    """The file, its two connections, its turnstile and its hints, for this process.

    Threads that want to write at once form a batch: one of them commits for all (one `fdatasync`
    for the lot). After a fork the child opens its own connections at first use.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self.clock = clock or SystemClock()
        self.hints = self.path.with_name(self.path.name + "-hints")
        self._hints = str(self.hints)
        self._ops: deque[Op[Any]] = deque()
        self._leader = threading.Lock()
        self._reading = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None
        self._turnstile: Turnstile | None = None
        self._full = True
        self._log = -1
        _every_database.add(self)

    def open(self) -> None:
        """Open the file, and create it and its folder if need be."""
        with self._leader:
            self._open()

    def close(self) -> None:
        """Close the connections; another use opens them again."""
        with self._leader, self._reading:
            self._close()

    def _close(self) -> None:
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        if self._turnstile is not None:
            self._turnstile.close()
        if self._log >= 0:
            os.close(self._log)
        self._writer = self._reader = self._turnstile = None
        self._log = -1

    def submit(self, work: Callable[[Writing], T], items: int, durable: Durable) -> Op[T]:
        """Queue work for the next transaction; `finish` sees it done, as durable as asked."""
        op = Op(work, items, durable)
        self._ops.append(op)
        return op

    def complete(self, op: Op[Any]) -> None:
        """Return once `op` is committed or has failed, by this thread or by another."""
        while not op.done:
            with self._leader:
                if not op.done:
                    self._commit_some(PATIENCE)

    def attempt(self, op: Op[Any]) -> bool:
        """Complete `op` here and now; False if it would have to wait for more than a moment."""
        if not self._leader.acquire(blocking=False):
            return False
        try:
            return op.done or (self._commit_some(_MOMENT) and op.done)
        finally:
            self._leader.release()

    def finish(self, op: Op[T]) -> T:
        """Complete `op` and return its result."""
        self.complete(op)
        return op.take()

    def read(self, look: Callable[[Any], T]) -> T:
        """Run `look` with the `execute` of a connection that never waits for a writer."""
        while True:
            if self._reader is None:
                self.open()
            with self._reading, _translated():
                if self._reader is not None:
                    return look(self._reader.cursor().execute)

    # -- the transaction ------------------------------------------------------------------

    def _commit_some(self, patience: float) -> bool:
        try:
            turnstile = self._open()
            entered = turnstile.enter(patience)
        except Exception as error:  # noqa: BLE001  every waiting caller must hear of it
            self._fail_all(error)
            return True
        if entered:
            self._commit_next(turnstile)
        elif patience > _MOMENT:
            self._fail_all(
                BackendUnavailable(
                    f"another process has kept the database locked for {patience:.0f} s",
                    hint="look for a stopped process: fuser -v on the file that ends in -write",
                )
            )
        return entered

    def _commit_next(self, turnstile: Turnstile) -> None:
        ops = self._next_ops()
        try:
            try:
                changed = self._commit(ops)
            finally:
                turnstile.leave()
            hints.touch(self._hints, changed)
            if any(op.durable == "after" for op in ops):
                self._flush(ops)
        except BaseException:
            # Ctrl-C, in the thread that commits for all: the others must not wait for ever.
            for op in ops:
                op.fail(Indeterminate("the commit was interrupted"))
            raise
        finally:
            for op in ops:
                op.done = True

    def _commit(self, ops: Sequence[Op[Any]]) -> set[str]:
        try:
            return self._transact(ops)
        except Exception as error:  # noqa: BLE001  whoever asked raises it
            if len(ops) == 1 or isinstance(error, BackendUnavailable | Indeterminate):
                for op in ops:
                    op.fail(error)
                return set()
            # One of them holds something that cannot be written: let it alone hear of it.
            return set().union(*(self._transact_alone(op) for op in ops))

    def _flush(self, ops: Sequence[Op[Any]]) -> None:
        """Have the log on the disk: all of it, so also what others wrote before."""
        try:
            if self._log < 0:
                self._log = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            os.fdatasync(self._log)
        except OSError as error:
            for op in ops:
                op.fail(Indeterminate(f"the disk reported an error: {error.strerror}"))

    def _next_ops(self) -> list[Op[Any]]:
        assert self._turnstile is not None
        room = BATCH_BESIDE_OTHERS if self._turnstile.contended else MAX_BATCH
        ops = [self._ops.popleft()]
        room -= ops[0].items
        while self._ops and self._ops[0].items <= room:
            ops.append(self._ops.popleft())
            room -= ops[-1].items
        return ops

    def _transact(self, ops: Sequence[Op[Any]]) -> set[str]:
        assert self._writer is not None
        writing = Writing(self._writer, self.clock)
        with _translated():
            self._synchronize(full=any(op.durable == "before" for op in ops))
            writing.execute("begin immediate")
            try:
                for op in ops:
                    op.run(writing)
                writing.execute("commit")
            except BaseException:
                if self._writer.in_transaction:
                    writing.execute("rollback")
                raise
        return writing.changed

    def _synchronize(self, *, full: bool) -> None:
        if full is not self._full and self._writer is not None:
            self._writer.cursor().execute(f"pragma synchronous = {'full' if full else 'normal'}")
            self._full = full

    def _transact_alone(self, op: Op[Any]) -> set[str]:
        try:
            return self._transact([op])
        except Exception as error:  # noqa: BLE001  whoever asked raises it
            op.fail(error)
            return set()

    def _fail_all(self, error: Exception) -> None:
        while self._ops:
            op = self._ops.popleft()
            op.fail(error)
            op.done = True

    # -- opening --------------------------------------------------------------------------

    def _open(self) -> Turnstile:
        if self._turnstile is not None:
            return self._turnstile
        try:
            self._make_folder()
            turnstile = Turnstile(self.path)
            hints.remove_stale(self.hints)
        except OSError as error:
            raise BackendUnavailable(
                f"cannot open the database {self.path}: {error.strerror or error}",
                hint="check the folder, its owner and the free space, or set another url",
            ) from None
        try:
            self._connect(turnstile)
        except BaseException:
            turnstile.close()
            raise
        self._turnstile = turnstile
        return turnstile

    def _connect(self, turnstile: Turnstile) -> None:
        if not turnstile.enter():
            raise BackendUnavailable(
                "another process keeps the database locked", hint="look for a stopped process"
            )
        try:
            with _translated():
                writer = _connect(self.path)
                _prepare(writer)
                self._writer, self._reader, self._full = writer, _connect(self.path), True
        finally:
            turnstile.leave()

    def _make_folder(self) -> None:
        folder = self.path.parent
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / ".gitignore").write_text("*\n")
        self.hints.mkdir(exist_ok=True)

    def rest(self) -> bool:
        """Close the connections and keep them closed until `resume`, while a fork is made.

        SQLite remembers per process which locks it holds on a file. A child that inherits that
        memory takes its parent's locks for its own: it would write without any, and what it wrote
        would be lost when another process, the last as it seems, puts the log away.
        """
        if not self._leader.acquire(timeout=_LONGEST_FORK):
            return False
        if not self._reading.acquire(timeout=_LONGEST_FORK):
            self._leader.release()
            return False
        self._close()
        return True

    def resume(self) -> None:
        """Let the connections be opened again."""
        self._reading.release()
        self._leader.release()

    def forget(self) -> None:
        """Leave a parent's connections alone, in a child made by fork."""
        # There are none, unless `rest` was in vain: closing them here would run SQLite's code on
        # the parent's state, so they are kept unused.
        _left_by_fork.append((self._writer, self._reader))
        if self._turnstile is not None:
            self._turnstile.close()
        if self._log >= 0:
            os.close(self._log)
        self._writer = self._reader = self._turnstile = None
        self._log = -1
        self._ops = deque()
        self._leader, self._reading = threading.Lock(), threading.Lock()


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5000)
    execute = connection.cursor().execute
    # No mmap_size: with several writing processes it has corrupted files elsewhere.
    for pragma in ("synchronous = full", "cache_size = -16000", "temp_store = memory"):
        execute(f"pragma {pragma}").fetchall()
    return connection


def _prepare(connection: apsw.Connection) -> None:
    execute = connection.cursor().execute
    version = int(execute("pragma user_version").get)
    if version > statements.SCHEMA_VERSION:
        raise BackendUnavailable(
            f"the database has schema {version}, newer than this ropeway knows "
            f"({statements.SCHEMA_VERSION})",
            hint="install the newer ropeway here, or use another database",
        )
    if version == 0:
        if execute("select count(*) from sqlite_schema").get:
            raise BackendUnavailable(
                "the database belongs to another program: it has tables that are not ropeway's",
                hint="name a file of its own in the url",
            )
        execute("pragma journal_mode = wal").fetchall()
        execute("begin immediate")
        execute(statements.SCHEMA)
        execute(f"pragma user_version = {statements.SCHEMA_VERSION}")
        execute("commit")
    _void_leases_of_another_boot(execute)


def _void_leases_of_another_boot(execute: Callable[..., Any]) -> None:
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    if execute(statements.GET_META, ("boot",)).get != boot:
        execute("begin immediate")
        execute(statements.VOID_LEASES)
        execute(statements.SET_META, ("boot", boot))
        execute("commit")


@contextlib.contextmanager
def _translated() -> Any:
    """Turn SQLite's errors into ropeway's."""
    try:
        yield
    except apsw.FullError:
        raise Backpressure(
            "the disk is full: nothing was stored", hint="free space; then send again"
        ) from None
    except apsw.BusyError as error:
        raise BackendUnavailable(
            f"another program keeps the database locked: {error}",
            hint="close the program that has it open for writing",
        ) from None
    except apsw.IOError as error:
        raise Indeterminate(f"the disk reported an error: {error}") from None
    except (apsw.CantOpenError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError) as error:
        raise BackendUnavailable(
            f"the database cannot be used: {error}", hint="run `ropeway doctor`"
        ) from None


_every_database: weakref.WeakSet[Database] = weakref.WeakSet()
_left_by_fork: list[object] = []
_resting = threading.local()


def _before_fork() -> None:
    _resting.databases = [each for each in list(_every_database) if each.rest()]


def _after_fork_in_parent() -> None:
    for database in _resting.databases:
        database.resume()


def _after_fork_in_child() -> None:
    for database in list(_every_database):
        database.forget()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
