"""Measures what a worker of this machine does with jobs that do nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ropeway.bulk import change, removing
from ropeway.claims import MAX_BATCH
from ropeway.cli.measuring import Measured, shares_of
from ropeway.errors import Refused
from ropeway.ids import new_id
from ropeway.jobs import seen
from ropeway.message import JobRecord, Message, job_key
from ropeway.operate.operator import Operator
from ropeway.states import FINAL
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.transition import Transition

APP = "ropeway.cli.benchapp"
_PATIENCE = 60.0
_LOOK = 0.02


class Bench:
    """A worker with a queue of its own, and the jobs that it is given."""

    def __init__(self, backend: Backend, queue: str, worker: subprocess.Popen[bytes]) -> None:
        self._backend, self._queue, self._worker = backend, queue, worker
        self._sent: list[str] = []

    def run(self, jobs: int, size: int) -> Iterator[Measured]:
        """Have it drain jobs of either kind, and then take one at a time."""
        self._await(self._send("ropeway.bench.loop", 1, size))  # it is ready from here on
        for what, task in (("async", "loop"), ("plain", "thread")):
            ids = self._send(f"ropeway.bench.{task}", jobs, size)
            yield self._drained(f"worker, {what} tasks", self._await(ids))
        begun, times = time.perf_counter(), []
        some = min(jobs, 200)
        for _ in range(some):
            before = time.perf_counter()
            self._await(self._send("ropeway.bench.loop", 1, size), look=0.001)
            times.append(time.perf_counter() - before)
        took = time.perf_counter() - begun
        yield Measured(
            what="worker, sent one at a time", jobs=some, rate=some / took, times=shares_of(times)
        )

    def _send(self, task: str, jobs: int, size: int) -> list[str]:
        body = b'{"text":"' + b"x" * size + b'"}'
        messages = [
            Message(id=new_id(), task=task, body=body, queue=self._queue) for _ in range(jobs)
        ]
        self._sent += [each.id for each in messages]
        for at in range(0, jobs, MAX_BATCH):
            batch = tuple(messages[at : at + MAX_BATCH])
            answers = step(self._backend.commit([Transition(publish=(each,)) for each in batch]))
            if not all(answer.ok for answer in answers):
                raise Refused("the place has refused a job that was sent to it")
        return [each.id for each in messages]

    def _await(self, ids: Sequence[str], look: float = _LOOK) -> list[JobRecord]:
        """Wait until they have ended; raises `Refused` if the worker does not get on."""
        waiting, found = list(ids), list[JobRecord]()
        until = time.monotonic() + _PATIENCE
        while waiting:
            records = step(self._backend.get([job_key(each) for each in waiting[:MAX_BATCH]]))
            jobs = [seen(each).record for each in records if each is not None]
            ended = [each for each in jobs if each.state.final]
            if ended:
                gone = {each.message.id for each in ended}
                waiting = [each for each in waiting if each not in gone]
                found += ended
                until = time.monotonic() + _PATIENCE
                continue
            if self._worker.poll() is not None or time.monotonic() > until:
                raise Refused("the worker that was started does not work", hint="ropeway doctor")
            time.sleep(look)
        return found

    @staticmethod
    def _drained(what: str, jobs: Sequence[JobRecord]) -> Measured:
        """Count from the first start to the last end, by the clock of the place."""
        begun = min(each.started or 0.0 for each in jobs)
        ended = max(each.finished or 0.0 for each in jobs)
        ran = [max(0.0, (each.finished or 0.0) - (each.started or 0.0)) for each in jobs]
        rate = len(jobs) / max(ended - begun, 1e-6)
        return Measured(what=what, jobs=len(jobs), rate=rate, times=shares_of(ran))

    def clean(self, operator: Operator) -> int:
        """Remove every job that was sent; returns how many are left."""
        step(operator.purge(self._queue))
        done = step(change(self._backend, self._sent, removing(frozenset(FINAL))))
        return done.found - done.done - done.skipped.get("it is not kept any more", 0)


@contextmanager
def working(backend: Backend, operator: Operator, url: str, children: int) -> Iterator[Bench]:
    """Start a worker for the block; whatever happens, neither it nor its jobs are left."""
    queue = f"ropeway-bench-{new_id()}"
    command = [sys.executable, "-m", "ropeway", "worker", APP, "-q"]
    worker = subprocess.Popen(
        [*command, "--queues", queue, "--children", str(children)],
        env={**os.environ, "ROPEWAY_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    bench = Bench(backend, queue, worker)
    try:
        yield bench
    finally:
        worker.terminate()
        try:
            worker.wait(15)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        if left := bench.clean(operator):
            raise Refused(f"{left} jobs of {queue} could not be removed", hint="try ropeway prune")
