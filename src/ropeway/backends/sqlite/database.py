"""One process's hold on a database file: connections, and writers that commit for one another."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from ropeway.backends.sqlite import hints
from ropeway.backends.sqlite.forks import every_database
from ropeway.backends.sqlite.opening import FOREIGN, connect, identity, prepare, translated
from ropeway.backends.sqlite.ops import Durable, Op, Writing
from ropeway.backends.sqlite.turnstile import PATIENCE, Turnstile
from ropeway.claims import MAX_BATCH
from ropeway.clock import Clock, SystemClock
from ropeway.errors import BackendUnavailable, Indeterminate

T = TypeVar("T")

_logger = logging.getLogger("ropeway")

BATCH_BESIDE_OTHERS = 50
"""Items in one transaction while another process waits for its turn."""

_MOMENT = 0.003
"""Seconds for which even an event loop may wait for its turn."""

_LONGEST_FORK = 30.0
"""Seconds that a fork waits for transactions to end: longer than any is patient."""

_left_by_fork: list[object] = []


class _Locked(Exception):
    """A program that does not use the turnstile is writing just now."""


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
        self._file: tuple[int, int] | None = None
        self._full = True
        self._log = -1
        every_database.add(self)

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
            if self._reader is None or self._is_replaced():
                self.open()
            with self._reading, translated():
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
            return self._commit_next(turnstile, patience)
        if patience > _MOMENT:
            self._fail_all(
                BackendUnavailable(
                    f"another process has kept the database locked for {patience:.0f} s",
                    hint="look for a stopped process: fuser -v on the file that ends in -write",
                )
            )
        return False

    def _commit_next(self, turnstile: Turnstile, patience: float) -> bool:
        ops = self._next_ops()
        try:
            if not self._commit_and_tell(turnstile, ops, patience):
                self._ops.extendleft(reversed(ops))
                ops = []
                return False
        except BaseException:
            # Ctrl-C, in the thread that commits for all: the others must not wait for ever.
            for op in ops:
                op.fail(Indeterminate("the commit was interrupted"))
            raise
        finally:
            for op in ops:
                op.done = True
        return True

    def _commit_and_tell(
        self, turnstile: Turnstile, ops: Sequence[Op[Any]], patience: float
    ) -> bool:
        try:
            changed = self._commit(ops, patience)
        except _Locked:
            return False
        finally:
            turnstile.leave()
        hints.touch(self._hints, changed)
        if not self._full and any(op.durable == "after" for op in ops):
            self._flush(ops)
        return True

    def _commit(self, ops: Sequence[Op[Any]], patience: float) -> set[str]:
        try:
            return self._transact(ops, patience)
        except _Locked:
            raise
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

    def _transact(self, ops: Sequence[Op[Any]], patience: float) -> set[str]:
        assert self._writer is not None
        writing = Writing(self._writer, self.clock)
        with translated():
            self._synchronize(full=any(op.durable == "before" for op in ops))
            self._begin(writing, patience)
            try:
                for op in ops:
                    op.run(writing)
                writing.execute("commit")
            except BaseException:
                if self._writer.in_transaction:
                    writing.execute("rollback")
                raise
        return writing.changed

    def _begin(self, writing: Writing, patience: float) -> None:
        short = patience <= _MOMENT
        writing.connection.set_busy_timeout(int(1000 * (_MOMENT if short else FOREIGN)))
        try:
            writing.execute("begin immediate")
        except apsw.BusyError:
            if short:
                raise _Locked from None
            raise

    def _synchronize(self, *, full: bool) -> None:
        if full is not self._full and self._writer is not None:
            self._writer.cursor().execute(f"pragma synchronous = {'full' if full else 'normal'}")
            self._full = full

    def _transact_alone(self, op: Op[Any]) -> set[str]:
        try:
            return self._transact([op], PATIENCE)
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
            if not self._is_replaced():
                return self._turnstile
            _logger.warning("%s was removed or replaced: it is opened anew", self.path)
            with self._reading:
                self._close()
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

    def _is_replaced(self) -> bool:
        """Whether another file, or none, has the name of the one that is open."""
        return self._file is not None and identity(self.path) != self._file

    def _connect(self, turnstile: Turnstile) -> None:
        if not turnstile.enter():
            raise BackendUnavailable(
                "another process keeps the database locked", hint="look for a stopped process"
            )
        try:
            with translated():
                writer = connect(self.path)
                prepare(writer)
                self._writer, self._reader, self._full = writer, connect(self.path), True
                self._file = identity(self.path)
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
