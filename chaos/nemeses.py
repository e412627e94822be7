"""What goes wrong in a run: each nemesis strikes one target, and heals what it did."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Protocol, TypeVar

from chaos.crew import Crew
from chaos.evidence import Evidence, Run, Strike

T = TypeVar("T")


class Nemesis(Protocol):
    """A kind of fault. `patience`: for how many seconds a strike waits until there is a target."""

    @property
    def patience(self) -> float: ...

    def inject(self, crew: Crew, draw: float) -> int:
        """Strike the target that `draw` chooses; returns its pid, or 0 if there is none."""
        ...

    def heal(self, crew: Crew, pid: int) -> None:
        """Undo the strike, or replace what it ended; called after the fault's duration."""
        ...

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        """Whether it bit: whether it met work in the middle."""
        ...


class KillChild:
    """SIGKILL to a process that runs tasks; its supervisor replaces it."""

    patience = 0.0

    def inject(self, crew: Crew, draw: float) -> int:
        children = [pid for worker in crew.running for pid in worker.children]
        pid = _choose(children, draw)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid or 0

    def heal(self, crew: Crew, pid: int) -> None:
        pass

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return bool(caught(strike, evidence))


class KillSupervisor:
    """SIGKILL to a supervisor, with which its children die; another worker is started."""

    patience = 2.0

    def inject(self, crew: Crew, draw: float) -> int:
        # While another is stopped this one is left: somebody has to take over.
        worker = None if crew.stopped else _choose(crew.running, draw)
        if worker is not None:
            crew.kill(worker)
        return worker.pid if worker else 0

    def heal(self, crew: Crew, pid: int) -> None:
        crew.start()

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return bool(caught(strike, evidence))


class StopSupervisor:
    """SIGSTOP to a supervisor for longer than its leases last, while its children run on."""

    patience = 3.0

    def inject(self, crew: Crew, draw: float) -> int:
        running = crew.running
        worker = _choose(running, draw) if len(running) > 1 else None
        if worker is not None:
            crew.stop(worker)
        return worker.pid if worker else 0

    def heal(self, crew: Crew, pid: int) -> None:
        crew.cont(pid)

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return any(
            claim.before_attempt == run.attempt and strike.t < claim.t < strike.until
            for run in caught(strike, evidence)
            for claim in evidence.claims.get(run.id, ())
        )


class RestartWorker:
    """SIGTERM to a supervisor, as at a deploy; its successor starts while it finishes."""

    patience = 1.0

    def inject(self, crew: Crew, draw: float) -> int:
        worker = _choose(crew.running, draw)
        if worker is not None:
            crew.retire(worker)
        return worker.pid if worker else 0

    def heal(self, crew: Crew, pid: int) -> None:
        pass

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return bool(caught(strike, evidence))


ALL: dict[str, Nemesis] = {
    "kill child": KillChild(),
    "kill supervisor": KillSupervisor(),
    "stop supervisor": StopSupervisor(),
    "restart worker": RestartWorker(),
}


def caught(strike: Strike, evidence: Evidence) -> list[Run]:
    """The runs in the struck process, or below it, that were between their start and their settle."""
    return [run for run in evidence.runs_in(strike.pid) if evidence.is_open(run, strike.t)]


def _choose(targets: Sequence[T], draw: float) -> T | None:
    return targets[int(draw * len(targets))] if targets else None
