"""What a call may take, and a child: pure functions of what they have taken."""

from __future__ import annotations

from msgspec import Struct

from ropeway.message import Failure, Outcome, Terms

_FAR = 1.5
"""Times `--max-memory` that a child may take while its calls finish."""


class Wear(Struct, frozen=True, kw_only=True):
    """After how many calls, seconds or bytes of memory a child is replaced; None is never."""

    calls: int | None = None
    age: float | None = None
    memory: int | None = None


def hard_limit(own: Terms | None, task: Terms, grace: float) -> float | None:
    """Return after how many seconds a run is ended by force.

    Who names a time for the run decides: the call, else its task. One that names only the
    `timeout` leaves the run `grace` to end after that.
    """
    for terms in (own, task):
        if terms is not None and terms.hard_timeout is not None:
            return terms.hard_timeout
        if terms is not None and terms.timeout is not None:
            return terms.timeout + grace
    return None


def overrun(limit: float | None, ran: float) -> Outcome | None:
    """Return how a call ends that has run for `ran` seconds, if that is more than it may."""
    if limit is None or ran < limit:
        return None
    message = f"it ran longer than its hard limit of {limit:g} s, and its process was ended"
    return Outcome(ending="timed_out", error=Failure(type="TimeLimit", message=message))


def excess(limit: int, size: int) -> Outcome | None:
    """Return how a call ends whose process takes `size` bytes, if that is more than it may."""
    if size <= limit:
        return None
    message = f"its process took {size:,} bytes, more than memory={limit:,}, and was ended"
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
