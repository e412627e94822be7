"""How SQLite is shared: the turnstile, writers that commit for one another, hints, plans."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from ropeway.backends.sqlite import Blocking, Database, Looped, SqliteBackend, statements
from ropeway.backends.sqlite.database import BATCH_BESIDE_OTHERS
from ropeway.backends.sqlite.hints import POLL, file_name
from ropeway.backends.sqlite.opened import Opened
from ropeway.backends.sqlite.opening import READERS_CACHE
from ropeway.backends.sqlite.ops import Op, Writing
from ropeway.backends.sqlite.turnstile import Turnstile, _try
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.ids import new_id
from ropeway.message import Fence, Message, job_key
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import queue_name
from ropeway.transition import Finish, Transition

Eventually = Callable[..., None]


def publish(count: int = 1, queue: str = "default") -> list[Transition]:
    """Make transitions that publish one message each."""
    return [
        Transition(publish=(Message(id=new_id(), task="t", queue=queue),)) for _ in range(count)
    ]


class Counting(Database):
    """A database that remembers, of each transaction, how many ops and items it held."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.transactions: list[tuple[int, int]] = []
        self.synchronous: list[int] = []

    def _transact(self, opened: Opened, ops: Sequence[Op[Any]], patience: float) -> set[str]:
        self.transactions.append((len(ops), sum(op.items for op in ops)))
        changed = super()._transact(opened, ops, patience)
        self.synchronous.append(opened.writer.cursor().execute("pragma synchronous").get)
        return changed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ropeway.db"


@pytest.fixture
def database(path: Path) -> Iterator[Counting]:
    made = Counting(path)
    made.open()
    yield made
    made.close()


def blocking(database: Database) -> SqliteBackend:
    return SqliteBackend(database, Blocking(database))


def test_threads_that_meet_are_committed_by_one(database: Counting, eventually: Eventually) -> None:
    """Twenty senders that wait for the same turn go to the disk together."""
    backend, other = blocking(database), Turnstile(database.path)
    assert other.enter()
    threads = [threading.Thread(target=lambda: step(backend.commit(publish()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(database._ops) == 20)
    other.leave()
    for thread in threads:
        thread.join(timeout=10)
    other.close()
    assert database.transactions == [(20, 20)]


async def test_a_workers_verbs_share_a_transaction(database: Counting) -> None:
    """A settle, a claim and a renewal of the same moment cost one commit."""
    backend = SqliteBackend(database, Looped(database, own=True))
    await backend.commit(publish(10))
    first = await backend.receive([Claim("default", 5)], "me", 60)
    settles = [Transition(fence=each.fence, settle=Finish(State.SUCCEEDED)) for each in first]
    database.transactions.clear()
    answers, claimed, held = await asyncio.gather(
        backend.commit(settles),
        backend.receive([Claim("default", 5)], "me", 60),
        backend.extend([Fence("unknown", 1, "me")], 60),
    )
    assert [answer.status for answer in answers] == ["applied"] * 5
    assert len(claimed) == 5 and held == ["lost"]
    assert len(database.transactions) == 1
    await backend.close()


async def test_senders_on_one_loop_share_a_transaction(database: Counting) -> None:
    """Two hundred concurrent sends on a user's loop take two or three commits, not two hundred."""
    backend = SqliteBackend(database)
    answers = await asyncio.gather(*(backend.commit(publish()) for _ in range(200)))
    assert all(answer[0].status == "applied" for answer in answers)
    assert len(database.transactions) <= 3
    await backend.close()


def test_batches_are_smaller_while_another_waits(database: Counting) -> None:
    """With another process at the turnstile a transaction holds at most fifty items, else 200."""
    ops = [database.submit(lambda _: None, 10, "before") for _ in range(30)]
    other = Turnstile(database.path)
    # As one who waits does: this writer finds the turn taken while it writes.
    assert _try(other._turn)
    opened = database._opened
    assert opened is not None
    assert opened.turnstile.contended()
    assert sum(op.items for op in database._next_ops(opened)) == BATCH_BESIDE_OTHERS
    other.close()
    for op in ops[5:]:
        database.complete(op)
    assert [items for _, items in database.transactions] == [200, 50]


def test_one_that_writes_all_the_time_starves_nobody(path: Path) -> None:
    """Beside a process that commits without a pause, each send waits for a few of its commits."""
    busy, sender = Counting(path), Database(path)
    busy.open()
    sender.open()
    over = threading.Event()

    def write() -> None:
        backend = blocking(busy)
        while not over.is_set():
            step(backend.commit(publish(20, "other")))

    thread = threading.Thread(target=write)
    thread.start()
    backend, waited = blocking(sender), []
    for _ in range(30):
        before = len(busy.transactions)
        step(backend.commit(publish()))
        waited.append(len(busy.transactions) - before)
    over.set()
    thread.join(timeout=10)
    busy.close()
    sender.close()
    assert sorted(waited)[len(waited) // 2] <= 3
    assert max(waited) <= 20


def test_what_is_acknowledged_is_on_the_disk(
    database: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settles are flushed inside their commit (FULL, 2), sends after it; leases need not be."""
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    backend = blocking(database)
    step(backend.commit(publish()))
    assert len(flushed) == 1
    (delivery,) = step(backend.receive([Claim("default", 1)], "me", 60))
    step(backend.extend([delivery.fence], 60))
    settle = Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED))
    step(backend.commit([settle]))
    assert database.synchronous == [1, 1, 1, 2]
    assert len(flushed) == 1


def test_a_flush_that_fails_is_not_success(
    database: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that reports an error leaves the sender in doubt, and does not say that all is well."""

    def fail(log: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(Indeterminate, match="disk"):
        step(blocking(database).commit(publish()))


def test_what_cannot_be_written_fails_alone(database: Counting) -> None:
    """An op that raises is rolled back; those that met it in its transaction are committed."""

    def fail(writing: Writing) -> None:
        writing.execute(statements.SET_META, ("half", "done"))
        raise ValueError("broken")

    ops: list[Op[Any]] = [
        database.submit(lambda w: w.execute(statements.SET_META, ("a", "1")), 1, "before"),
        database.submit(fail, 1, "before"),
        database.submit(lambda w: w.execute(statements.SET_META, ("b", "2")), 1, "before"),
    ]
    for op in ops:
        database.complete(op)
    with pytest.raises(ValueError, match="broken"):
        ops[1].take()
    ops[0].take()
    ops[2].take()
    read = database.read(lambda execute: execute("select name, value from meta").fetchall())
    assert {("a", "1"), ("b", "2")} <= set(read)
    assert not [name for name, _ in read if name == "half"]


def test_an_interrupted_commit_frees_who_waits_for_it(database: Counting) -> None:
    """Ctrl-C in the thread that commits for all leaves the others an error, not an endless wait."""

    def interrupt(writing: Writing) -> None:
        raise KeyboardInterrupt

    mine = database.submit(interrupt, 1, "before")
    others = database.submit(lambda _: None, 1, "before")
    with pytest.raises(KeyboardInterrupt):
        database.complete(mine)
    with pytest.raises(Indeterminate):
        database.finish(others)
    step(blocking(database).commit(publish()))


def test_a_hint_reaches_another_process(path: Path) -> None:
    """A waiter hears of a settled job and of a new message without looking by itself."""
    here, there = Database(path), Database(path)
    mine, theirs = blocking(here), blocking(there)
    (sent,) = publish()
    names = [queue_name("default"), job_key(sent.publish[0].id)]
    step(mine.open())
    assert step(mine.wait(names, 0)) == names
    step(theirs.commit([sent]))
    # Shorter than the poll: an answer can only come from a hint.
    assert step(mine.wait(names, POLL / 2)) == names[:1]
    (delivery,) = step(theirs.receive([Claim("default", 1)], "me", 60))
    settle = Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED))
    step(theirs.commit([settle]))
    assert step(mine.wait(names, POLL / 2)) == names[1:]
    assert step(mine.wait(names[:1], 0)) == []
    here.close()
    there.close()


def test_a_hint_that_is_lost_costs_a_poll(path: Path) -> None:
    """Without its hint file a waiting worker still finds the message, by looking."""
    here, there = Database(path), Database(path)
    mine, theirs = blocking(here), blocking(there)
    step(mine.open())
    step(mine.wait([queue_name("default")], 0))
    (here.hints / file_name(queue_name("default"))).unlink()
    sender = threading.Timer(0.05, lambda: step(theirs.commit(publish())))
    sender.start()
    assert len(step(mine.receive([Claim("default", 1)], "me", 60, wait=5))) == 1
    sender.join()
    here.close()
    there.close()


def test_hint_files_do_not_pile_up(path: Path) -> None:
    """A thousand jobs that were waited for leave a handful of files."""
    here, there = Database(path), Database(path)
    mine, theirs = blocking(here), blocking(there)
    step(mine.open())
    for _ in range(300):
        (sent,) = publish()
        name = job_key(sent.publish[0].id)
        step(mine.wait([name], 0))
        step(theirs.commit([sent]))
        (delivery,) = step(theirs.receive([Claim("default", 1)], "me", 60))
        settle = Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED))
        step(theirs.commit([settle]))
        assert step(mine.wait([name], POLL / 2)) == [name]
    assert len(list(here.hints.iterdir())) < 10
    here.close()
    there.close()


HOT = [
    "publish_special",
    "claim_due",
    "candidates",
    "claim_expired",
    "finish",
    "finish_special",
    "free_next",
    "first_parked",
    "drop_parked",
    "unpark",
    "due_wakes",
    "wake_all",
    "release",
    "release_flagged",
    "extend",
    "cancel_waiting",
    "flag",
    "update",
    "prune",
    "expire",
    "peek_lane",
]


@pytest.mark.parametrize("name", HOT)
def test_hot_statements_use_an_index(database: Counting, name: str) -> None:
    """No statement of the hot path scans the table or sorts, on a file that was never analysed."""
    statement = statements.ALL[name]

    def explain(execute: Any) -> list[str]:
        values = (0,) * statement.count("?")
        return [row[3] for row in execute("explain query plan " + statement, values)]

    plan = database.read(explain)
    assert plan
    assert not [line for line in plan if "SCAN" in line or "TEMP B-TREE" in line]


LOOKS = [
    "next_head",
    "look",
    "earliest_expires",
    "earliest_purge",
    "purge_of_newest",
    "count_leased",
]


@pytest.mark.parametrize("name", LOOKS)
def test_looks_use_an_index(database: Counting, name: str) -> None:
    """What an idle worker asks again and again is a search of an index."""
    statement = statements.ALL[name]

    def explain(execute: Any) -> list[str]:
        values = (0,) * statement.count("?")
        return [row[3] for row in execute("explain query plan " + statement, values)]

    assert any("INDEX" in line and "SEARCH" in line for line in database.read(explain))


def test_another_boot_voids_every_lease(path: Path) -> None:
    """After a reboot no holder lives: what was leased can be claimed at once."""
    first = blocking(Database(path))
    step(first.commit(publish()))
    (before,) = step(first.receive([Claim("default", 1)], "me", 3600))
    assert step(first.receive([Claim("default", 1)], "other", 60)) == []
    first.database.close()
    connection = apsw.Connection(str(path))
    connection.execute("update meta set value = 'another boot' where name = 'boot'")
    connection.close()
    second = blocking(Database(path))
    (after,) = step(second.receive([Claim("default", 1)], "other", 60))
    assert after.fence.id == before.fence.id and after.fence.attempt == 2
    second.database.close()


def test_a_changed_date_frees_no_lease(path: Path) -> None:
    """Leases are measured on the boot clock: a date set forward by a day hands nothing over."""
    clock = ManualClock()
    backend = blocking(Database(path, clock))
    step(backend.commit(publish()))
    assert len(step(backend.receive([Claim("default", 1)], "me", 60))) == 1
    clock.step_date(86_400)
    assert step(backend.receive([Claim("default", 1)], "other", 60)) == []
    clock.advance(61)
    assert len(step(backend.receive([Claim("default", 1)], "other", 60))) == 1
    backend.database.close()


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """Garbage is reported, not overwritten."""
    path.write_bytes(b"not a database at all, but long enough to be read as one" * 20)
    with pytest.raises(BackendUnavailable, match="cannot be used"):
        Database(path).open()
    assert path.read_bytes().startswith(b"not a database")


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """A path under a file names the file system's own reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendUnavailable, match="Not a directory"):
        Database(tmp_path / "file" / "deeper" / "ropeway.db").open()


def test_another_programs_database_is_left_alone(path: Path) -> None:
    """A file with tables of another program is refused, and nothing in it is changed."""
    connection = apsw.Connection(str(path))
    connection.execute("create table theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(BackendUnavailable, match="another program"):
        Database(path).open()
    assert path.read_bytes() == before


def test_search_by_id_reads_a_range(database: Counting) -> None:
    """Looking for the start of an id does not read every job there is."""
    values = (0,) * statements.SEARCH.count("?")

    def explain(execute: Any) -> list[str]:
        return [row[3] for row in execute("explain query plan " + statements.SEARCH, values)]

    line, *_ = database.read(explain)
    assert "SEARCH job USING INDEX" in line


def test_a_reader_keeps_few_pages(tmp_path: Path) -> None:
    """What it keeps is void at the next commit: a look at a million records leaves nothing behind."""
    database = Database(tmp_path / "jobs.db")
    try:
        size = database.read(lambda execute: execute("pragma cache_size").get)
        assert size == -READERS_CACHE
    finally:
        database.close()
