"""The workers of a run, as an operator would start and replace them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from chaos.errors import HarnessError
from chaos.processes import Started, until

_START = 60.0
_DEATH = 10.0
_REFUSED = "was not settled (lost)"


class Crew:
    """Keeps `size` workers running; `env` gives the environment of each by its number."""

    def __init__(
        self, folder: Path, env: Callable[[int], Mapping[str, str]], size: int, children: int
    ) -> None:
        self._folder, self._env, self.size = folder, env, size
        self._command = ["chaos.worker", "chaos.tasks:app", "--children", str(children)]
        self._all: list[Started] = []
        self.workers: list[Started] = []
        self.stopped: dict[int, list[int]] = {}

    def start(self) -> None:
        """Start as many workers as are missing, as a service manager does."""
        self.workers = [worker for worker in self.workers if worker.alive]
        while len(self.workers) < self.size:
            log = self._folder / f"worker-{len(self._all):03}.log"
            worker = Started(self._command, log, self._env(len(self._all)))
            self._all.append(worker)
            self.workers.append(worker)

    def wait_until_ready(self) -> None:
        """Wait until every worker takes jobs; one that ends meanwhile makes the run impossible."""

        def ready() -> bool:
            for worker in self.workers:
                if not worker.alive:
                    raise HarnessError(f"a worker ended at its start:\n{worker.said()[-2000:]}")
            return all(map(_takes_jobs, self.workers))

        until(ready, "the workers start", _START)

    @property
    def running(self) -> list[Started]:
        """The workers that take jobs: not those that still start, or are stopped."""
        return [
            worker
            for worker in self.workers
            if worker.alive and worker.pid not in self.stopped and _takes_jobs(worker)
        ]

    def kill(self, worker: Started) -> None:
        """Kill a supervisor; its children die with it."""
        worker.signal(signal.SIGKILL)
        worker.wait(_DEATH)

    def stop(self, worker: Started, *, children: bool = False) -> None:
        """Stop a supervisor where it stands; its children go on, unless they are stopped as well."""
        worker.signal(signal.SIGSTOP)
        self.stopped[worker.pid] = worker.children if children else []
        for child in self.stopped[worker.pid]:
            _send(child, signal.SIGSTOP)

    def cont(self, pid: int) -> None:
        """Let a stopped supervisor go on."""
        for each in [*self.stopped.pop(pid, []), pid]:
            _send(each, signal.SIGCONT)

    def retire(self, worker: Started) -> None:
        """Ask a worker to end, and start the one that follows it."""
        worker.signal(signal.SIGTERM)
        self.workers = [each for each in self.workers if each is not worker]
        self.start()

    def heal(self) -> None:
        """Let every stopped supervisor go on, and start what is missing."""
        for pid in list(self.stopped):
            self.cont(pid)
        self.start()

    def leave(self, patience: float) -> None:
        """Ask all to end, and see that they do."""
        for worker in self._all:
            worker.signal(signal.SIGTERM)
        for worker in self._all:
            if not worker.wait(patience):
                raise HarnessError(f"a worker did not stop:\n{worker.said()[-2000:]}")
        self.workers = []

    def end(self) -> None:
        """End everything that was started."""
        for worker in self._all:
            worker.kill()


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _takes_jobs(worker: Started) -> bool:
    return "loop slots" in worker.said()


def refused(folder: Path) -> int:
    """How many settles the workers of a run reported as refused."""
    logs = folder.glob("worker-*.log")
    return sum(log.read_text(errors="replace").count(_REFUSED) for log in logs)
