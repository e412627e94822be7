"""Job ids are UUIDs of version 7 that grow."""

from __future__ import annotations

import itertools
import os
import select
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from ropeway import ids
from ropeway.ids import first_id, new_id


def milliseconds(job_id: str) -> int:
    """Return the time that a UUIDv7 begins with."""
    return uuid.UUID(job_id).int >> 80


def test_they_are_uuids_of_version_7() -> None:
    """Any tool reads them, in the usual spelling."""
    for made in (new_id() for _ in range(1000)):
        read = uuid.UUID(made)
        assert (str(read), read.version, read.variant) == (made, 7, uuid.RFC_4122)


def test_they_tell_when_they_were_made() -> None:
    """The first 48 bits are the time in milliseconds."""
    before = time.time_ns() // 1_000_000
    made = milliseconds(new_id())
    # Ids that were made quicker than the clock ticks may have borrowed the next millisecond.
    assert before <= made <= time.time_ns() // 1_000_000 + 1


def test_they_grow_within_a_millisecond() -> None:
    """Sorting by id is sorting by age, within one process."""
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_they_grow_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time server that corrects the date does not put new jobs before old ones."""
    first = new_id()
    past = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: past)
    made = [first, *(new_id() for _ in range(1000))]
    assert made == sorted(set(made))
    assert all(uuid.UUID(each).version == 7 for each in made)


def test_a_full_random_part_borrows_from_the_next_millisecond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ids go on growing when a millisecond has no more of them."""
    now = time.time_ns() + 1_000_000_000
    for name in ("_millisecond", "_head", "_low"):
        monkeypatch.setattr(ids, name, getattr(ids, name))  # the clock is put back in the end
    monkeypatch.setattr(time, "time_ns", lambda: now)
    new_id()
    monkeypatch.setattr(ids, "_low", (0b11 << 62) - 1)
    made = [new_id() for _ in range(10)]
    assert made == sorted(set(made))
    assert {milliseconds(each) for each in made} == {now // 1_000_000 + 1}
    assert all(uuid.UUID(each).variant == uuid.RFC_4122 for each in made)


def test_they_differ_among_threads() -> None:
    """Threads that ask at once get different ids, each thread growing ones."""
    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda _: [new_id() for _ in range(2000)], range(8)))
    assert len({each for made in lists for each in made}) == 16_000
    assert all(made == sorted(made) for made in lists)


def test_steps_within_a_millisecond_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next id of the same millisecond is not the last one plus one."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    made = [uuid.UUID(new_id()).int for _ in range(200)]
    steps = {later - earlier for earlier, later in itertools.pairwise(made)}
    assert len(steps) > 150


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_in_the_middle_makes_ids() -> None:
    """A fork while another thread makes an id leaves the child no lock that nobody will open."""
    read, write = os.pipe()
    with ids._lock:
        child = os.fork()
        if child == 0:
            try:
                os.write(write, new_id().encode())
            finally:
                os._exit(0)
    told, _, _ = select.select([read], [], [], 10.0)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert told, "the child hangs"
    assert uuid.UUID(os.read(read, 100).decode()).version == 7
    os.close(read)
    os.close(write)


def test_the_first_id_of_an_instant() -> None:
    """Ids made from an instant on are not below its first id, and those made before it are."""
    before = new_id()
    made = int(before.replace("-", "")[:12], 16) / 1000
    assert first_id(made) <= before < first_id(made + 0.0011)
    assert first_id(0.0) <= first_id(-1e300) < first_id(1e9) < first_id(1e300)
    assert len(first_id(1e300)) == 36
