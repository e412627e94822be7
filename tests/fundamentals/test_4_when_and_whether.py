"""When a call runs, in which order, and whether at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ropeway import TaskFailed
from tests.conftest import Eventually
from tests.fundamentals.conftest import Place, Start
from tests.worker.rig import Worker


def test_a_call_can_wait(shop: Any, worker: Worker) -> None:
    """For some time, or until a date; it is not due before."""
    later = shop.add.using(delay=0.3).send(1, 1)
    date = datetime.now(UTC) + timedelta(seconds=0.3)
    dated = shop.add.using(at=date).send(2, 2)
    assert later.result(timeout=10) == 2
    assert dated.result(timeout=10) == 4
    for job in (later, dated):
        assert job.record().started >= job.record().due


def test_what_matters_goes_first(shop: Any, start_worker: Start, place: Place) -> None:
    """A higher priority before a lower one; equal ones in the order they were sent."""
    place.open_gate()
    low = shop.ship.using(priority=1).send(order=1)
    shop.ship.using(priority=9).send(order=2)
    shop.ship.using(priority=9).send(order=3)
    start_worker("--threads", "1")
    low.result(timeout=10)
    assert [line for line in place.diary() if "shipped" in line] == [
        "shipped 2",
        "shipped 3",
        "shipped 1",
    ]


def test_one_key_is_one_at_a_time(
    shop: Any, worker: Worker, place: Place, eventually: Eventually
) -> None:
    """In the order they were sent, however many workers there are; other keys pass by."""
    jobs = [shop.ship.using(key="customer 1").send(order) for order in (1, 2, 3)]
    other = shop.ship.using(key="customer 2").send(order=4)
    eventually(lambda: sorted(place.diary()) == ["ship 1", "ship 4"])
    place.open_gate()
    for job in (*jobs, other):
        job.result(timeout=10)
    first = [line for line in place.diary() if not line.endswith("4")]
    assert first == [f"{verb} {order}" for order in (1, 2, 3) for verb in ("ship", "shipped")]


def test_a_call_can_be_called_off(shop: Any, start_worker: Start, place: Place) -> None:
    """Before it runs: then it never does."""
    job = shop.charge.send(order=7, deaths=0)
    assert job.cancel() == "cancelled"
    start_worker()
    assert shop.add.send(2, 3).result(timeout=10) == 5
    assert job.status() == "cancelled"
    assert place.diary() == []


def test_what_runs_can_be_stopped(
    shop: Any, worker: Worker, place: Place, eventually: Eventually
) -> None:
    """A coroutine is cancelled, and its own cleaning up is run."""
    job = shop.watch.send(order=7)
    eventually(lambda: place.diary() == ["watch 7"])
    assert job.cancel() == "asked"
    with pytest.raises(TaskFailed, match="cancelled"):
        job.result(timeout=10)
    assert place.diary() == ["watch 7", "unwatch 7"]


def test_a_call_can_be_too_late(shop: Any, start_worker: Start, place: Place) -> None:
    """Nobody wants the parcel after that: it expires, and does not run."""
    job = shop.ship.using(expires=0.05).send(order=7)
    start_worker()
    with pytest.raises(TaskFailed, match="not started before its `expires`"):
        job.result(timeout=10)
    assert place.diary() == []
