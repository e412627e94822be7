"""What follows from the way a run ended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ropeway.decide import AFTER_LOSS, Keep, Rules, decide, screen
from ropeway.message import Delivery, Failure, Fence, Message, Outcome, fingerprint
from ropeway.retry import RetryPolicy, delay_for
from ropeway.states import State
from ropeway.transition import Finish, Reject, Release, Settle

NOW = 10_000.0
RULES = Rules(keep=Keep(result=1.0, failure=2.0), unknown_grace=100.0)
POLICY = RetryPolicy(retries=2, base=8.0, jitter=False)
ERROR = Failure(type="KeyError", message="'a'", traceback="...")


def delivery(attempt: int = 1, enqueued: float = NOW, **fields: Any) -> Delivery:
    """Make a delivery with counters or, in `message`, fields of its message."""
    message = Message(id="id", task="t", **fields.pop("message", {}))
    return Delivery(
        message=message, fence=Fence("id", attempt, "holder"), enqueued=enqueued, **fields
    )


def raised(**fields: Any) -> Outcome:
    """Make the outcome of a call that raised."""
    return Outcome(**{"ending": "raised", "error": ERROR, **fields})


def settle(given: Delivery, outcome: Outcome, policy: RetryPolicy = POLICY) -> Settle:
    """Decide, check what every decision has in common, and return how it settles."""
    transition = decide(given, outcome, policy, NOW, RULES)
    assert transition.fence == given.fence
    assert (transition.expect, transition.put, transition.drop, transition.publish) == (
        {},
        (),
        (),
        (),
    )
    settled = transition.settle
    if isinstance(settled, Reject):
        assert settled.fingerprint == fingerprint(given.message.task, settled.reason)
        settled = replace(settled, fingerprint="")
    assert settled is not None
    return settled


FAILED = Finish(State.FAILED, None, ERROR, 2.0, "failures")

TABLE: list[tuple[str, Delivery, Outcome, Settle]] = [
    (
        "a result is kept",
        delivery(),
        Outcome(ending="returned", value=b"5"),
        Finish(State.SUCCEEDED, b"5", None, 1.0),
    ),
    (
        "no result as well",
        delivery(),
        Outcome(ending="returned"),
        Finish(State.SUCCEEDED, None, None, 1.0),
    ),
    (
        "a result after failures succeeds and charges nothing",
        delivery(9, failures=2, losses=2),
        Outcome(ending="returned", value=b""),
        Finish(State.SUCCEEDED, b"", None, 1.0),
    ),
    ("the first failure waits", delivery(), raised(), Release("failures", 8.0, error=ERROR)),
    (
        "the second waits longer",
        delivery(2, failures=1),
        raised(),
        Release("failures", 16.0, error=ERROR),
    ),
    ("one failure more than retries ends it", delivery(3, failures=2), raised(), FAILED),
    (
        "a time limit is a failure",
        delivery(),
        raised(ending="timed_out"),
        Release("failures", 8.0, error=ERROR),
    ),
    ("also the last one", delivery(failures=2), raised(ending="timed_out"), FAILED),
    ("what may not be retried is not", delivery(), raised(retryable=False), FAILED),
    ("a task may say when", delivery(), raised(after=3.5), Release("failures", 3.5, error=ERROR)),
    ("at once, say", delivery(), raised(after=0.0), Release("failures", 0.0, error=ERROR)),
    ("but not in the past", delivery(), raised(after=-1.0), Release("failures", 0.0, error=ERROR)),
    ("and not for ever", delivery(failures=2), raised(after=3.5), FAILED),
    (
        "deaths and deploys are no failures",
        delivery(50, losses=2, releases=40),
        raised(),
        Release("failures", 8.0, error=ERROR),
    ),
    ("giving back is free", delivery(), Outcome(ending="interrupted"), Release("releases")),
    (
        "however often, and to the old place",
        delivery(1000, releases=999, failures=2, losses=2),
        Outcome(ending="interrupted"),
        Release("releases"),
    ),
    (
        "unless it has to wait",
        delivery(3, releases=2),
        Outcome(ending="interrupted", after=1.5),
        Release("releases", 1.5),
    ),
    (
        "a death is charged",
        delivery(),
        Outcome(ending="crashed", error=ERROR),
        Release("losses", delay_for(AFTER_LOSS, "id", 1), error=ERROR),
    ),
    (
        "a suspect is not charged, and keeps its place",
        delivery(2, losses=1),
        Outcome(ending="abandoned", error=ERROR),
        Release("none", error=ERROR),
    ),
    (
        "the third death is the last",
        delivery(3, losses=2),
        Outcome(ending="crashed", error=ERROR),
        Reject("worker_lost", "'a'", "losses", 2.0),
    ),
    (
        "failures are no deaths",
        delivery(3, failures=2),
        Outcome(ending="crashed"),
        Release("losses", delay_for(AFTER_LOSS, "id", 1)),
    ),
    (
        "arguments that do not fit are for a person",
        delivery(),
        Outcome(ending="bad_arguments", error=ERROR),
        Reject("bad_arguments", "'a'", keep=2.0),
    ),
    (
        "bytes that cannot be read as well",
        delivery(),
        Outcome(ending="undecodable"),
        Reject("undecodable", "", keep=2.0),
    ),
    (
        "an unknown task may come with the next deploy",
        delivery(),
        Outcome(ending="unknown_task", error=ERROR),
        Release("unknown", 1.0, error=ERROR),
    ),
    (
        "whatever it was given back for before",
        delivery(32, releases=31, unknown=1),
        Outcome(ending="unknown_task", error=ERROR),
        Release("unknown", 2.0, error=ERROR),
    ),
]


@pytest.mark.parametrize(
    ("given_", "outcome", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_follows(given_: Delivery, outcome: Outcome, expected: Settle) -> None:
    """Each way to end has one settle."""
    assert settle(given_, outcome) == expected


def test_an_unknown_task_gets_its_whole_grace() -> None:
    """It is tried again after growing delays, up to a minute, for as long as the grace."""
    delays: list[float] = []
    outcome = Outcome(ending="unknown_task", error=ERROR)
    while isinstance(end := settle(delivery(unknown=len(delays)), outcome), Release):
        assert end.delay is not None
        delays.append(end.delay)
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert sum(delays) >= RULES.unknown_grace
    assert end == Reject("unknown_task", "'a'", keep=2.0)


@pytest.mark.parametrize(
    ("enqueued", "message", "ends"),
    [
        (NOW - 59.0, {}, False),
        (NOW - 60.0, {}, True),
        (NOW - 90.0, {"delay": 31.0}, False),
        (NOW - 1000.0, {"due": NOW - 10.0}, False),
        (NOW - 1000.0, {"due": NOW - 2000.0}, True),
        (NOW - 10.0, {"due": NOW - 2000.0}, False),
    ],
)
def test_the_age_of_a_job(enqueued: float, message: dict[str, float], ends: bool) -> None:
    """No retry of a job that is older than `max_age`, counted from when it was first due."""
    policy = RetryPolicy(retries=99, max_age=60.0)
    end = settle(delivery(enqueued=enqueued, message=message), raised(), policy)
    assert (end == FAILED) is ends


def test_the_delay_is_the_policys() -> None:
    """With jitter as well: the number of the failure and the id make it."""
    policy = RetryPolicy(retries=9)
    end = settle(delivery(failures=3), raised(), policy)
    assert isinstance(end, Release)
    assert end.delay == delay_for(policy, "id", 4)


def test_without_retries_the_first_failure_is_the_last() -> None:
    """`retries=0`; and `max_losses=1` for a worker that dies."""
    policy = RetryPolicy(retries=0, max_losses=1)
    assert settle(delivery(), raised(), policy) == FAILED
    end = settle(delivery(), Outcome(ending="crashed"), policy)
    assert end == Reject("worker_lost", "", "losses", 2.0)


endings = st.sampled_from(
    (
        "returned",
        "raised",
        "timed_out",
        "interrupted",
        "crashed",
        "abandoned",
        "unknown_task",
        "undecodable",
    )
)
counters = st.integers(0, 50)


@given(endings, counters, counters, counters, st.booleans(), st.none() | st.floats(-1, 1e6))
def test_every_outcome_has_a_settle_and_always_the_same(
    ending: Any, failures: int, losses: int, releases: int, retryable: bool, after: float | None
) -> None:
    """So that a settle can be made twice; and what it charges is what happened."""
    outcome = Outcome(ending=ending, error=ERROR, retryable=retryable, after=after)
    this = delivery(failures=failures, losses=losses, releases=releases)
    end = settle(this, outcome, RetryPolicy())
    assert end == settle(this, outcome, RetryPolicy())
    charges = {"raised": "failures", "timed_out": "failures", "crashed": "losses"}
    if not isinstance(end, Release):
        assert end.counts == charges.get(ending, "none")
    else:
        charges |= {"abandoned": "none", "unknown_task": "unknown"}
        assert end.counts == charges.get(ending, "releases")
        assert end.delay is None or end.delay >= 0


def test_any_number_of_failures_comes_to_an_end() -> None:
    """A task that always fails is run once more than it has retries."""
    failures = 0
    while isinstance(settle(delivery(failures=failures), raised()), Release):
        failures += 1
    assert failures == POLICY.retries


@pytest.mark.parametrize(
    ("expires", "runs"), [(None, True), (NOW + 0.1, True), (NOW, False), (NOW - 5, False)]
)
def test_what_has_expired_does_not_run(expires: float | None, runs: bool) -> None:
    """A message that nobody started before its `expires` ends with that as its error."""
    given_ = delivery(message={"expires": expires})
    found = screen(given_, POLICY, NOW, RULES)
    assert (found is None) is runs
    if found is not None:
        assert found.fence == given_.fence
        assert isinstance(found.settle, Finish)
        assert found.settle.state is State.EXPIRED
        assert (found.settle.keep, found.settle.counts) == (2.0, "none")
        assert found.settle.error is not None
        assert found.settle.error.type == "Expired"


@pytest.mark.parametrize(
    ("losses", "max_losses", "runs"), [(2, 3, True), (3, 3, False), (1, 1, False)]
)
def test_what_was_lost_too_often_does_not_run(losses: int, max_losses: int, runs: bool) -> None:
    """The last loss of a solo run is charged by the claim that takes it over: there it ends."""
    given_ = delivery(6, losses=losses)
    found = screen(given_, RetryPolicy(max_losses=max_losses), NOW, RULES)
    assert (found is None) is runs
    if found is not None:
        assert found.fence == given_.fence
        assert isinstance(found.settle, Reject)
        assert (found.settle.reason, found.settle.counts) == ("worker_lost", "none")
        assert f"{losses} times" in found.settle.detail


def test_an_abandoned_delivery_runs_solo() -> None:
    """From the second attempt on that nothing was charged for; what was charged does not count."""
    assert [delivery(attempt).solo for attempt in (1, 2, 3, 4)] == [False, False, True, True]
    assert not delivery(30, failures=9, losses=2, releases=17).solo
    assert delivery(31, failures=9, losses=2, releases=17).solo
