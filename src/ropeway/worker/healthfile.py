"""How a worker is, in a file that grows old when the worker is stopped, blocked or dead."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from ropeway.clock import SystemClock
from ropeway.errors import ConfigError
from ropeway.worker.health import Health

OLD = 10.0
"""Seconds after which a file counts as left behind; it is written every second."""


class _Written(Struct, frozen=True):
    """What is in the file; `boot` is when it was written, by a clock that nobody can set."""

    boot: float
    health: Health


class HealthFile:
    """Writes the file whole, so that nobody reads half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.{os.getpid()}")
        self._clock = SystemClock()

    def open(self, health: Health) -> None:
        """Write for the first time. Raises `ConfigError` if that cannot be."""
        try:
            self.write(health)
        except OSError as error:
            raise ConfigError(
                f"the health file {self._path} cannot be written: {error.strerror}",
                hint="name a file in a folder that the worker's user may write to",
            ) from None

    def write(self, health: Health) -> None:
        """Write how the worker is now; raises `OSError`."""
        self._new.write_bytes(msgspec.json.encode(_Written(self._clock.boot(), health)) + b"\n")
        self._new.replace(self._path)

    def remove(self) -> None:
        """Take the file away: the worker has ended in order."""
        for path in (self._path, self._new):
            with contextlib.suppress(OSError):
                path.unlink()


def judge(path: Path, *, oldest: float = OLD, alive: bool = False) -> str:
    """Return why a worker is not well, by its file, or nothing; `alive` is enough if asked for."""
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_Written)
    except FileNotFoundError:
        return f"there is no file {path}: no worker has begun to write it, or it has ended"
    except (OSError, msgspec.DecodeError) as error:
        return f"the file {path} cannot be read: {error}"
    health = written.health
    age = SystemClock().boot() - written.boot
    if not 0 <= age <= oldest:
        last = f"{age:.0f} s ago" if age >= 0 else "before the machine was started"
        return f"worker {health.worker} has not written since: the last time was {last}"
    if alive or health.consuming:
        return ""
    return f"worker {health.worker} is {health.state}: {health.why}"
