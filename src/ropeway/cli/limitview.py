"""A limit as people and programs are shown it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ropeway.cli.listing import Drawn
from ropeway.cli.table import Column
from ropeway.limiting import LimitInfo
from ropeway.message import JobRecord
from ropeway.metering import LimitUse, Naming
from ropeway.operate.limit import allows
from ropeway.words import NOTHING, relative

COLUMNS = (
    Column(heading="LIMIT", least=12),
    Column(heading="ALLOWS", least=12),
    Column(heading="RUNNING", right=True),
    Column(heading="ROOM", right=True),
    Column(heading="WAITING", right=True),
    Column(heading="SET", least=8, optional=1),
)


_SHOWN = 10
"""So many jobs of a kind are named on the page of a limit."""


def reset_command(name: str) -> str:
    """Return what to type to go back to what the code says."""
    return f"ropeway limits reset {shlex.quote(name)}"


def drawn(uses: Sequence[LimitUse], now: float) -> Drawn:
    """Return the table of a list of limits."""
    return Drawn(COLUMNS, [_row(use, now) for use in uses])


def page(use: LimitUse, jobs: Naming, now: float) -> str:
    """Write all that is known of one limit."""
    limit = use.limit
    more = "" if use.whole else "or more "
    waiting = "not known" if use.waiting is None else f"{use.waiting} {more}due"
    lines = {
        "limit": limit.name,
        "allows": allows(limit.limit),
        "running": f"{use.running}{_named(jobs.running)}",
        "room": _room(use, now),
        "waiting": f"{waiting}{_named(jobs.due)}",
        "set": _set(limit, now),
        "code": "does not declare it" if limit.declared is None else allows(limit.declared),
    }
    return "\n".join(f"{name:<8} {text}" for name, text in lines.items())


def _row(use: LimitUse, now: float) -> list[str]:
    plus = "" if use.whole else "+"
    return [
        use.limit.name,
        allows(use.limit.limit),
        str(use.running),
        "any" if use.room is None else str(use.room),
        NOTHING if use.waiting is None else f"{use.waiting}{plus}",
        f"by {use.limit.by}" if use.limit.overridden else NOTHING,
    ]


def _room(use: LimitUse, now: float) -> str:
    if use.room is None:
        return "any number more may start"
    if use.room:
        return f"{use.room} more may start now"
    if use.limit.in_flight == 0:
        return "none may start until it is set or reset"
    if use.room_at is None:
        return "the next may start when one that runs has ended"
    return f"the next may start {relative(now - use.room_at)}"


def _named(jobs: Sequence[JobRecord]) -> str:
    ids = [job.message.id for job in jobs[:_SHOWN]]
    more = ["..."] if len(jobs) > _SHOWN else []
    return "".join(f"\n         {each}" for each in (*ids, *more))


def _set(limit: LimitInfo, now: float) -> str:
    if not limit.overridden:
        code = limit.declared is not None
        return "by the code of the worker that started last" if code else "by nobody"
    ago = "" if limit.since is None else f", {relative(now - limit.since)}"
    why = f": {limit.why}" if limit.why else ", no reason given"
    return f"by {limit.by or '?'}{ago}{why}; until {reset_command(limit.name)}"
