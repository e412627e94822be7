"""The faults of a run, decided before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from msgspec import Struct

from chaos.profile import Profile
from chaos.seeds import stream


class Fault(Struct, frozen=True):
    """At `t` seconds the nemesis strikes; `draw` chooses among the targets that there are then."""

    t: float
    nemesis: str
    draw: float
    duration: float = 0.0


def plan(seed: int, profile: Profile) -> list[Fault]:
    """All faults of a run, in their order."""
    times, targets = stream(seed, "fault times"), stream(seed, "fault targets")
    faults: list[Fault] = []
    for t in _moments(times, profile, profile.every):
        kind = "kill supervisor" if targets.random() < profile.supervisors else "kill child"
        faults.append(Fault(t, kind, targets.random()))
    for t in _moments(times, profile, profile.stop_every):
        duration = profile.lease * times.uniform(*profile.stop_leases)
        faults.append(Fault(t, "stop supervisor", targets.random(), duration))
    restarts = _moments(times, profile, profile.restart_every)
    faults += [Fault(t, "restart worker", targets.random()) for t in restarts]
    return sorted(faults, key=lambda fault: fault.t)


def _moments(times: Random, profile: Profile, every: float) -> Iterator[float]:
    if not every:
        return
    t = profile.warm_up + every * times.uniform(0.2, 1.0)
    while t < profile.warm_up + profile.faults:
        yield t
        t += every * times.uniform(0.8, 1.2)
