"""Collect the answers in order, and have a child killed half-way."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ropeway.cli.demo import witness
from ropeway.cli.demo.answers import Answers
from ropeway.cli.demo.fleet import Kill, kill_busy_child
from ropeway.cli.demo.home import Home
from ropeway.cli.demo.plan import Question
from ropeway.errors import ResultTimeout, RopewayError

if TYPE_CHECKING:
    from ropeway import Job

MOST_KILLS = 5

_ANSWER_SECONDS = 60.0
_LOOK_SECONDS = 2.0


class Collector:
    """Waits for each job in turn; after half of them, kills a child that is at work."""

    def __init__(self, home: Home, process: subprocess.Popen[bytes]) -> None:
        self.answers = Answers()
        self.kills: list[Kill] = []
        self._home = home
        self._process = process
        self._collected: set[str] = set()
        self._shown = False

    def collect(
        self,
        jobs: list[tuple[Question, Job[Any]]],
        advance: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        """Keep the answer of every job.

        One kill is enough as a rule. If none of the calls that were under way has run again,
        another child is killed, `MOST_KILLS` at most. Raises what a job failed with, and
        `RopewayError` when the worker ends or an answer takes longer than a minute.
        """
        waiting = {job.id: job for _, job in jobs}
        due, step = len(jobs) // 2, max(1, len(jobs) // 100)
        under_way: frozenset[str] = frozenset()
        for place, (question, job) in enumerate(jobs, start=1):
            self.answers.add(question, self._wait(job))
            self._collected.add(job.id)
            advance()
            # A second look makes sense only when all that the last kill met is settled.
            if place >= due and under_way <= self._collected:
                kill = self._kill(waiting) if self._wants_a_kill() else None
                due = place + step
                under_way = kill.under_way if kill else frozenset()
                if kill:
                    say(f"{kill}; its calls go to others")

    def _wants_a_kill(self) -> bool:
        if len(self.kills) == MOST_KILLS:
            return False
        if not self._shown and self.kills:
            self._shown = bool(witness.ran_twice(witness.read(self._home.witness)))
        return not self._shown

    def _kill(self, waiting: dict[str, Job[Any]]) -> Kill | None:
        def settled(job_id: str) -> bool:
            return job_id in self._collected or waiting[job_id].status().final

        kill = kill_busy_child(self._process.pid, self._home.witness, settled)
        if kill:
            self.kills.append(kill)
        return kill

    def _wait(self, job: Job[Any]) -> Any:
        """Wait for one answer, in slices, so that the death of the worker is seen at once."""
        limit = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                return job.result(timeout=_LOOK_SECONDS)
            except ResultTimeout:
                if self._process.poll() is not None:
                    raise RopewayError(
                        f"the worker ended with code {self._process.returncode}",
                        hint=f"the reason is in {self._home.log}",
                    ) from None
                if time.monotonic() > limit:
                    raise
