"""Who may do what: each action needs a role, and each role includes those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Role = Literal["view", "operate", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

Action = Literal[
    "jobs.retry",
    "jobs.cancel",
    "jobs.run_now",
    "jobs.remove",
    "jobs.edit",
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
    "audit.view",
]
"""Everything that can be done by hand, by the name that it has in the audit log."""

ACTIONS: tuple[Action, ...] = get_args(Action)

NEEDS: Mapping[Action, Role] = {
    "jobs.retry": "operate",
    "jobs.cancel": "operate",
    "jobs.run_now": "operate",
    "jobs.remove": "admin",
    "jobs.edit": "admin",
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
    "audit.view": "operate",
}
"""What loses work, or shows the inside of programs, is for `admin` alone."""


def allows(role: Role, action: Action) -> bool:
    """Whether a role is enough for an action."""
    return ROLES.index(role) >= ROLES.index(NEEDS[action])
