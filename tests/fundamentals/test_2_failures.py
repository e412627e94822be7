"""A task that fails is tried again, for a while; then its error is the result."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway import TaskFailed
from tests.worker.rig import Worker


def test_a_failure_is_tried_again(shop: Any, worker: Worker) -> None:
    """After a delay that grows; nobody who waits for the result hears of it."""
    job = shop.fetch.send(failures=2)
    assert job.result(timeout=10) == "fetched at attempt 3"
    assert job.record().failures == 2


def test_it_is_given_up_at_last(shop: Any, worker: Worker) -> None:
    """When its retries are used up; the caller gets the error as text."""
    job = shop.fetch.send(failures=99)
    with pytest.raises(TaskFailed, match="no route to host") as caught:
        job.result(timeout=10)
    assert caught.value.type == "ConnectionError"
    assert "in fetch" in caught.value.traceback
    assert job.record().failures == 4


def test_a_task_can_ask_for_more_time(shop: Any, worker: Worker) -> None:
    """`raise Retry(after=...)` says when to look again."""
    assert shop.poll.send().result(timeout=10) == 2


def test_a_task_that_hangs_is_stopped(shop: Any, worker: Worker) -> None:
    """At its time limit, which is a failure like others."""
    with pytest.raises(TaskFailed, match="longer than its timeout"):
        shop.hang.send().result(timeout=10)


def test_a_failed_job_can_be_run_again(shop: Any, worker: Worker) -> None:
    """By a person who has mended the cause: it is the same job, with all its retries."""
    job = shop.fetch.send(failures=5)
    with pytest.raises(TaskFailed):
        job.result(timeout=10)
    job.retry()
    assert job.result(timeout=10).startswith("fetched")
