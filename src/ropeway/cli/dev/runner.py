"""The loop of `ropeway dev`: on a change the new worker starts, and then the old one ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ropeway.cli.dev.dashboard import DevDashboard
from ropeway.cli.dev.watch import Watch
from ropeway.cli.dev.worker import GLANCE, DevWorker, probe
from ropeway.words import duration

Say = Callable[[str], None]


class Dev:
    """One worker of the newest code that can be imported, and older ones that finish their jobs."""

    def __init__(
        self,
        target: str,
        options: Sequence[str],
        watch: Watch | None,
        say: Say,
        dashboard: DevDashboard | None = None,
    ) -> None:
        self._target, self._options, self._dashboard = target, options, dashboard
        self._watch, self._say = watch, say
        self._current: DevWorker | None = None
        self._starting: DevWorker | None = None
        self._leaving: list[DevWorker] = []
        self._tasks, self._url = 0, ""
        self._asked = 0
        self._looked = time.monotonic()

    def run(self) -> int:
        """Go on until told to stop; returns the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            self._start()
            while not self._asked:
                self._look_after()
                if self._watch is None and self._current is None and self._starting is None:
                    return 1
                if changed := self._look():
                    self._reload(changed)
                time.sleep(GLANCE)
            return self._end()
        finally:
            for worker in self._all():
                worker.tell(signal.SIGKILL)
                worker.wait()
            if self._dashboard is not None:
                self._dashboard.stop()

    def _start(self) -> None:
        """Start a worker of what the files say now, if that can be imported."""
        while True:
            changed: list[Path] = []
            found = probe(self._target, partial(self._given_up, changed))
            if self._asked:
                return
            if not changed:
                break
            self._tell_of(changed)
        if found is None:
            goes_on = "the worker of before goes on" if self._current else "no worker runs"
            self._say(f"{self._target} cannot be imported: {goes_on}{self._until}")
            return
        self._tasks, self._url = len(found.tasks), found.url
        self._starting = DevWorker(self._target, self._options, found.url)

    @property
    def _until(self) -> str:
        return "; waiting for a change" if self._watch is not None else ""

    def _given_up(self, changed: list[Path]) -> bool:
        changed += self._look()
        return bool(changed or self._asked)

    def _look(self) -> list[Path]:
        """Return what has changed, if it is time to look."""
        if self._watch is None or time.monotonic() - self._looked < self._watch.pause:
            return []
        changed = self._watch.changed()
        while changed and not self._asked:  # an editor or a checkout may write more than one file
            time.sleep(2 * GLANCE)
            more = self._watch.changed()
            if not more:
                break
            changed += more
        self._looked = time.monotonic()
        return changed

    def _tell_of(self, changed: list[Path]) -> None:
        number = len(set(changed)) - 1
        self._say(f"{_shown(changed[0])}{f' and {number} more' if number else ''} changed")

    def _reload(self, changed: list[Path]) -> None:
        self._tell_of(changed)
        if self._starting is not None:
            self._leave(self._starting)
            self._starting = None
        self._start()

    def _look_after(self) -> None:
        if self._starting is not None:
            self._look_after_start(self._starting)
        if self._current is not None and (code := self._current.ended()) is not None:
            self._say(f"the worker ended with status {code}{self._until}")
            self._current = None
        self._leaving = [worker for worker in self._leaving if worker.ended() is None]

    def _look_after_start(self, worker: DevWorker) -> None:
        if worker.ended() is not None:
            self._say(f"the new worker ended with status {worker.ended()}{self._until}")
            self._starting = None
            return
        if not worker.consuming():
            return
        age = time.monotonic() - worker.begun
        if self._current is not None:
            self._leave(self._current)
        self._current, self._starting = worker, None
        watching = "reloading on save" if self._watch is not None else "not reloading"
        tasks = "1 task" if self._tasks == 1 else f"{self._tasks} tasks"
        self._say(f"Ready in {duration(age)} · {tasks} · {watching} · Ctrl-C stops")
        if self._dashboard is not None:
            self._dashboard.start(self._url)

    def _leave(self, worker: DevWorker) -> None:
        worker.tell(signal.SIGTERM)
        self._leaving.append(worker)

    def _stop(self, number: int, frame: object) -> None:
        del number, frame
        self._asked += 1

    def _end(self) -> int:
        """Let running jobs finish; give them back at the second request."""
        told, code = 0, 0
        while running := [worker for worker in self._all() if worker.ended() is None]:
            if told < self._asked:
                number = signal.SIGTERM if self._asked == 1 else signal.SIGQUIT
                for worker in running:
                    if not (number == signal.SIGTERM and worker in self._leaving):
                        worker.tell(number)
                told = self._asked
                if told == 1:
                    self._say("stopping: once more gives running jobs back at once")
            time.sleep(GLANCE)
        if self._current is not None:
            code = self._current.wait()
        return code

    def _all(self) -> list[DevWorker]:
        one_by_one = [worker for worker in (self._current, self._starting) if worker is not None]
        return one_by_one + self._leaving


def _shown(path: Path) -> str:
    return os.path.relpath(path)
