"""Faults in a sandbox are what a worker would see, and jobs survive them as anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ropeway import RetryPolicy, Ropeway, RopewayError, State, TaskFailed, current
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate
from ropeway.results import Job
from ropeway.testing.faults import Fault
from ropeway.testing.sandbox import Sandbox

Moves = list[tuple[str, int, str]]

app = Ropeway("memory://")
ran: list[int] = []


@app.task(name="work", retries=RetryPolicy(retries=1, base=60, jitter=False))
async def work(x: int) -> int:
    ran.append(current.attempt)
    return x


@app.task(name="other")
def other() -> None:
    """Meet no fault that is meant for another."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Return the app's sandbox; no fault may be left over."""
    ran.clear()
    with app.testing() as sandbox:
        yield sandbox
        assert sandbox.faults_left() == []


def moves(sandbox: Sandbox, job: Job[int]) -> Moves:
    """What happened to the job, briefly, after it was sent."""
    return [
        (each.state + ("?" if each.refused else ""), each.attempt, each.charged)
        for each in sandbox.history(job)[1:]
    ]


DONE_AT_FIRST = [("running", 1, "none"), ("succeeded", 1, "none")]
SECOND = [("running", 2, "none"), ("succeeded", 2, "none")]
ATTEMPTS: list[tuple[Fault, list[int], Moves]] = [
    ("killed", [2], [("running", 1, "none"), ("queued", 1, "losses"), *SECOND]),
    ("killed_after", [1, 2], [("running", 1, "none"), ("queued", 1, "losses"), *SECOND]),
    ("timed_out", [2], [("running", 1, "none"), ("queued", 1, "failures"), *SECOND]),
    ("machine_lost", [2], [("running", 1, "none"), *SECOND]),
    ("lease_lost", [1, 2], [("running", 1, "none"), *SECOND, ("succeeded?", 1, "none")]),
]


@pytest.mark.parametrize(("fault", "attempts", "expected"), ATTEMPTS)
def test_an_attempt_meets_a_fault(
    sandbox: Sandbox, fault: Fault, attempts: list[int], expected: Moves
) -> None:
    """It is run again, and settled once, whatever happened to its first attempt."""
    sandbox.inject(fault, into=work)
    other.send()
    job = work.send(7)
    assert job.result() == 7
    sandbox.run()
    assert ran == attempts
    assert moves(sandbox, job) == expected


def test_a_lost_lease_is_taken_over_when_it_is_over(sandbox: Sandbox) -> None:
    """Not before: until then the worker might only be slow."""
    sandbox.inject("lease_lost")
    job = work.send(7)
    lease = app.settings.lease
    assert sandbox.run() == [job]
    assert sandbox.advance(lease - 1) == []
    assert job.status() == State.RUNNING
    assert sandbox.advance(1) == [job]
    assert job.status() == State.SUCCEEDED


def test_a_task_that_keeps_killing_its_process_is_quarantined(sandbox: Sandbox) -> None:
    """After `max_losses`, with the cause."""
    job = work.send(7)
    sandbox.inject("killed", into=job, times=3)
    with pytest.raises(TaskFailed, match=r"quarantined: .*killed"):
        job.result()
    assert (job.record().losses, job.record().failures) == (3, 0)


@pytest.mark.parametrize("fault", ["unavailable", "request_lost", "reply_lost", "repeated"])
def test_a_settle_meets_a_fault(sandbox: Sandbox, fault: Fault) -> None:
    """It is repeated until it has an answer, and is done once."""
    job = work.send(7)
    sandbox.inject(fault, into=job)
    assert job.result() == 7
    assert moves(sandbox, job) == DONE_AT_FIRST
    assert ran == [1]


@pytest.mark.parametrize(
    ("fault", "error", "stored"),
    [
        ("unavailable", BackendUnavailable, False),
        ("full", Backpressure, False),
        ("request_lost", Indeterminate, False),
        ("reply_lost", Indeterminate, True),
    ],
)
def test_a_send_meets_a_fault(
    sandbox: Sandbox, fault: Fault, error: type[Exception], stored: bool
) -> None:
    """The sender hears of it; whether anything was stored is as the fault says."""
    sandbox.inject(fault, into=work)
    other.send()
    with pytest.raises(error):
        work.send(7)
    assert bool(sandbox.sent(work)) is stored


def test_a_send_that_arrives_twice_is_one_job(sandbox: Sandbox) -> None:
    """Its id tells that it is the same."""
    sandbox.inject("repeated", into=work)
    job = work.send(7)
    assert sandbox.run() == [job]
    assert ran == [1]


def test_a_fault_that_does_not_exist_is_refused(sandbox: Sandbox) -> None:
    """With the names of those that do."""
    with pytest.raises(RopewayError, match=r"there is no fault 'kiled'.*\n.*killed, killed_after"):
        sandbox.inject("kiled")  # type: ignore[arg-type]  # the slip that is tested


def test_what_was_injected_in_vain_can_be_seen(sandbox: Sandbox) -> None:
    """So that a test does not pass because its fault never came."""
    sandbox.inject("killed", into=work, times=2)
    work.send(7)
    sandbox.run_one()
    assert sandbox.faults_left() == ["killed"]
    sandbox.run_all()
