"""How hard a run is: how much work, how many processes, which faults, and what must come of them."""

from __future__ import annotations

from msgspec import Struct, field


class Enough(Struct, frozen=True, kw_only=True):
    """What must have happened for a run without a violation to mean anything.

    kills: processes killed while an attempt was between its start and its settle.
    takeovers: jobs started again elsewhere after their supervisor had been killed or stopped.
    refused: settles that came too late and were refused.
    """

    kills: int = 10
    takeovers: int = 5
    refused: int = 1


class Profile(Struct, frozen=True, kw_only=True):
    """One kind of run; times are seconds.

    A kill comes about `every` so often, a share `supervisors` of them to a supervisor; a supervisor is stopped about every `stop_every`, for
    `stop_leases` leases, and restarted in order about every `restart_every`; 0 means never.
    """

    tasks: int = 10_000
    workers: int = 2
    children: int = 2
    producers: int = 3
    lease: float = 1.5
    grace: float = 3.0
    failing: float = 0.03
    sending: float = 22.0
    warm_up: float = 2.0
    faults: float = 26.0
    every: float = 0.5
    supervisors: float = 0.25
    stop_every: float = 5.5
    stop_leases: tuple[float, float] = (1.5, 2.5)
    restart_every: float = 8.0
    patience: float = 90.0
    recovery: float = 10.0
    enough: Enough = field(default_factory=Enough)


STANDARD = Profile()
