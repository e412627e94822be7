"""Who is measured, by what they store in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.contender import POSTGRES, RABBITMQ, REDIS, SQLITE, Contender
from benchmarks.lineups import postgres, rabbitmq, redis, served, sqlite
from benchmarks.processes import Failed

Maker = Callable[[Path], list[Contender]]
"""Installs a peer below a folder, unless it is there; raises `Failed`."""

_SERVED = {REDIS: redis.PEERS, POSTGRES: postgres.PEERS, RABBITMQ: rabbitmq.PEERS}


def ours(kind: str) -> list[Contender]:
    """Workers of ropeway."""
    if kind == RABBITMQ:
        return rabbitmq.ropeway()
    return sqlite.ropeway() if kind == SQLITE else served.ropeway(kind)


def peers(kind: str, fsync: str = "") -> dict[str, Maker]:
    """What makes the peers there, by name; `fsync` is that of huey on SQLite."""
    if kind == SQLITE:
        return {"huey": lambda venvs: sqlite.huey(venvs, fsync), "potatoq": sqlite.potatoq}
    return {make.__name__: make for make in _SERVED[kind]}


def had(makers: Iterable[Maker], venvs: Path) -> tuple[list[Contender], list[str]]:
    """Return every peer that can be had, and a sentence for each that cannot."""
    found: list[Contender] = []
    missing: list[str] = []
    for make in makers:
        try:
            found += make(venvs)
        except Failed as error:
            missing.append(str(error))
    return found, missing
