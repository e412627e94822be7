"""A full disk: sends are refused in time, what runs can be settled, and nothing is damaged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.backends.sqlite.room import MARGIN
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.errors import Backpressure
from ropeway.ids import new_id
from ropeway.message import Delivery, Message, job_key
from ropeway.states import State
from ropeway.stepping import step
from ropeway.transition import Finish, Transition
from tests.conftest import Eventually
from tests.disks import fill, free_bytes, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


@pytest.fixture
def backend(disk: Path) -> Iterator[SqliteBackend]:
    database = Database(disk / "jobs.db")
    made = SqliteBackend(database, Blocking(database))
    step(made.open())
    yield made
    database.close()


def publish(count: int, body: int = 100) -> list[Transition]:
    return [
        Transition(publish=(Message(id=new_id(), task="t", body=bytes(body)),))
        for _ in range(count)
    ]


def claim(backend: SqliteBackend, n: int) -> list[Delivery]:
    return step(backend.receive([Claim("default", n)], "me", 60))


def settle(backend: SqliteBackend, found: list[Delivery]) -> None:
    """Settle with a result each."""
    settles = [
        Transition(fence=each.fence, settle=Finish(State.SUCCEEDED, b"a result of some length" * 4))
        for each in found
    ]
    assert [answer.status for answer in step(backend.commit(settles))] == ["applied"] * len(found)


def check_integrity(backend: SqliteBackend) -> None:
    look = "pragma integrity_check"
    assert backend.database.read(lambda execute: execute(look).fetchall()) == [("ok",)]


def test_settles_go_on_when_not_a_byte_is_left(backend: SqliteBackend, disk: Path) -> None:
    """Two thousand jobs in hand are renewed and settled, and their results are there."""
    step(backend.commit(publish(2_000)))
    found = [each for _ in range(10) for each in claim(backend, 200)]
    fill(disk)
    assert free_bytes(disk) == 0
    for start in range(0, len(found), 200):
        fences = [each.fence for each in found[start:]]
        assert set(step(backend.extend(fences, 60))) == {"held"}
        settle(backend, found[start : start + 200])
    kept = step(backend.get([job_key(each.fence.id) for each in found]))
    assert None not in kept
    check_integrity(backend)


def test_sends_are_refused_while_there_is_still_a_margin(
    backend: SqliteBackend, disk: Path, eventually: Eventually
) -> None:
    """A send on a nearly full disk raises and stores nothing; with space again it is taken."""
    step(backend.commit(publish(10)))
    others = fill(disk, leave=MARGIN - 2**20)

    def is_refused() -> bool:
        try:
            step(backend.commit(publish(1)))
        except Backpressure as error:
            return "free space" in error.hint
        return False

    eventually(is_refused, 2)
    waiting = len(claim(backend, 200))
    others.unlink()
    eventually(lambda: not is_refused(), 2)
    assert waiting >= 10
    check_integrity(backend)


def test_what_is_claimed_can_be_settled(backend: SqliteBackend, disk: Path) -> None:
    """On a disk without a byte a worker goes on, and takes no more than it can settle."""
    step(backend.commit(publish(20_000, body=300)))
    others = fill(disk)
    time.sleep(0.1)  # by then it has been looked at again
    done = 0
    while found := claim(backend, 200):
        settle(backend, found)
        done += len(found)
    check_integrity(backend)
    others.unlink()
    time.sleep(0.1)
    while found := claim(backend, 200):
        settle(backend, found)
        done += len(found)
    assert done == 20_000


def test_a_message_that_does_not_fit_is_not_half_there(backend: SqliteBackend, disk: Path) -> None:
    """A send that fills the disk is refused whole, and others are not touched by it."""
    step(backend.commit(publish(200)))
    fill(disk, leave=MARGIN + 2**20)
    with pytest.raises(Backpressure):
        step(backend.commit(publish(200, body=200_000)))
    found = claim(backend, 200)
    assert len(found) == 200
    settle(backend, found)
    assert claim(backend, 200) == []
    check_integrity(backend)


def test_old_records_are_removed_all_the_same(backend: SqliteBackend, disk: Path) -> None:
    """Pruning goes on, so that a full database makes room in itself."""
    step(backend.commit(publish(1_000)))
    while found := claim(backend, 200):
        settle(backend, found)
    fill(disk)
    assert step(backend.prune(Keep(newest=100), 10_000)) == 900
    check_integrity(backend)
