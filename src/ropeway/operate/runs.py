"""What a person sees of runs of workflows, and does to them: each deed is on record."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway.config import Settings
from ropeway.operate.schedules import Noted
from ropeway.runs import again, changes
from ropeway.runs.handle import Graph
from ropeway.runs.records import RunRecord
from ropeway.store import Backend
from ropeway.words import iso

FIELDS = ("id", "name", "state", "nodes", "created", "finished", "turn")


def summary(run: RunRecord) -> dict[str, Any]:
    """Return a run as a record of a list."""
    told = {name: getattr(run, name) for name in FIELDS}
    return told | {"created": iso(run.created), "finished": iso(run.finished)}


def whole(graph: Graph) -> dict[str, Any]:
    """Return a run with all its nodes, as plain values."""
    told: dict[str, Any] = msgspec.to_builtins(graph)
    return told | {"created": iso(graph.created), "finished": iso(graph.finished)}


class OnRuns:
    """The verbs on runs of an operator."""

    def __init__(self, store: Backend, settings: Settings, noted: Noted) -> None:
        self._store, self._settings, self._noted = store, settings, noted

    async def cancel(self, run_id: str) -> str:
        """Cancel a run, with all that waits and runs; returns "cancelled" or "ended"."""
        async with self._noted("workflows.cancel", run_id, "") as deed:
            deed.told = became = await changes.cancel(
                self._store, run_id, self._settings.keep_failed
            )
        return became

    async def retry(self, run_id: str, from_node: str | None = None) -> None:
        """Have a run go on from what failed, or from a node; raises `Refused`."""
        async with self._noted("workflows.retry", run_id, from_node or ""):
            await again.retry(self._store, run_id, from_node)

    async def pause(self, run_id: str) -> bool:
        """Have no further node of a run begin; tells whether it was running."""
        async with self._noted("workflows.pause", run_id, ""):
            return await changes.pause(self._store, run_id)

    async def resume(self, run_id: str) -> bool:
        """Have a paused run go on; tells whether it was paused."""
        async with self._noted("workflows.resume", run_id, ""):
            return await changes.resume(self._store, run_id)

    async def signal(self, run_id: str, name: str, value: Any) -> None:
        """Tell a run what it waits for; raises `BadArguments` and `Refused`."""
        async with self._noted("workflows.signal", run_id, name):
            await changes.signal(self._store, run_id, name, value)
