"""The faults of a run, decided before it starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random

from msgspec import Struct

from chaos.places.strikes import KINDS
from chaos.points import NEMESIS, POINTS
from chaos.profile import Profile
from chaos.seeds import stream

STOPS = ("stop supervisor", "freeze worker")
"""The two ways to stop a worker, which take turns."""

_Range = tuple[float, float]


class Fault(Struct, frozen=True):
    """At `t` seconds the nemesis strikes; `draw` chooses among the targets that there are then."""

    t: float
    nemesis: str
    draw: float
    duration: float = 0.0


def plan(seed: int, profile: Profile, *, disk: bool = False, server: bool = False) -> list[Fault]:
    """All faults of a run, in their order.

    With a `disk` of its own, that is filled as well; a `server` is struck too, in all ways in turn.
    """
    times, targets = stream(seed, "fault times"), stream(seed, "fault targets")

    def faults(
        every: float, kind: Callable[[int], str], leases: _Range = (0, 0)
    ) -> Iterator[Fault]:
        for number, t in enumerate(_moments(times, profile, every)):
            duration = profile.lease * times.uniform(*leases)
            yield Fault(t, kind(number), targets.random(), duration)

    outages = list(KINDS)
    stream(seed, "outages").shuffle(outages)
    every_kind = (
        faults(profile.every, lambda _: _kill(targets, profile)),
        faults(profile.stop_every, lambda n: STOPS[n % len(STOPS)], profile.stop_leases),
        faults(profile.restart_every, lambda _: "restart worker"),
        faults(profile.lock_every, lambda _: "lock store", profile.lock_leases),
        faults(profile.full_every if disk else 0.0, lambda _: "fill disk", profile.full_leases),
        faults(
            profile.server_every if server else 0.0,
            lambda n: outages[n % len(outages)],
            profile.server_leases,
        ),
    )
    return sorted(itertools.chain(*every_kind), key=lambda fault: fault.t)


def _kill(targets: Random, profile: Profile) -> str:
    draw = targets.random()
    if draw >= profile.supervisors:
        return "kill child"
    if draw >= profile.supervisors / 2:
        return "kill supervisor"
    return NEMESIS + targets.choice(POINTS)


def _moments(times: Random, profile: Profile, every: float) -> Iterator[float]:
    if not every:
        return
    t = profile.warm_up + every * times.uniform(0.2, 1.0)
    while t < profile.warm_up + profile.faults:
        yield t
        t += every * times.uniform(0.8, 1.2)
