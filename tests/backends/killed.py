"""Processes that send, claim and settle on one SQLite file, are killed, and leave a witness.

Every line of the witness file is one `write` at its end, so its lines are in the order of what
they tell of: a job's `start` is written after its claim, its `end` before its settle. What a
process had started when it died ended with the line `dead`, which whoever killed it writes.

    python tests/backends/killed.py FOLDER SLOT MESSAGES KEYS LIMITS
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import apsw
from msgspec import Struct

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.claims import Claim, Limit
from ropeway.message import Delivery, Message
from ropeway.states import State
from ropeway.stepping import step
from ropeway.transition import Finish, Transition

PROCESSES = 4
IN_FLIGHT = 3
_BATCH = 20
_LEASE = 2.0  # and no lifeline: nobody takes over before the line `dead` is written


class Size(Struct, frozen=True):
    """How much there is to do; without keys or limits messages have none."""

    messages: int
    keys: int
    limits: int
    kills: int


def make(slot: int, number: int, size: Size) -> Message:
    """Make a message that depends on nothing but its number."""
    chance = random.Random(slot * 1_000_003 + number)
    key = chance.randrange(size.keys) if size.keys else None
    limit = chance.randrange(size.limits) if size.limits and chance.random() < 0.5 else None
    return Message(
        id=f"{slot}-{number:06}",
        task="t",
        key=None if key is None else f"key {key}",
        limits=() if limit is None else (f"limit {limit}",),
    )


def backend_on(folder: Path) -> SqliteBackend:
    """Open the database."""
    database = Database(folder / "jobs.db")
    return SqliteBackend(database, Blocking(database))


class Process:
    """One process: sends its share, and takes whatever there is until nothing is left."""

    def __init__(self, folder: Path, slot: int, size: Size) -> None:
        self._backend, self._folder, self._slot, self._size = backend_on(folder), folder, slot, size
        self._name = f"{slot}:{os.getpid()}"
        self._witness = os.open(folder / "witness", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run(self) -> None:
        step(self._backend.open())
        sent = self._sent_before()
        share = self._size.messages // PROCESSES
        while sent < share or not self._all_is_done():
            if sent < share:
                batch = range(sent, min(share, sent + _BATCH))
                made = [make(self._slot, number, self._size) for number in batch]
                step(self._backend.commit([Transition(publish=(each,)) for each in made]))
                sent = batch.stop
                self._tell("sent", [str(sent)])
            self._work()

    def _work(self) -> None:
        found = step(self._backend.receive([Claim("default", _BATCH)], self._name, _LEASE, 0.05))
        ids = [delivery.fence.id for delivery in found]
        self._tell("start", ids)
        self._tell("end", ids)
        answers = step(self._backend.commit([_finish(delivery) for delivery in found]))
        self._tell("done", [i for i, each in zip(ids, answers, strict=True) if each.ok])

    def _all_is_done(self) -> bool:
        (found,) = step(self._backend.stats(["default"], 1))
        return found.ready + found.delayed + found.leased == 0

    def _sent_before(self) -> int:
        lines = (self._folder / "witness").read_text().splitlines()
        words = (line.split() for line in lines)
        counts = [
            int(count)
            for what, name, *ids in words
            if what == "sent"
            for count in ids
            if name.startswith(f"{self._slot}:")
        ]
        return max(counts, default=0)

    def _tell(self, what: str, words: Sequence[str]) -> None:
        if words:
            os.write(self._witness, f"{what} {self._name} {' '.join(words)}\n".encode())


def _finish(delivery: Delivery) -> Transition:
    return Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED, b"1"))


def _start(folder: Path, slot: int, size: Size) -> subprocess.Popen[bytes]:
    numbers = [str(each) for each in (slot, size.messages, size.keys, size.limits)]
    return subprocess.Popen([sys.executable, __file__, str(folder), *numbers])


def run(folder: Path, size: Size) -> float:
    """Have all of it done, by processes that are killed now and then; return the CPU seconds."""
    backend = backend_on(folder)
    step(backend.open())
    limits = [Limit(name=f"limit {i}", in_flight=IN_FLIGHT) for i in range(size.limits)]
    step(backend.declare(limits))
    backend.database.close()
    (folder / "witness").touch()
    before = _cpu_of_children()
    running = {slot: _start(folder, slot, size) for slot in range(PROCESSES)}
    chance, kills = random.Random(7), size.kills
    while running:
        if kills:
            time.sleep(chance.uniform(0.1, 0.4))
            victim = chance.choice(list(running))
            running[victim].send_signal(signal.SIGKILL)
            kills -= 1
        for slot, process in list(running.items()):
            status = process.wait() if not kills or process.poll() is not None else None
            if kills and slot == victim:
                status = process.wait()
            if status == 0:
                del running[slot]
            elif status is not None:
                assert status == -signal.SIGKILL, f"process {slot} ended with {status}"
                with (folder / "witness").open("a") as witness:
                    witness.write(f"dead {slot}:{process.pid}\n")
                running[slot] = _start(folder, slot, size)
    return _cpu_of_children() - before


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def check(folder: Path, size: Size) -> None:
    """Look at the witness and at what is kept: raises `AssertionError` for any broken promise."""
    connection = apsw.Connection(str(folder / "jobs.db"))
    rows = connection.execute("select id, serial, state from job order by serial").fetchall()
    connection.close()
    assert len(rows) == size.messages
    assert {row[2] for row in rows} == {2}
    serials = {str(row[0]): int(str(row[1])) for row in rows}
    _Witness(serials, size).read((folder / "witness").read_text().splitlines())


class _Witness:
    """What is in flight after each line, and how far each key has come."""

    def __init__(self, serials: dict[str, int], size: Size) -> None:
        self._serials = serials
        self._messages = {each: make(*_parts(each), size) for each in serials}
        self._flying: dict[str, str] = {}
        self._busy: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._reached: dict[str, int] = {}
        self._done: set[str] = set()

    def read(self, lines: list[str]) -> None:
        for line in lines:
            what, name, *ids = line.split()
            match what:
                case "start":
                    for job_id in ids:
                        self._start(job_id, name)
                case "end":
                    for job_id in ids:
                        self._end(job_id)
                case "dead":
                    for job_id in [each for each, by in self._flying.items() if by == name]:
                        self._end(job_id)
                case "done":
                    assert not self._done & set(ids), f"settled twice: {self._done & set(ids)}"
                    self._done.update(ids)
        assert not self._flying
        assert self._busy == {} and set(self._places.values()) <= {0}

    def _start(self, job_id: str, name: str) -> None:
        message = self._messages[job_id]
        assert job_id not in self._flying, f"{job_id} runs beside itself"
        self._flying[job_id] = name
        if message.key is not None:
            assert message.key not in self._busy, f"two of {message.key} run"
            self._busy[message.key] = job_id
            assert self._serials[job_id] >= self._reached.get(message.key, 0), "out of order"
            self._reached[message.key] = self._serials[job_id]
        for limit in message.limits:
            self._places[limit] = self._places.get(limit, 0) + 1
            assert self._places[limit] <= IN_FLIGHT, f"too many of {limit} run"

    def _end(self, job_id: str) -> None:
        message = self._messages[job_id]
        del self._flying[job_id]
        if message.key is not None:
            del self._busy[message.key]
        for limit in message.limits:
            self._places[limit] -= 1


def _parts(job_id: str) -> tuple[int, int]:
    slot, number = job_id.split("-")
    return int(slot), int(number)


if __name__ == "__main__":
    place, *numbers = sys.argv[1:]
    own_slot, messages, keys, limits = map(int, numbers)
    Process(Path(place), own_slot, Size(messages, keys, limits, 0)).run()
