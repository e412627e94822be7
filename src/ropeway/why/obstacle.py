"""What may be in a job's way."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Reason = Literal[
    "ended",
    "running",
    "cancelling",
    "silent",
    "lost",
    "alone",
    "later",
    "retrying",
    "given_back",
    "paused",
    "no_worker",
    "resting",
    "not_offered",
    "in_use",
    "unknown_task",
    "key",
    "limit",
    "busy",
    "behind",
    "soon",
    "unexplained",
]
"""A word for each, for programs."""


class Obstacle(Struct, frozen=True, kw_only=True):
    """One thing that keeps a job from running, as a sentence without a full stop.

    `command` is what to type to see more or to mend it; `job` the other job that is waited for,
    and `until` when it is over, where these are known.
    """

    reason: Reason
    says: str
    command: str = ""
    job: str | None = None
    until: float | None = None
