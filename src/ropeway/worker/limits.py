"""What a call may take, and a child: pure functions of what they have taken."""

from __future__ import annotations

from msgspec import Struct

from ropeway.message import Failure, Kind, Outcome
from ropeway.worker.frames import TaskInfo

_FAR = 1.5
"""Times `--max-memory` that a child may take while its calls finish."""


class Wear(Struct, frozen=True, kw_only=True):
    """After how many calls, seconds or bytes of memory a child is replaced; None is never."""

    calls: int | None = None
    age: float | None = None
    memory: int | None = None


def overrun(task: TaskInfo, kind: Kind, ran: float) -> Outcome | None:
    """Return how a call ends that has run for `ran` seconds, if that is more than it may."""
    limit = task.hard_timeout
    if limit is None or ran < limit:
        return None
    whose = (
        "its process was ended" if kind == "cpu" else "its process was ended, its neighbours spared"
    )
    message = f"it ran longer than its hard limit of {limit:g} s; {whose}"
    return Outcome(ending="timed_out", error=Failure(type="TimeLimit", message=message))


def excess_of(task: TaskInfo, size: int) -> Outcome | None:
    """Return how a call ends whose process takes `size` bytes, if that is more than it may."""
    if task.memory is None or size <= task.memory:
        return None
    message = (
        f"its process took {size:,} bytes of memory, more than memory={task.memory:,}, "
        "and was ended"
    )
    return Outcome(ending="raised", error=Failure(type="MemoryLimit", message=message))


def worn(wear: Wear, calls: int, age: float, size: int) -> str:
    """Say why a child is to be replaced, or nothing."""
    if wear.calls is not None and calls >= wear.calls:
        return f"it has run {calls:,} calls"
    if wear.age is not None and age >= wear.age:
        return f"it is {age:.0f} s old"
    if wear.memory is not None and size > wear.memory:
        return f"it takes {size:,} bytes of memory"
    return ""


def far_beyond(wear: Wear, size: int) -> bool:
    """Whether a child takes so much memory that its calls cannot be waited for."""
    return wear.memory is not None and size > _FAR * wear.memory
