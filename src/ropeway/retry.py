"""When a failed call runs again: how often, after how long, and for which errors."""

from __future__ import annotations

import hashlib

from msgspec import Struct


class RetryPolicy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often and when a call is tried again; all durations are seconds.

    `retries` failures are forgiven, then the job fails. `max_losses` deaths of the worker under
    the call put it in quarantine. `max_age` bounds the whole job from its first due time.
    `retryable` and `non_retryable` name exception classes, bare or with their module; subclasses
    count too. With the first nothing else is tried again; the second wins over it.
    """

    retries: int = 3
    base: float = 2.0
    cap: float = 900.0
    jitter: bool = True
    max_losses: int = 3
    max_age: float | None = None
    retryable: tuple[str, ...] = ()
    non_retryable: tuple[str, ...] = ()


DEFAULT = RetryPolicy()


def class_name(kind: type[BaseException]) -> str:
    """The name under which a policy knows an exception class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def retryable(policy: RetryPolicy, error: BaseException) -> bool:
    """Whether a failure with `error` may be tried again."""
    if not policy.non_retryable and not policy.retryable:
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    names |= {class_name(kind) for kind in type(error).__mro__}
    wanted = not policy.retryable or not names.isdisjoint(policy.retryable)
    return wanted and names.isdisjoint(policy.non_retryable)


def delay_for(policy: RetryPolicy, job_id: str, failures: int) -> float:
    """Return the seconds to wait after failure number `failures` (1 is the first).

    Exponential back-off with full jitter: uniform between 0 and min(cap, base * 2^(failures-1)).
    The draw depends on the id and the count alone, so a decision made twice is the same decision.
    """
    ceiling = min(policy.cap, policy.base * 2.0 ** min(failures - 1, 60))
    if not policy.jitter:
        return ceiling
    draw = hashlib.blake2b(f"{job_id}:{failures}".encode(), digest_size=8).digest()
    return ceiling * int.from_bytes(draw) / 2**64
