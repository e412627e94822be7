"""One process's hold on a database file: writers that commit for one another, and readers."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from ropeway.backends.sqlite import hints
from ropeway.backends.sqlite.forks import every_database
from ropeway.backends.sqlite.holders import Holders
from ropeway.backends.sqlite.opened import Opened, kept_locked, open_database
from ropeway.backends.sqlite.opening import FOREIGN, translated
from ropeway.backends.sqlite.ops import Durable, Op, Writing
from ropeway.backends.sqlite.turnstile import PATIENCE
from ropeway.claims import MAX_BATCH
from ropeway.clock import Clock, SystemClock
from ropeway.config import Durability
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate

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
    """The file, as this process uses it. After a fork the child opens it anew at first use.

    Threads that want to write at once form a batch: one of them commits for all (one `fdatasync`
    for the lot). With the durability "process" nothing is flushed: a power cut may undo the last
    changes, but not damage the file.
    """

    def __init__(
        self, path: Path, clock: Clock | None = None, durability: Durability = "disk"
    ) -> None:
        self.path = Path(path)
        self.clock = clock or SystemClock()
        self.hints = hints.folder_of(self.path)
        self._hints = str(self.hints)
        self._flushes = durability == "disk"
        self._ops: deque[Op[Any]] = deque()
        self._leader = threading.Lock()
        self._reading = threading.Lock()
        self._opened: Opened | None = None
        self.holders = Holders(self.path)
        every_database.add(self)

    def open(self) -> None:
        """Open the file, and create it and its folder if need be."""
        with self._leader:
            self._open()

    def close(self) -> None:
        """Close the file; another use opens it again."""
        with self._leader, self._reading:
            self._close()
            self.holders.close()

    def check_room(self, *, much: bool = False) -> None:
        """Raise `Backpressure` when the disk has room for settles, but not for more work."""
        opened = self._opened
        if opened is not None and not opened.room.for_messages(much=much):
            raise Backpressure(
                f"the disk is full: {opened.room.free / 2**20:.0f} MiB are left, for the results of "
                "what is running",
                hint="free space; then send again",
            )

    def has_room_for_claims(self) -> bool:
        """Whether what is claimed now can be settled, too."""
        opened = self._opened
        return opened is None or opened.room.for_claims(opened.checkpoints.pages)

    def submit(
        self, work: Callable[[Writing], T], items: int, durable: Durable, *, single: bool = False
    ) -> Op[T]:
        """Queue work for the next transaction; `finish` sees it done, as durable as asked."""
        op = Op(work, items, durable, single=single)
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
            if self._opened is None or self._opened.is_replaced():
                self.open()
            with self._reading, translated():
                if self._opened is not None:
                    return look(self._opened.reader.cursor().execute)

    # -- the transaction ------------------------------------------------------------------

    def _commit_some(self, patience: float) -> bool:
        try:
            opened = self._open()
            entered = opened.turnstile.enter(patience)
        except Exception as error:  # noqa: BLE001  every waiting caller must hear of it
            self._fail_all(error)
            return True
        if entered:
            if opened.in_doubt and not self._restored(opened):
                return False
            return self._commit_next(opened, patience)
        if patience > _MOMENT:
            self._fail_all(kept_locked(opened.turnstile))
        return False

    def _restored(self, opened: Opened) -> bool:
        try:
            with translated():
                opened.restore()
        except Exception as error:  # noqa: BLE001  every waiting caller must hear of it
            opened.turnstile.leave()
            self._fail_all(error)
            return False
        return True

    def _commit_next(self, opened: Opened, patience: float) -> bool:
        ops = self._next_ops(opened)
        try:
            if not self._commit_and_tell(opened, ops, patience):
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

    def _commit_and_tell(self, opened: Opened, ops: Sequence[Op[Any]], patience: float) -> bool:
        try:
            changed = self._commit(opened, ops, patience)
        except _Locked:
            return False
        finally:
            opened.turnstile.leave()
        hints.touch(self._hints, changed)
        if self._flushes and not opened.full and _any("after", ops):
            _flush(opened, ops)
        return True

    def _commit(self, opened: Opened, ops: Sequence[Op[Any]], patience: float) -> set[str]:
        try:
            return self._transact(opened, ops, patience)
        except _Locked:
            raise
        except Exception as error:  # noqa: BLE001  whoever asked raises it
            opened.in_doubt = opened.in_doubt or isinstance(error, Indeterminate)
            if len(ops) == 1 or isinstance(error, BackendUnavailable | Indeterminate):
                for op in ops:
                    op.fail(error)
                return set()
            # One of them holds something that cannot be written: let it alone hear of it.
            return set().union(*(self._transact_alone(opened, op) for op in ops))

    def _next_ops(self, opened: Opened) -> list[Op[Any]]:
        ops = [self._ops.popleft()]
        if not self._ops:
            return ops
        room = BATCH_BESIDE_OTHERS if opened.turnstile.contended() else MAX_BATCH
        room -= ops[0].items
        while self._ops and self._ops[0].items <= room:
            ops.append(self._ops.popleft())
            room -= ops[-1].items
        return ops

    def _transact(self, opened: Opened, ops: Sequence[Op[Any]], patience: float) -> set[str]:
        writing = Writing(opened.cursor, self.clock)
        short = patience <= _MOMENT
        with translated():
            full = self._flushes and _any("before", ops)
            opened.prepare(full=full, patience=_MOMENT if short else FOREIGN)
            try:
                if len(ops) == 1 and ops[0].single:
                    ops[0].run(writing)
                else:
                    _run_together(ops, writing)
            except apsw.BusyError:
                if short:
                    raise _Locked from None
                raise
        return writing.changed

    def _transact_alone(self, opened: Opened, op: Op[Any]) -> set[str]:
        try:
            return self._transact(opened, [op], PATIENCE)
        except Exception as error:  # noqa: BLE001  whoever asked raises it
            op.fail(error)
            return set()

    def _fail_all(self, error: Exception) -> None:
        while self._ops:
            op = self._ops.popleft()
            op.fail(error)
            op.done = True

    # -- opening and closing --------------------------------------------------------------

    def _open(self) -> Opened:
        if self._opened is not None:
            if not self._opened.is_replaced():
                return self._opened
            _logger.warning("%s was removed or replaced: it is opened anew", self.path)
            with self._reading:
                self._close()
        self._opened = open_database(self.path)
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

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
        if self._opened is not None:
            _left_by_fork.append(self._opened)
            self._opened.leave_alone()
            self._opened = None
        self._ops = deque()
        self._leader, self._reading = threading.Lock(), threading.Lock()


def _any(durable: Durable, ops: Sequence[Op[Any]]) -> bool:
    for op in ops:  # noqa: SIM110  every transaction passes here, most often with one
        if op.durable == durable:
            return True
    return False


def _run_together(ops: Sequence[Op[Any]], writing: Writing) -> None:
    writing.execute("begin immediate")
    try:
        for op in ops:
            op.run(writing)
        for work in writing.last:
            work()
        writing.execute("commit")
    except BaseException:
        if writing.connection.in_transaction:
            writing.execute("rollback")
        raise


def _flush(opened: Opened, ops: Sequence[Op[Any]]) -> None:
    try:
        opened.flush()
    except OSError as error:
        opened.in_doubt = True
        for op in ops:
            op.fail(Indeterminate(f"the disk reported an error: {error.strerror}"))
