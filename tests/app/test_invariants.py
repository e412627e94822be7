"""Keys, limits and unique jobs under many senders, several workers, and kills of both.

`INVARIANT_SENDS` is how much each of the four senders sends: few by default, 20,000 by hand.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, Worker

SENDS = int(os.environ.get("INVARIANT_SENDS", "400"))
SENDERS = 4

TASKS = """
import fcntl, random

app = Ropeway(limits={"few": 3})
ROBUST = RetryPolicy(retries=50, base=0.01, cap=0.05, max_losses=1000)


def place(name):
    return os.path.join(os.environ["RIG"], name)


def note(file, line):
    descriptor = os.open(place(file), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (line + "\\n").encode())
    os.close(descriptor)


class one_of:
    # A lock of the kernel's ends with its process, however that ends: it cannot lie.
    def __init__(self, what, count):
        self.names = [f"lock-{what}-{n}" for n in range(count)]

    def __enter__(self):
        for name in self.names:
            self.file = os.open(place(name), os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                os.close(self.file)
        self.file = None
        note("violations", f"{self.names[0]} {current.job_id}")

    def __exit__(self, *error):
        if self.file is not None:
            os.close(self.file)


@app.task(retries=ROBUST)
def keyed(key: str, sender: int, n: int) -> None:
    with one_of(f"key-{key}", 1):
        note("order", f"{key} {sender} {n}")
        time.sleep(random.uniform(0, 0.002))
        if random.random() < 0.02:
            raise ValueError("now and then")


@app.task(limits=["few"], retries=ROBUST)
def limited(n: int) -> None:
    with one_of("few", 3):
        time.sleep(random.uniform(0, 0.004))


@app.task(unique=True, retries=ROBUST)
def unique(purpose: int) -> None:
    with one_of(f"unique-{purpose}", 1):
        time.sleep(random.uniform(0, 0.004))
"""

SENDER = """
import random, sys
import tasks
me, start, stop = map(int, sys.argv[1:])
for n in range(start, stop):
    if n % 3 == 0:
        key = f"k{n % 5}"
        tasks.keyed.using(key=key).send(key, me, n)
    elif n % 3 == 1:
        tasks.limited.send(n)
    else:
        tasks.unique.send(random.randrange(8))
    print(n, flush=True)
"""


class Sender:
    """One of those who send; when it is killed it goes on behind what it has sent."""

    def __init__(self, rig: Rig, number: int) -> None:
        self._rig, self._number = rig, number
        self._log = rig.folder / f"sent-{number}"
        self._log.touch()
        self._sink = self._log.open("ab")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SENDER, str(self._number), str(self.next), str(SENDS)]
        return subprocess.Popen(command, cwd=self._rig.folder, stdout=self._sink)

    @property
    def next(self) -> int:
        """The first that it has not told of."""
        told = self._log.read_text().split()
        return int(told[-1]) + 1 if told else 0

    def kill(self) -> None:
        """End it at once, and have another go on."""
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def close(self) -> None:
        """End it for good."""
        self.process.kill()
        self.process.wait()
        self._sink.close()


@pytest.fixture
def workers(rig: Rig) -> list[Worker]:
    """Return two workers of two children each."""
    # A file tells at once who is dead; elsewhere a lease has to end.
    rig.set(lease=60 if rig.in_file else 1, keep_count=10_000_000)
    rig.tasks(TASKS)
    return [rig.worker("--children", "2"), rig.worker("--children", "2")]


@pytest.fixture
def senders(rig: Rig, workers: list[Worker]) -> Iterator[list[Sender]]:
    """Return the senders, at work."""
    found = [Sender(rig, number) for number in range(SENDERS)]
    yield found
    for each in found:
        each.close()


@pytest.mark.timeout(3600 if SENDS > 1000 else 60)
def test_keys_limits_and_unique_jobs_under_kills(
    rig: Rig, workers: list[Worker], senders: list[Sender], eventually: Eventually
) -> None:
    """Never two in flight for a key, more than a limit, or two live for a purpose; order holds."""
    rig.needs_record()
    kills, order = 0, rig.folder / "order"

    def over() -> bool:
        return all(each.process.poll() is not None for each in senders) and rig.settled()

    def written() -> int:
        return order.stat().st_size if order.exists() else 0

    while not over():
        # After some calls more have run, wherever they are in the middle of then.
        goal = written() + random.randint(20, 200) * (20 if SENDS > 1000 else 1)
        eventually(lambda goal=goal: written() >= goal or over(), 30)  # type: ignore[misc]  # bound
        kills += kill_somebody(rig, workers, senders)
    assert [each.process.returncode for each in senders] == [0] * SENDERS
    eventually(rig.settled, 30 + SENDS / 20)
    assert rig.states().keys() == {"succeeded"}
    violations = rig.folder / "violations"
    assert not violations.exists(), violations.read_text()
    assert_order(rig)
    jobs = assert_one_live(rig)
    assert kills > 3
    print(f"{SENDERS * SENDS} sends, {kills} kills, {jobs} unique jobs, {rig.states()}")


def kill_somebody(rig: Rig, workers: list[Worker], senders: list[Sender]) -> bool:
    """Kill a child, a sender that goes on, or a whole worker, which is replaced."""
    victim = random.randrange(8)
    if victim < 5:
        children = [pid for each in workers for pid in each.children]
        if children:
            os.kill(random.choice(children), signal.SIGKILL)
        return bool(children)
    if victim < 7:
        sending = [each for each in senders if each.process.poll() is None]
        if sending:
            random.choice(sending).kill()
        return bool(sending)
    workers.pop(0).kill()
    workers.append(rig.worker("--children", "2"))
    return True


def assert_order(rig: Rig) -> None:
    """Of each key and sender the first runs are in the order of sending, and none is missing."""
    first: dict[tuple[str, int], list[int]] = defaultdict(list)
    for line in (rig.folder / "order").read_text().splitlines():
        key, sender, n = line.split()
        seen = first[key, int(sender)]
        if int(n) not in seen[-50:]:
            seen.append(int(n))
    for numbers in first.values():
        assert numbers == sorted(numbers)
    assert sum(map(len, first.values())) == SENDERS * len(range(0, SENDS, 3))


def assert_one_live(rig: Rig) -> int:
    """Of each purpose a job was sent only when the one before was settled."""
    live: dict[bytes, float] = {}
    if rig.in_file:
        rows = rig.sql(
            "select body, enqueued, finished from job where task = 'tasks.unique' order by enqueued"
        )
    else:
        jobs = [each for each in rig.jobs() if each.message.task == "tasks.unique"]
        rows = sorted((each.enqueued, each.message.body, each.finished) for each in jobs)
        rows = [(body, enqueued, finished) for enqueued, body, finished in rows]
    for body, enqueued, finished in rows:
        assert live.get(body, 0.0) <= enqueued
        live[body] = finished
    return len(rows)
