"""What goes wrong in a run: each nemesis strikes one target, and heals what it did."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Protocol, TypeVar

from chaos.evidence import Evidence, Run, Strike
from chaos.places.servers import ServerPlace
from chaos.places.strikes import KINDS, Kind
from chaos.points import NEMESIS, POINTS
from chaos.stage import Stage
from chaos.tasks import POISONED

T = TypeVar("T")

_WITNESSED = 50_000_000
"""Nanoseconds by which the witness's clock may be coarse."""


class Nemesis(Protocol):
    """A kind of fault. `patience`: for how many seconds a strike waits until there is a target."""

    @property
    def patience(self) -> float: ...

    def inject(self, stage: Stage, draw: float) -> int:
        """Strike the target that `draw` chooses; returns its pid, or 0 if it is not struck now."""
        ...

    def heal(self, stage: Stage, pid: int) -> None:
        """Undo the strike, or replace what it ended; called after the fault's duration."""
        ...

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        """Whether it bit: whether it met work in the middle."""
        ...


class KillChild:
    """SIGKILL to a process that runs tasks; its supervisor replaces it."""

    patience = 0.0

    def inject(self, stage: Stage, draw: float) -> int:
        children = [pid for worker in stage.crew.running for pid in worker.children]
        pid = _choose(children, draw)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid or 0

    def heal(self, stage: Stage, pid: int) -> None:
        pass

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return bool(caught(strike, evidence))


class KillSupervisor:
    """SIGKILL to a supervisor, with which its children die; another worker is started."""

    patience = 2.0

    def inject(self, stage: Stage, draw: float) -> int:
        # While another is stopped this one is left: somebody has to take over.
        worker = None if stage.crew.stopped else _choose(stage.crew.running, draw)
        if worker is not None:
            stage.crew.kill(worker)
        return worker.pid if worker else 0

    def heal(self, stage: Stage, pid: int) -> None:
        stage.crew.start()

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return bool(caught(strike, evidence))


class KillAtPoint:
    """SIGKILL to a supervisor at a moment of its own choice: see `chaos.points`."""

    patience = 0.0

    def __init__(self, point: str) -> None:
        self._point = point

    def inject(self, stage: Stage, draw: float) -> int:
        worker = _choose(stage.crew.running, draw)
        if worker is not None:
            stage.arm(worker.pid, self._point)
        return 0  # the strike is told when it falls

    def heal(self, stage: Stage, pid: int) -> None:
        pass

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return True  # it is struck only where it is armed, with work in hand


class Poison:
    """A call that kills its own process; it is in the workload, and strikes when it comes."""

    patience = 0.0

    def inject(self, stage: Stage, draw: float) -> int:
        return 0

    def heal(self, stage: Stage, pid: int) -> None:
        pass

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return bool(caught(strike, evidence))


class StopSupervisor:
    """SIGSTOP to a supervisor for longer than its leases last; its children run on, or stop as well."""

    patience = 3.0

    def __init__(self, *, children: bool = False) -> None:
        self._children = children

    def inject(self, stage: Stage, draw: float) -> int:
        running = stage.crew.running
        worker = _choose(running, draw) if len(running) > 1 else None
        if worker is not None:
            stage.crew.stop(worker, children=self._children)
        return worker.pid if worker else 0

    def heal(self, stage: Stage, pid: int) -> None:
        stage.crew.cont(pid)

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return any(
            claim.before_attempt == run.attempt and strike.t < claim.t < strike.until
            for run in caught(strike, evidence)
            for claim in evidence.claims.get(run.id, ())
        )


class RestartWorker:
    """SIGTERM to a supervisor, as at a deploy; its successor starts while it finishes."""

    patience = 1.0

    def inject(self, stage: Stage, draw: float) -> int:
        worker = _choose(stage.crew.running, draw)
        if worker is not None:
            stage.crew.retire(worker)
        return worker.pid if worker else 0

    def heal(self, stage: Stage, pid: int) -> None:
        pass

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return bool(caught(strike, evidence))


class LockStore:
    """Another program keeps everybody from writing for some seconds."""

    patience = 5.0

    def inject(self, stage: Stage, draw: float) -> int:
        if stage.place.struck or not stage.witness.block():
            return 0
        stage.place.struck = True
        return os.getpid()

    def heal(self, stage: Stage, pid: int) -> None:
        stage.witness.unblock()
        stage.place.struck = False

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        moments = (claim.t for claims in evidence.claims.values() for claim in claims)
        return not any(strike.t + _WITNESSED < t < strike.until - _WITNESSED for t in moments)


class FillDisk:
    """Another program fills the disk on which the database is, to the last byte."""

    patience = 0.0

    def inject(self, stage: Stage, draw: float) -> int:
        return os.getpid() if stage.place.fill_disk() else 0

    def heal(self, stage: Stage, pid: int) -> None:
        stage.place.free_disk()

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return any(strike.t < t < strike.until for t in evidence.pressed)


class Outage:
    """A server, or the network to it, is struck. Nothing is struck while another of them lasts."""

    patience = 6.0

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def inject(self, stage: Stage, draw: float) -> int:
        place = stage.place
        if not isinstance(place, ServerPlace) or place.struck:
            return 0
        if self._kind.strike(place, draw) is False:
            return 0
        place.struck = True
        return os.getpid()

    def heal(self, stage: Stage, pid: int) -> None:
        assert isinstance(stage.place, ServerPlace)
        self._kind.heal(stage.place, 0.0)
        stage.place.struck = False

    def effective(self, strike: Strike, evidence: Evidence) -> bool:
        return any(
            evidence.is_open(run, strike.t) for runs in evidence.runs.values() for run in runs
        )


ALL: dict[str, Nemesis] = {
    "kill child": KillChild(),
    "kill supervisor": KillSupervisor(),
    **{NEMESIS + point: KillAtPoint(point) for point in POINTS},
    POISONED: Poison(),
    "stop supervisor": StopSupervisor(),
    "freeze worker": StopSupervisor(children=True),
    "restart worker": RestartWorker(),
    "lock store": LockStore(),
    "fill disk": FillDisk(),
    **{name: Outage(kind) for name, kind in KINDS.items()},
}


def caught(strike: Strike, evidence: Evidence) -> list[Run]:
    """The runs in the struck process, or below it, that were between their start and their settle."""
    return [run for run in evidence.runs_in(strike.pid) if evidence.is_open(run, strike.t)]


def _choose(targets: Sequence[T], draw: float) -> T | None:
    return targets[int(draw * len(targets))] if targets else None
