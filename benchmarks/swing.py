"""A stretch of a worker's life in which it does nothing but run tasks."""

from __future__ import annotations

import time

from benchmarks.processes import Started, cpu_each, written
from benchmarks.session import Session


class Swing:
    """Begins when every process of `worker` runs tasks, or after so many tasks at the latest.

    From there on no process is still importing: what is used is used for tasks. It does not begin
    before so many tasks as `after`.
    """

    def __init__(
        self, session: Session, worker: Started, *, at_latest: int, after: int = 0
    ) -> None:
        self._records, self._worker = session.records, worker
        self._server = session.server
        processes = session.contender.processes

        def reached() -> bool:
            done = self._records.poll()
            return done >= after and (self._records.processes >= processes or done >= at_latest)

        session.wait(reached, "every process at work")
        self.first, self.at = len(self._records.stamps), time.time()
        self._bytes, self._cpu = written(worker.tree()), cpu_each(worker.tree())
        self._served = self._server_seconds()
        self.count = 0
        self.server_cpu_us = 0.0
        self.cpu_us_each: dict[int, float] = {}
        self.bytes = 0.0

    def end(self) -> None:
        """Take the tasks run meanwhile, and of each what it cost: time by process, and bytes."""
        self.count = max(1, self._records.poll() - self.first)
        tree = self._worker.tree()
        for pid, seconds in cpu_each(tree).items():
            self.cpu_us_each[pid] = (seconds - self._cpu.get(pid, 0.0)) / self.count * 1e6
        self.bytes = (written(tree) - self._bytes) / self.count
        self.server_cpu_us = (self._server_seconds() - self._served) / self.count * 1e6

    def _server_seconds(self) -> float:
        return self._server.cpu_seconds() if self._server else 0.0

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor time a task, of all processes."""
        return sum(self.cpu_us_each.values())
