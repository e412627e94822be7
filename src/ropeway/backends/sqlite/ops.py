"""Work that goes into a transaction, and when it has to be on the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import apsw

from ropeway.clock import Clock

T = TypeVar("T")


class Writing:
    """What the work of one transaction needs: a cursor, the clocks, and the names it changed."""

    def __init__(self, cursor: apsw.Cursor, clock: Clock) -> None:
        self.connection = cursor.connection
        self.execute: Callable[..., Any] = cursor.execute
        self.clock = clock
        self.changed: set[str] = set()
        # What waits in a queue, of those that were counted in this transaction: see depth.py.
        self.depths: dict[str, int] = {}
        # How joins stand of which the rows are written at the end of this transaction: see joins.py.
        self.points: dict[str, Any] = {}
        self.last: list[Callable[[], None]] = []


Durable = Literal["before", "after", "no"]
"""When work is on the disk: before anyone sees it, before its caller is answered, or some time.

Settles come first to the disk: nobody may see a result that a power cut undoes. A message may be
seen a moment early: who claims it then dies in the same power cut. Leases need not be durable, for
who could lose one is dead by then too, and the next claim has another holder.
"""


class Op(Generic[T]):
    """Work that waits to be done inside a transaction, whoever's.

    `single` work changes the file by one statement: alone it needs no transaction around it.
    """

    def __init__(
        self, work: Callable[[Writing], T], items: int, durable: Durable, *, single: bool = False
    ) -> None:
        self._work = work
        self.single = single
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
