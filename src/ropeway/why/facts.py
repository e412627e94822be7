"""All that is looked at to tell why a job is not running."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ropeway.control import WorkerRecord
from ropeway.limiting import LimitInfo
from ropeway.message import JobRecord
from ropeway.pauses import Pause

COUNTED = 100_000
"""Counting what is due stops here."""


class Use(Struct, frozen=True):
    """A limit, and how many calls that name it run."""

    limit: LimitInfo
    running: int


class Line(Struct, frozen=True):
    """How many jobs that are due go first; not `whole`: at least so many, of those `due` in all.

    `rate` is how many of the queue have ended in a second lately, where that is known.
    """

    ahead: int
    whole: bool = True
    due: int = 0
    rate: float | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a job, and of what may be in its way, at the instant `now`.

    `first` is the job of the same key that goes before it; `began_alone` tells of one that is to
    run alone whether its newest attempt has begun. `used` is how much of each resource is in use at
    each worker. `line` is None where it cannot be looked at.
    """

    now: float
    job: JobRecord
    pause: Pause | None = None
    workers: tuple[WorkerRecord, ...] = ()
    first: JobRecord | None = None
    limits: tuple[Use, ...] = ()
    line: Line | None = None
    began_alone: bool = True
    used: Mapping[str, Mapping[str, int]] = {}
