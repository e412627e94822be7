"""What a claim does not ask for costs it nothing: neither to look at, nor to wait beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend, statements
from ropeway.backends.sqlite.ops import Op, Writing
from ropeway.claims import Claim, Limit
from ropeway.clock import ManualClock
from ropeway.ids import new_id
from ropeway.message import Kind, Message
from ropeway.stepping import step
from ropeway.transition import Transition

EVERY = 10
"""Instructions of SQLite's machine between two counts."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteBackend]:
    database = Database(tmp_path / "jobs.db", clock)
    made = SqliteBackend(database, Blocking(database))
    step(made.open())
    yield made
    database.close()


def send(backend: SqliteBackend, count: int, kind: Kind, **more: object) -> None:
    messages = [Message(id=new_id(), task="t", kind=kind, **more) for _ in range(count)]  # type: ignore[arg-type]
    step(backend.commit([Transition(publish=(each,)) for each in messages]))


def take(backend: SqliteBackend, n: int, *kinds: Kind, wait: float = 0.0) -> int:
    return len(step(backend.receive([Claim("default", n, kinds=kinds)], "me", 60.0, wait)))


@pytest.mark.parametrize(
    ("name", "searches"),
    [
        ("claim_due", "job USING COVERING INDEX lanes (queue=? AND kind=? AND lane=? AND place<?)"),
        ("candidates", "job USING INDEX lanes (queue=? AND kind=? AND lane=? AND place<?)"),
        ("claim_expired", "job USING INDEX leased (queue=? AND kind=? AND lease_until<?)"),
        ("next_head", "job USING COVERING INDEX lanes (queue=? AND kind=? AND lane>? AND lane<?)"),
        ("look", "job USING COVERING INDEX leased (queue=? AND kind=?)"),
        ("look", "wake USING COVERING INDEX waking (queue=? AND kind=?)"),
        ("look", "job USING COVERING INDEX lanes (queue=? AND kind=?)"),
        ("due_wakes", "wake USING COVERING INDEX waking (queue=? AND kind=? AND at<?)"),
        ("first_parked", "parked USING PRIMARY KEY (queue=? AND kind=? AND name=?)"),
    ],
)
def test_the_kind_is_looked_up(backend: SqliteBackend, name: str, searches: str) -> None:
    """Every statement of a claim goes to what it asks for by an index."""
    statement = statements.ALL[name]
    values = (0,) * statement.count("?")
    plan = backend.database.read(
        lambda execute: [row[3] for row in execute("explain query plan " + statement, values)]
    )
    assert f"SEARCH {searches}" in plan


def instructions(backend: SqliteBackend, *kinds: Kind) -> int:
    """Count what SQLite does for a claim of one message."""
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    def watch(writing: Writing) -> None:
        writing.connection.set_progress_handler(count, EVERY)

    backend.database.complete(backend.database.submit(watch, 1, "no"))
    assert take(backend, 1, *kinds) == 1
    return counted


def test_a_backlog_of_another_kind_costs_nothing(
    backend: SqliteBackend, clock: ManualClock
) -> None:
    """A claim does the same work beside ten messages of other kinds and beside ten thousand.

    Waiting, expired, or held back by a limit, in front of it and behind it.
    """
    step(backend.declare([Limit(name="l", in_flight=0)]))
    send(backend, 3, "loop")
    costs = list[int]()
    for count in (10, 10_000):
        send(backend, count, "threads", band=9)
        send(backend, count // 10, "cpu", limits=("l",))
        take(backend, count // 2, "threads")
        take(backend, 9, "cpu")
        clock.advance(61.0)
        costs.append(instructions(backend, "loop"))
    assert costs[1] <= costs[0] + 3


def test_what_is_not_asked_for_wakes_nobody(backend: SqliteBackend, clock: ManualClock) -> None:
    """A worker that waits for one kind writes nothing for what others left, or may have again."""
    step(backend.declare([Limit(name="l", rate=1.0)]))
    send(backend, 20, "threads", limits=("l",))
    send(backend, 5, "cpu")
    assert take(backend, 9, "threads") == 1
    assert take(backend, 5, "cpu") == 5
    clock.advance(61.0)
    transactions: list[int] = []

    class Counting(Database):
        def submit(self, *args: Any, **more: Any) -> Op[Any]:
            transactions.append(1)
            return super().submit(*args, **more)

    backend.database.__class__ = Counting
    assert take(backend, 9, "loop", wait=0.3) == 0
    assert len(transactions) <= 2
    assert take(backend, 9, "threads", wait=0.3) == 2
