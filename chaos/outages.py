"""A store that is locked again and again: when a worker consumes again, and what that costs.

    python -m chaos.outages --times 10 --seconds 30

Prints one line for each outage, and a verdict; the exit code is 1 if anything was lost, run twice, late, or kept
in memory.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from chaos.processes import Started, environment, until

_TASKS = """
import os, time
from ropeway import Ropeway, current
app = Ropeway()

@app.task
def work() -> None:
    line = f"{time.time()} {current.job_id}\\n".encode()
    descriptor = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)
    time.sleep(0.01)
"""

_SENDER = (
    "import sys, tasks; tasks.app.send_many(tasks.work.call() for _ in range(int(sys.argv[1])))"
)

_KEEPER = """
import sys
from pathlib import Path
from ropeway.backends.sqlite.turnstile import Turnstile
assert Turnstile(Path(sys.argv[1])).enter()
print("in", flush=True)
sys.stdin.read()
"""

_JOBS = 3_000
_LATE = 2.0
_GROWTH = 8 * 2**20


class Place:
    """A folder with an app, its database and a worker."""

    def __init__(self, folder: Path) -> None:
        self.database, self.witness = folder / "jobs.db", folder / "witness"
        (folder / "tasks.py").write_text(_TASKS)
        self._folder = folder
        self._env = environment(ROPEWAY_URL=f"sqlite:///{self.database}", WITNESS=str(self.witness))
        self._env["PYTHONPATH"] += os.pathsep + str(folder)
        self.send(1)
        command = ["ropeway", "worker", "tasks:app", "--children", "1"]
        self.worker = Started(command, folder / "worker.log", self._env)
        until(lambda: len(self.runs()) == 1, "the worker starts", 20)

    def send(self, count: int) -> None:
        """Send so many calls, from a process of their own."""
        command = [sys.executable, "-c", _SENDER, str(count)]
        subprocess.run(command, env=self._env, cwd=self._folder, check=True)

    def runs(self) -> list[tuple[float, str]]:
        """When each run began, and of which job."""
        if not self.witness.exists():
            return []
        lines = (line.split() for line in self.witness.read_text().splitlines())
        return [(float(when), job) for when, job in lines]

    def unended(self) -> int:
        """How many jobs have not ended."""
        connection = apsw.Connection(str(self.database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            rows = connection.execute("select id from job where state < 2").fetchall()
            return len(rows)
        finally:
            connection.close()

    @contextmanager
    def locked(self, *, by_one_of_ours: bool) -> Iterator[None]:
        """Keep everybody from writing."""
        if not by_one_of_ours:
            connection = apsw.Connection(str(self.database))
            connection.set_busy_timeout(20_000)
            connection.execute("begin immediate")
            yield
            connection.execute("rollback")
            connection.close()
            return
        command = [sys.executable, "-c", _KEEPER, str(self.database)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=self._env, stdin=pipe, stdout=pipe) as keeper:
            assert keeper.stdout is not None
            keeper.stdout.readline()
            keeper.send_signal(signal.SIGSTOP)
            yield
            keeper.kill()


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _outage(place: Place, number: int, seconds: float) -> tuple[float, int]:
    place.send(_JOBS)
    with place.locked(by_one_of_ours=number % 2 == 1):
        time.sleep(seconds)
        back = time.time()
    until(lambda: bool([when for when, _ in place.runs() if when > back]), "it consumes", 60)
    pause = min(when for when, _ in place.runs() if when > back) - back
    until(lambda: not place.unended(), "all is done", 300)
    return pause, _memory(place.worker.pid)


def main() -> int:
    """Run the outages and print the verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        pauses, sizes = [], []
        try:
            for number in range(given.times):
                pause, size = _outage(place, number, given.seconds)
                pauses.append(pause)
                sizes.append(size)
                print(
                    f"{number + 1:3}  consumes after {pause:5.2f} s  {size / 2**20:6.1f} MiB",
                    flush=True,
                )
            jobs = [job for _, job in place.runs()]
            lines = len(place.worker.said().splitlines())
        finally:
            place.worker.kill()
    lost, again = given.times * _JOBS + 1 - len(set(jobs)), len(jobs) - len(set(jobs))
    growth = sizes[-1] - sizes[0]
    print(
        f"lost {lost}, run again {again}, grown by {growth / 2**20:.1f} MiB, {lines} lines of log"
    )
    return int(bool(lost or again or max(pauses) > _LATE or growth > _GROWTH))


if __name__ == "__main__":
    sys.exit(main())
