"""From the name of a backend to a place of its own for a run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from chaos.errors import HarnessError
from chaos.places.files import FilePlace
from chaos.places.place import Place
from chaos.places.smalldisk import SmallDisk

BackendName = Literal["sqlite", "postgres", "redis"]
BACKENDS: tuple[str, ...] = get_args(BackendName)
Durability = Literal["disk", "process"]
"""What an acknowledged call outlives: a power cut, or the death of processes."""


def place_of(
    backend: str, data: Path, *, durability: Durability = "disk", disk: SmallDisk | None = None
) -> Place:
    """Return a place for the backend, with what it keeps below `data`. Nothing is started yet."""
    if backend == "sqlite":
        return FilePlace(data, durability, disk)
    if backend not in BACKENDS:
        raise HarnessError(f"there is no backend {backend!r} here, only {', '.join(BACKENDS)}")
    return _server(backend, data, synchronous=durability == "disk")


def _server(backend: str, data: Path, *, synchronous: bool) -> Place:
    from chaos.places.servers import ServerPlace

    if backend == "postgres":
        from chaos.places.postgres import PostgresDatabase

        # It is the sessions that say it, whatever the server is set to.
        durability = "disk" if synchronous else "process"
        return ServerPlace(PostgresDatabase(data), {"durability": durability})
    from chaos.places.redis import RedisDatabase

    return ServerPlace(RedisDatabase(data, synchronous=synchronous), {})
