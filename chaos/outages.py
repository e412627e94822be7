"""A store that is away again and again: when a worker consumes again, and what that costs.

    python -m chaos.outages --backend redis --times 12 --seconds 5

Prints one line for each outage, and a verdict; the exit code is 1 if anything was lost, run twice, late, or kept
in memory. A file is locked; a server is killed, stopped, and cut off in several ways.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from chaos.places import BACKENDS, place_of
from chaos.places.place import Place
from chaos.places.servers import ServerPlace
from chaos.places.strikes import KINDS
from chaos.processes import Started, environment, until
from chaos.public import Public

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

_STRIKES = ("server killed", "server shut down", "server stopped", "network held", "network gone")
_JOBS = 3_000
_LATE, _LATEST = 2.0, 5.0
"""Seconds within which a worker consumes again: half of the times, and always."""

_GROWTH = 8 * 2**20


class Scene:
    """A folder with an app, and a worker with all its children on one place."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.place, self.witness = place, folder / "witness"
        (folder / "tasks.py").write_text(_TASKS)
        self._folder = folder
        self.send(1)
        command = ["ropeway", "worker", "tasks:app", "--children", "1"]
        env = self._environment(place.worker_url(0))
        self.worker = Started(command, folder / "worker.log", env)
        until(lambda: len(self.runs()) == 1, "the worker starts", 20)

    def _environment(self, url: str) -> dict[str, str]:
        env = environment(ROPEWAY_URL=url, WITNESS=str(self.witness))
        env["PYTHONPATH"] += os.pathsep + str(self._folder)
        return env

    def send(self, count: int) -> None:
        """Send so many calls, from a process of their own."""
        command = [sys.executable, "-c", _SENDER, str(count)]
        env = self._environment(self.place.url)
        subprocess.run(command, env=env, cwd=self._folder, check=True)

    def runs(self) -> list[tuple[float, str]]:
        """When each run began, and of which job."""
        if not self.witness.exists():
            return []
        lines = (line.split() for line in self.witness.read_text().splitlines())
        return [(float(when), job) for when, job in lines]

    def has_work(self) -> bool:
        """Whether any job has not ended."""
        with Public(self.place.url) as public:
            return public.has_work()


Outage = tuple[str, Callable[[], AbstractContextManager[None]]]
"""Its name, and how to make it: while it is entered nothing can be had."""


def _outages(scene: Scene) -> list[Outage]:
    place = scene.place
    if isinstance(place, ServerPlace):
        return [(name, partial(_struck, place, name)) for name in _STRIKES]
    return [("locked", partial(_locked, scene)), ("locked by ropeway", partial(_kept, scene))]


@contextmanager
def _struck(place: ServerPlace, name: str) -> Iterator[None]:
    KINDS[name].strike(place, 0.0)
    yield
    KINDS[name].heal(place, 0.0)


@contextmanager
def _locked(scene: Scene) -> Iterator[None]:
    witness = scene.place.witness(Path(), 0.0)
    until(witness.block, "the database is locked", 20)
    yield
    witness.unblock()


@contextmanager
def _kept(scene: Scene) -> Iterator[None]:
    command = [sys.executable, "-c", _KEEPER, scene.place.url.removeprefix("sqlite:///")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe) as keeper:
        assert keeper.stdout is not None
        keeper.stdout.readline()
        keeper.send_signal(signal.SIGSTOP)
        yield
        keeper.kill()


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _measure(scene: Scene, outage: Outage, seconds: float) -> tuple[float, int]:
    name, make = outage
    scene.send(_JOBS)
    with make():
        time.sleep(seconds)
    back = time.time()
    until(lambda: bool([when for when, _ in scene.runs() if when > back]), name, 60)
    pause = min(when for when, _ in scene.runs() if when > back) - back
    until(lambda: not scene.has_work(), "all is done", 300)
    return pause, _memory(scene.worker.pid)


def _watch(scene: Scene, times: int, seconds: float) -> bool:
    outages = _outages(scene)
    pauses, sizes = [], []
    for number in range(times):
        outage = outages[number % len(outages)]
        pause, size = _measure(scene, outage, seconds)
        pauses.append(pause)
        sizes.append(size)
        words = f"{number + 1:3}  {outage[0]:<18}consumes after {pause:5.2f} s"
        print(f"{words}  {size / 2**20:6.1f} MiB", flush=True)
    jobs = [job for _, job in scene.runs()]
    lines = len(scene.worker.said().splitlines())
    lost, again = times * _JOBS + 1 - len(set(jobs)), len(jobs) - len(set(jobs))
    growth = sizes[-1] - sizes[0]
    print(
        f"lost {lost}, run again {again}, grown by {growth / 2**20:.1f} MiB, {lines} lines of log"
    )
    late = sorted(pauses)[len(pauses) // 2] > _LATE or max(pauses) > _LATEST
    return bool(lost or again or late or growth > _GROWTH)


def main() -> int:
    """Run the outages and print the verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", choices=BACKENDS, default="sqlite")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = place_of(given.backend, Path(folder))
        try:
            place.start()
            scene = Scene(Path(folder), place)
            try:
                return int(_watch(scene, given.times, given.seconds))
            finally:
                scene.worker.kill()
        finally:
            place.end()


if __name__ == "__main__":
    sys.exit(main())
