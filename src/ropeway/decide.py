"""What follows from the way a run ended: a pure function to the transition that says so."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ropeway.graph import Lost, Place, arrivals, lost_key
from ropeway.message import Delivery, Failure, Fence, Outcome, Terms, fingerprint
from ropeway.progress import KEPT, progress_key
from ropeway.reference import drops
from ropeway.retry import RetryPolicy, delay_for
from ropeway.states import State
from ropeway.transition import (
    OPEN_KEPT,
    Arrive,
    Drop,
    Finish,
    Put,
    Reject,
    Release,
    Settle,
    Transition,
)


class Keep(Struct, frozen=True):
    """How long the record of a finished job stays: seconds, by how it ended, and a number.

    Of each final state the `newest` records stay, and no older ones. When what waits past its
    `expires` in one of the queues `noted` is ended, a record says so: see `late_key`.
    """

    result: float = 86_400.0
    failure: float = 604_800.0
    newest: int = 1_000_000
    noted: tuple[str, ...] = ()


class Rules(Struct, frozen=True, kw_only=True):
    """What applies to a worker as a whole, beside each task's own policy."""

    keep: Keep = Keep()
    unknown_grace: float = 600.0


DEFAULT_RULES = Rules()
NOT_STARTED = Failure(type="Expired", message="not started before its `expires`")
AFTER_LOSS = RetryPolicy(base=1.0, cap=60.0)
"""How long a job waits that may have killed its process: soon, but not at once and not together."""

NO_TERMS = Terms()

_LONGEST_UNKNOWN_DELAY = 60.0
_AFTER_THE_JOB = 60.0
"""Seconds for which the record of who holds a purpose outlives the job's own. So a record that is
gone and made anew is never taken for the old one: its guard names the job as well."""

_LOST_KEPT = 604_800.0
_LONGEST_CAUSE = 1_000

_encode = msgspec.msgpack.Encoder().encode


class Holder(Struct, frozen=True, array_like=True):
    """Which job holds a purpose alone, and until when it does although it has succeeded."""

    job_id: str
    until: float = 0.0


def hold(job_id: str, unique: str, *, until: float = 0.0, ttl: float = OPEN_KEPT) -> Put:
    """Return the record that says that this job holds the purpose that `unique` names."""
    return Put(unique, _encode(Holder(job_id, until)), ttl=ttl, owner=job_id)


def screen(
    delivery: Delivery, policy: RetryPolicy, now: float, rules: Rules = DEFAULT_RULES
) -> Transition | None:
    """Return the settle of a delivery that must not run at all, or None if it may."""
    if delivery.losses >= policy.max_losses:
        # The last loss was charged by who took it over: nobody was left to settle it.
        detail = f"{delivery.losses} times its process or its worker has died, or fallen silent"
        return _settle(delivery, Reject("worker_lost", detail, keep=rules.keep.failure), now)
    expires = delivery.message.expiry(delivery.enqueued)
    if expires is not None and expires <= now:
        settle = Finish(State.EXPIRED, None, NOT_STARTED, rules.keep.failure)
        return _settle(delivery, settle, now)
    return None


def decide(
    delivery: Delivery,
    outcome: Outcome,
    policy: RetryPolicy,
    now: float,
    rules: Rules = DEFAULT_RULES,
    terms: Terms = NO_TERMS,
) -> Transition:
    """Return the one transition that settles `delivery` after `outcome`.

    `now` is the backend's clock. `terms` are those of the task; the message's own come before. Only
    failures are counted against `policy.retries`; the deaths of a worker are counted against
    `policy.max_losses`; giving back is free. A suspect of a death goes back uncharged, but it is
    abandoned: after two of these it runs solo.
    """
    match outcome.ending:
        case "returned":
            settle: Settle = _succeeded(delivery.message.terms, terms, outcome.value, rules)
        case "raised" | "timed_out":
            settle = _after_failure(delivery, outcome, policy, now, rules)
        case "skipped":
            settle = Finish(State.CANCELLED, None, outcome.error, rules.keep.failure)
        case "interrupted":
            # At once and to its old place, unless it has to wait for a process of its own.
            after = outcome.after
            settle = Release(counts="releases", delay=None if after is None else max(0.0, after))
        case "crashed":
            settle = _after_loss(delivery, outcome, policy, rules)
        case "abandoned":
            settle = Release(counts="none", error=outcome.error)
        case "unknown_task":
            settle = _after_unknown(delivery, outcome, rules)
        case "bad_arguments" | "undecodable" | "bad_signature":
            settle = Reject(outcome.ending, _text(outcome.error), keep=rules.keep.failure)
    settled = _settle(delivery, settle, now, outcome.next)
    return _with_progress(settled, outcome.progress)


def _with_progress(transition: Transition, last: bytes | None) -> Transition:
    """Let the last report of a run go with its settle, and end with the job's record."""
    fence, settle = transition.fence, transition.settle
    if last is None or fence is None or settle is None:
        return transition
    key = progress_key(fence.id)
    kept = KEPT if isinstance(settle, Release) else settle.keep
    if kept <= 0:
        return msgspec.structs.replace(transition, drop=(*transition.drop, Drop(key)))
    put = Put(key, last, ttl=kept, owner=fence.id)
    return msgspec.structs.replace(transition, put=(*transition.put, put))


def settle_here(
    fence: Fence,
    body: bytes,
    own: Terms,
    terms: Terms,
    now: float,
    rules: Rules = DEFAULT_RULES,
    value: bytes | None = None,
) -> Transition:
    """Return what settles a job as succeeded where it runs, before it does or at its end.

    `own` are its message's terms, `terms` its task's, and `body` is what the message holds.
    """
    settle = _succeeded(own, terms, value, rules)
    transition = _ended(fence, body, own, settle, now)
    if own.node is None:
        return transition
    return _with_what_follows(transition, own.node, fence.id, settle)


def _succeeded(own: Terms | None, terms: Terms, value: bytes | None, rules: Rules) -> Finish:
    if own is not None:
        terms = own.over(terms)
    if terms.store is False:
        return Finish(State.SUCCEEDED, keep=0.0)
    keep = rules.keep.result if terms.keep is None else terms.keep
    return Finish(State.SUCCEEDED, value, keep=keep)


def _after_failure(
    delivery: Delivery, outcome: Outcome, policy: RetryPolicy, now: float, rules: Rules
) -> Settle:
    failures = delivery.failures + 1
    too_old = policy.max_age is not None and now - delivery.first_due >= policy.max_age
    if not outcome.retryable or failures > policy.retries or too_old:
        return Finish(State.FAILED, None, outcome.error, rules.keep.failure, "failures")
    delay = outcome.after
    if delay is None:
        delay = delay_for(policy, delivery.fence.id, failures)
    return Release(counts="failures", delay=max(0.0, delay), error=outcome.error)


def _after_loss(delivery: Delivery, outcome: Outcome, policy: RetryPolicy, rules: Rules) -> Settle:
    if delivery.losses + 1 >= policy.max_losses:
        detail = _text(outcome.error)
        return Reject("worker_lost", detail, "losses", rules.keep.failure)
    # Several may be charged with one death. Spread out, they will hardly die together again.
    delay = delay_for(AFTER_LOSS, delivery.fence.id, delivery.losses + 1)
    return Release(counts="losses", delay=delay, error=outcome.error)


def _after_unknown(delivery: Delivery, outcome: Outcome, rules: Rules) -> Settle:
    # Counted in the delays that were granted for this very reason, not by the clock: a message
    # that waited behind a long backlog still gets the whole grace of a rolling deploy.
    granted = sum(_unknown_delay(turn) for turn in range(delivery.unknown))
    if granted >= rules.unknown_grace:
        return Reject("unknown_task", _text(outcome.error), keep=rules.keep.failure)
    return Release(counts="unknown", delay=_unknown_delay(delivery.unknown), error=outcome.error)


def _unknown_delay(turn: int) -> float:
    return min(_LONGEST_UNKNOWN_DELAY, 2.0 ** min(turn, 30))


def _settle(
    delivery: Delivery, settle: Settle, now: float, instead: tuple[str, ...] | None = None
) -> Transition:
    if isinstance(settle, Reject):
        cause = fingerprint(delivery.message.task, settle.reason)
        settle = msgspec.structs.replace(settle, fingerprint=cause)
    message = delivery.message
    transition = _ended(delivery.fence, message.body, message.terms, settle, now)
    node = None if message.terms is None else message.terms.node
    if node is None or isinstance(settle, Release):
        return transition
    if instead is not None:
        node = msgspec.structs.replace(node, next=instead)
    return _with_what_follows(transition, node, delivery.fence.id, settle)


def _with_what_follows(
    transition: Transition, node: Place, job_id: str, settle: Finish | Reject
) -> Transition:
    """Let the end of a node arrive where others wait for it, whatever it is: they look at it.

    What failed is noted for as long as its job is kept, for whoever asks the run why.
    """
    told = arrivals(node, job_id)
    if not told:
        return transition
    arrive = tuple(Arrive(join, member) for join, member in told)
    put = transition.put
    if isinstance(settle, Reject) or settle.state not in {State.SUCCEEDED, State.CANCELLED}:
        error = settle.failure() if isinstance(settle, Reject) else settle.error
        lost = Lost(node.path, error.type if error else "", _text(error)[:_LONGEST_CAUSE])
        key = lost_key(node.run, told[0][1])
        put = (*put, Put(key, _encode(lost), ttl=max(settle.keep, _LOST_KEPT)))
    # By hand: there is one of these for each item of a map.
    return Transition(
        fence=transition.fence,
        put=put,
        drop=transition.drop,
        arrive=arrive,
        settle=transition.settle,
    )


def _ended(fence: Fence, body: bytes, own: Terms | None, settle: Settle, now: float) -> Transition:
    if isinstance(settle, Release):
        return Transition(fence=fence, settle=settle)
    # What is kept apart from a job of which nothing is kept goes with it.
    gone = drops(fence.id, body) if settle.keep <= 0 else ()
    if own is None or own.unique is None:
        return Transition(fence=fence, drop=gone, settle=settle)
    # What becomes of the record that says which job holds a purpose alone.
    won = isinstance(settle, Finish) and settle.state is State.SUCCEEDED
    window = own.window if won else 0.0
    until = now + window if window else 0.0
    put = hold(fence.id, own.unique, until=until, ttl=max(window, settle.keep) + _AFTER_THE_JOB)
    put = msgspec.structs.replace(put, if_owner=fence.id)
    return Transition(fence=fence, put=(put,), drop=gone, settle=settle)


def _text(error: Failure | None) -> str:
    return error.message if error else ""
