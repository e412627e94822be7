"""A limit as plain values."""

from __future__ import annotations

from typing import Any

from ropeway.claims import Limit
from ropeway.metering import LimitUse
from ropeway.words import iso, often

FIELDS = (
    "limit",
    "in_flight",
    "rate",
    "burst",
    "running",
    "room",
    "room_at",
    "waiting",
    "whole",
    "overridden",
    "by",
    "since",
    "why",
    "declared",
)
"""What `summary` returns, for `--fields`."""


def allows(limit: Limit) -> str:
    """Say what a limit allows: "5 at once, 30 a minute"."""
    parts = [] if limit.in_flight is None else [f"{limit.in_flight} at once"]
    if limit.rate is not None:
        parts.append(often(limit.rate))
    if limit.rate is not None and limit.burst > 1:
        parts.append(f"{limit.burst} after a pause")
    return ", ".join(parts) or "any number"


def summary(use: LimitUse) -> dict[str, Any]:
    """Return a limit for JSON."""
    limit, declared = use.limit, use.limit.declared
    return {
        "limit": limit.name,
        "in_flight": limit.in_flight,
        "rate": limit.rate,
        "burst": limit.burst,
        "running": use.running,
        "room": use.room,
        "room_at": iso(use.room_at),
        "waiting": use.waiting,
        "whole": use.whole,
        "overridden": limit.overridden,
        "by": limit.by or None,
        "since": iso(limit.since),
        "why": limit.why or None,
        "declared": declared and _numbers(declared),
    }


def _numbers(limit: Limit) -> dict[str, Any]:
    return {"in_flight": limit.in_flight, "rate": limit.rate, "burst": limit.burst}
