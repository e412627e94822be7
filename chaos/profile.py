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

    A kill comes about `every` so often, a share `supervisors` of them to a supervisor, of these half
    at a point of its work. About every `stop_every` a supervisor is stopped for `stop_leases` leases,
    every other time with its children. About every `restart_every` one is restarted in order, and
    about every `lock_every` the store is locked for `lock_leases` leases. Where the database has a
    small disk of its own, that is full about every `full_every`, for `full_leases`. Where it is a
    server, that or the network to it is struck about every `server_every`, for `server_leases`. 0
    means never. `poison` calls kill whatever runs them.
    """

    tasks: int = 20_000
    workers: int = 2
    children: int = 2
    producers: int = 3
    lease: float = 1.5
    grace: float = 3.0
    failing: float = 0.03
    poison: int = 3
    sending: float = 56.0
    warm_up: float = 2.0
    faults: float = 60.0
    every: float = 0.5
    supervisors: float = 0.25
    stop_every: float = 5.5
    stop_leases: tuple[float, float] = (1.5, 2.5)
    restart_every: float = 8.0
    lock_every: float = 14.0
    lock_leases: tuple[float, float] = (0.5, 2.5)
    full_every: float = 9.0
    full_leases: tuple[float, float] = (0.5, 1.0)
    server_every: float = 9.0
    server_leases: tuple[float, float] = (0.5, 2.5)
    patience: float = 90.0
    recovery: float = 10.0
    enough: Enough = field(default_factory=Enough)


STANDARD = Profile()
