"""Who may do what: a role allows some actions and includes those before it; more or fewer can be named."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal, get_args

from ropeway.errors import BadRole

Role = Literal["view", "operate", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

Action = Literal[
    "jobs.retry",
    "jobs.cancel",
    "jobs.run_now",
    "jobs.remove",
    "jobs.edit",
    "jobs.send",
    "queues.pause",
    "queues.resume",
    "queues.purge",
    "queues.declare",
    "queues.delete",
    "workers.quiet",
    "workers.resume",
    "workers.stop",
    "workers.stack",
    "limits.set",
    "limits.reset",
    "exchanges.declare",
    "exchanges.delete",
    "schedules.add",
    "schedules.edit",
    "schedules.pause",
    "schedules.resume",
    "schedules.run_now",
    "schedules.remove",
    "schedules.clear",
    "schedules.backfill",
    "workflows.cancel",
    "workflows.retry",
    "workflows.pause",
    "workflows.resume",
    "workflows.signal",
    "topics.create",
    "topics.publish",
    "topics.remove",
    "topics.purge",
    "topics.move",
    "topics.replay",
    "topics.unsubscribe",
    "operations.stop",
    "operations.resume",
    "jobs.payload",
    "audit.view",
]
"""Everything that can be done by hand, by the name that it has in the audit log, and `LOOKS`."""

ACTIONS: tuple[Action, ...] = get_args(Action)

NEEDS: Mapping[Action, Role] = {
    "jobs.retry": "operate",
    "jobs.cancel": "operate",
    "jobs.run_now": "operate",
    "jobs.remove": "admin",
    "jobs.edit": "admin",
    "jobs.send": "admin",
    "queues.pause": "operate",
    "queues.resume": "operate",
    "queues.purge": "admin",
    "queues.declare": "admin",
    "queues.delete": "admin",
    "workers.quiet": "operate",
    "workers.resume": "operate",
    "workers.stop": "admin",
    "workers.stack": "admin",
    "limits.set": "admin",
    "limits.reset": "admin",
    "exchanges.declare": "admin",
    "exchanges.delete": "admin",
    "schedules.add": "admin",
    "schedules.edit": "admin",
    "schedules.pause": "operate",
    "schedules.resume": "operate",
    "schedules.run_now": "operate",
    "schedules.remove": "admin",
    "schedules.clear": "admin",
    "schedules.backfill": "admin",
    "workflows.cancel": "operate",
    "workflows.retry": "operate",
    "workflows.pause": "operate",
    "workflows.resume": "operate",
    "workflows.signal": "operate",
    "topics.create": "admin",
    "topics.publish": "operate",
    "topics.remove": "admin",
    "topics.purge": "admin",
    "topics.move": "admin",
    "topics.replay": "operate",
    "topics.unsubscribe": "admin",
    "operations.stop": "operate",
    "operations.resume": "operate",
    "jobs.payload": "view",
    "audit.view": "operate",
}
"""What loses work, or shows the inside of programs, is for `admin` alone."""


LOOKS: frozenset[Action] = frozenset({"jobs.payload", "audit.view"})
"""What is no deed: to read arguments and results, and the audit log."""

_PART = re.compile(r"([+-])([^+-]*)")


@functools.lru_cache(maxsize=1_000)
def rights(role: str) -> frozenset[Action]:
    """Return what a role allows: `operate`, say, or `view+jobs.retry+queues.*-jobs.payload`.

    What is named later counts more. Raises `BadRole` for a word that means nothing.
    """
    name = re.split(r"[+-]", role, maxsplit=1)[0].strip()
    base = next((each for each in ROLES if each == name), None)
    if base is None:
        raise BadRole(f"{role!r} is no role", hint=f"begin with one of {', '.join(ROLES)}")
    found = {each for each in ACTIONS if ROLES.index(base) >= ROLES.index(NEEDS[each])}
    for sign, pattern in _PART.findall(role[len(name) :].strip()):
        named = {each for each in ACTIONS if fnmatchcase(each, pattern.strip())}
        if not named:
            raise BadRole(
                f"{pattern.strip()!r} in {role!r} is no action",
                hint=f"there are: {', '.join(ACTIONS)}; also jobs.* and the like",
            )
        found = found | named if sign == "+" else found - named
    return frozenset(found)


def allows(role: str, action: Action) -> bool:
    """Whether a role is enough for an action."""
    return action in rights(role)
