"""What every library on a server is told: where the server is, and if results are kept."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any, Protocol

from benchmarks.apps.verbs import RESULTS, STORE, URL

url = os.environ[URL]
store = os.environ.get(STORE) or url
"""Where results are kept."""

kept = os.environ.get(RESULTS) == "1"
"""Whether results are to be stored: in drains they are not, unless a library always does."""

TTL = 60
"""Seconds that a peer keeps a result which it is asked to keep."""


class Coroutines(Protocol):
    """A module of this package whose verbs are coroutines. What it lacks is not measured."""

    async def start(self) -> None:
        """Connect."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...

    async def send(self, number: int) -> Any:
        """Ask for `add(number, number)`."""
        ...

    async def send_many(self, count: int) -> Any:
        """Ask for `add(i, i)` for each i below `count`, in the quickest way there is."""
        ...

    async def round_trip(self, number: int) -> int:
        """Send and wait for the result."""
        ...

    async def prepare(self) -> None:
        """Make its tables in a new database, once connected."""
        ...

    def facts(self) -> dict[str, Any]:
        """Versions."""
        ...


def versions(*packages: str) -> dict[str, str]:
    """What is installed here."""
    return {"library": ", ".join(f"{name} {version(name)}" for name in packages)}
