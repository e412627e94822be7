"""Changes of many jobs: which there were, and how far each is."""

from __future__ import annotations

from ropeway.operate.operations import CAP
from ropeway.operate.operations import operation as one
from ropeway.operate.operations import operations as newest
from ropeway.web.at import At, Shown

_NEWEST = 100


async def operations(at: At) -> Shown:
    """List the newest operations."""
    found, now = await newest(at.store, _NEWEST), await at.store.now()
    return Shown(
        template="operations.html",
        title=at.words("Operations"),
        values={"operations": [(each, each.view(now)) for each in found], "now": now},
    )


async def operation(at: At) -> Shown:
    """Show how far an operation is, who wanted it, and how to stop it or have it go on."""
    found, now = await one(at.store, at.params["id"]), await at.store.now()
    return Shown(
        template="operation.html",
        title=at.words("Operation"),
        live=found.status == "running",
        values={
            "op": found,
            "view": found.view(now),
            "now": now,
            "of": max(found.expected, found.found, 1),
            "counted": found.is_counted,
            "capped": found.most < CAP,
        },
    )
