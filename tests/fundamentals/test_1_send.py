"""A call is sent here, runs there, and its result comes back."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway import Job
from ropeway.errors import BadArguments
from tests.fundamentals.conftest import Start
from tests.worker.rig import Worker


def test_a_call_becomes_a_result(shop: Any, worker: Worker) -> None:
    """A task is a function; `send` has it run by a worker, in another process."""
    assert shop.add(2, 3) == 5
    job = shop.add.send(2, 3)
    assert job.result(timeout=10) == 5
    assert job.status() == "succeeded"


async def test_async_code_has_the_same_verbs(shop: Any, worker: Worker) -> None:
    """With an `a` in front; the kind of the task is no matter."""
    job = await shop.greet.asend("Ann")
    assert await job.aresult(timeout=10) == "Hello, Ann"


def test_what_was_sent_waits_for_a_worker(shop: Any, start_worker: Start) -> None:
    """`send` returns when the call is on the disk: nobody has to be there to take it."""
    job = shop.add.send(2, 3)
    assert job.status() == "queued"
    start_worker()
    assert job.result(timeout=10) == 5


def test_an_id_is_enough_to_find_a_job(shop: Any, worker: Worker) -> None:
    """Whoever knows it, in whatever process, can wait for the result."""
    job_id = shop.add.send(2, 3).id
    job: Job[Any] = shop.app.job(job_id)
    assert job.result(timeout=10) == 5


def test_many_calls_go_at_once(shop: Any, worker: Worker) -> None:
    """And their jobs come back in the same order."""
    jobs = shop.app.send_many(shop.add.call(number, 1) for number in range(100))
    assert [job.result(timeout=20) for job in jobs] == list(range(1, 101))


def test_wrong_arguments_are_not_sent(shop: Any) -> None:
    """The mistake is found where it was made, not in a worker's log."""
    with pytest.raises(BadArguments, match="add"):
        shop.add.send(2, "three")
    with pytest.raises(BadArguments, match="add"):
        shop.add.send(2)
