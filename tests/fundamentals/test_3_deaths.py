"""Whatever dies, what was sent is run, and is settled once."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway import TaskFailed
from tests.conftest import Eventually
from tests.fundamentals.conftest import Place, Start
from tests.worker.rig import Worker


def test_a_killed_process_loses_nothing(shop: Any, worker: Worker, place: Place) -> None:
    """The call runs again elsewhere: executed at least once, and settled exactly once."""
    job = shop.charge.send(order=7, deaths=1)
    assert job.result(timeout=10) == "receipt 7"
    assert place.diary() == ["charge 7", "charge 7"]
    assert (job.record().losses, job.record().failures) == (1, 0)


def test_a_killed_worker_loses_nothing(
    shop: Any, start_worker: Start, place: Place, eventually: Eventually
) -> None:
    """Also when everything of it is gone at once, and nobody is told."""
    job = shop.ship.send(order=7)
    first = start_worker()
    eventually(lambda: place.diary() == ["ship 7"])
    first.kill()
    place.open_gate()
    start_worker()
    assert job.result(timeout=10) == 2


def test_a_call_that_kills_is_set_aside(shop: Any, worker: Worker) -> None:
    """After three deaths it is in quarantine, for a person to look at; others go on."""
    poison = shop.charge.send(order=13, deaths=99)
    with pytest.raises(TaskFailed, match="SIGKILL"):
        poison.result(timeout=20)
    assert poison.status() == "quarantined"
    assert shop.add.send(2, 3).result(timeout=10) == 5


def test_a_restart_is_no_failure(
    shop: Any, start_worker: Start, place: Place, eventually: Eventually
) -> None:
    """A worker that is asked to stop lets the running finish, and leaves the rest in its place."""
    running = shop.ship.send(order=7)
    worker = start_worker("--threads", "1")
    eventually(lambda: place.diary() == ["ship 7"])
    waiting = shop.ship.send(order=8)
    worker.process.terminate()
    eventually(lambda: "stopping" in worker.said())
    place.open_gate()
    assert worker.wait() == 0
    assert running.result(timeout=0) == 1
    assert waiting.status() == "queued"
    assert waiting.record().failures == 0


def test_a_worker_that_was_away_changes_nothing(
    shop: Any, start_worker: Start, place: Place, eventually: Eventually
) -> None:
    """It was frozen for longer than its lease: another has the job, and the other's end counts."""
    job = shop.ship.send(order=7)
    frozen = start_worker()
    eventually(lambda: place.diary() == ["ship 7"])
    frozen.freeze()
    start_worker()
    eventually(lambda: place.diary() == ["ship 7"] * 2)
    place.open_gate()
    assert job.result(timeout=10) == 2
    frozen.thaw()
    eventually(lambda: "taken it over" in frozen.said())
    assert job.result(timeout=0) == 2
