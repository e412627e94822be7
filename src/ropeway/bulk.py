"""The same change of many jobs: which they are, then one after another, each as it is then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field

from ropeway.claims import MAX_BATCH
from ropeway.jobs import Seen, cancellation, held, removal, revival, seen, why_not_again
from ropeway.message import JobRecord, job_key
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.transition import Answer, Record, Transition

_PAGE = 1000
_SAMPLE = 5

Plan = Callable[[Seen], Transition | str]
"""From a job as it is now to what changes it, or why it is left as it is."""


class Done(Struct, frozen=True, kw_only=True):
    """What became of a change of many jobs: how many were to be changed, were, and were not.

    Of a dry run `done` is how many would have been. `skipped` counts by reason; `sample` are the
    first ids of `found`.
    """

    found: int
    done: int
    skipped: dict[str, int] = field(default_factory=dict)
    sample: tuple[str, ...] = ()
    dry_run: bool = False


def left_over(skipped: Mapping[str, int]) -> str:
    """Say how many were left and why, to be written behind how many were not."""
    return "".join(f"; {number} left: {reason}" for reason, number in skipped.items())


async def select(
    store: Backend,
    which: Filter,
    limit: int | None = None,
    meant: Callable[[JobRecord], bool] | None = None,
) -> list[str]:
    """Return the ids of jobs, the newest `limit` of those that are `meant`, oldest first."""
    ids: list[str] = []
    before: str | None = None
    while limit is None or len(ids) < limit:
        page = await store.search(which, before, _PAGE)
        ids += [job.message.id for job in page.jobs if meant is None or meant(job)]
        before = page.older
        if before is None:
            break
    return ids[:limit][::-1]


async def change(store: Backend, ids: Sequence[str], plan: Plan, *, dry_run: bool = False) -> Done:
    """Change each job as `plan` says, in batches, in the order given.

    May be stopped between two batches, and asked for again: what is changed is skipped then.
    """
    done = 0
    skipped: Counter[str] = Counter()
    for start in range(0, len(ids), MAX_BATCH):
        records = await store.get([job_key(each) for each in ids[start : start + MAX_BATCH]])
        plans = [await _planned(store, plan, record) for record in records]
        skipped.update(each for each in plans if isinstance(each, str))
        wanted = [each for each in plans if not isinstance(each, str)]
        if dry_run:
            done += len(wanted)
            continue
        answers = zip(wanted, await store.commit(wanted), strict=True)
        stands = sum(_stands(*pair) for pair in answers)
        done += stands
        skipped["it changed meanwhile"] += len(wanted) - stands
    return Done(
        found=len(ids),
        done=done,
        skipped=dict(+skipped),
        sample=tuple(ids[:_SAMPLE]),
        dry_run=dry_run,
    )


async def _planned(store: Backend, plan: Plan, record: Record | None) -> Transition | str:
    if record is None:
        return "it is not kept any more"
    job = seen(record)
    wanted = plan(job)
    if isinstance(wanted, str) or not wanted.revive:
        return wanted
    whole = await held(store, wanted, job.record.message)
    return "another job is there for its purpose" if isinstance(whole, str) else whole


def _stands(transition: Transition, answer: Answer) -> bool:
    ended = transition.cancel and not (answer.cancelled or answer.flagged)
    return answer.ok and not ended


def retrying(states: frozenset[State], *, now: float, rate: float | None = None) -> Plan:
    """Plan to have jobs that are in one of `states` run again, `rate` of them a second."""
    given = 0

    def plan(job: Seen) -> Transition | str:
        nonlocal given
        reason = _why_skipped(job, states) or why_not_again(job.record.state, succeeded=True)
        if reason:
            return reason
        due = None if rate is None else now + given / rate
        given += 1
        return revival(job, now, due)

    return plan


def removing(states: frozenset[State]) -> Plan:
    """Plan to forget jobs that are in one of `states`."""

    def plan(job: Seen) -> Transition | str:
        return _why_skipped(job, states) or removal(job)

    return plan


def cancelling(keep: float) -> Plan:
    """Plan to cancel jobs that have not ended."""

    def plan(job: Seen) -> Transition | str:
        record = job.record
        if record.state.final:
            return f"it is {record.state}"
        return cancellation(job, keep)

    return plan


def _why_skipped(job: Seen, states: frozenset[State]) -> str | None:
    return None if job.record.state in states else f"it is {job.record.state}"
