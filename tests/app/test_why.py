"""Why a job is not running, told from what a backend keeps: each reason is made, then mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ropeway.claims import Claim, Limit
from ropeway.connect import Connection
from ropeway.control import WorkerRecord, announce
from ropeway.jobs import see
from ropeway.limiting import LimitInfo
from ropeway.message import Failure, Fence, Message, solo_key, solo_mark
from ropeway.pauses import pause, resume
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.transition import Cancel, Finish, Put, Release, Settle, Transition
from ropeway.why import Why, gather, why


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Open an empty backend."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    opened = Connection(url).blocking()
    step(opened.open())
    yield opened
    step(opened.close())


def listens(backend: Backend, **more: Any) -> None:
    """Have a worker on record that has room."""
    well: dict[str, Any] = {
        "holder": "w1",
        "host": "h",
        "pid": 1,
        "version": "1",
        "python": "3",
        "app": "a",
        "code": "c",
        "started": 0.0,
        "heard": step(backend.now()),
        "state": "consuming",
        "tasks": {"t": ""},
        "slots": {"threads": 8},
    }
    step(announce(backend, WorkerRecord(**(well | more))))


def send(backend: Backend, *ids: str, **more: Any) -> None:
    """Publish a message for each id, in this order."""
    for each in ids:
        message = Message(id=each, task="t", **more)
        (answer,) = step(backend.commit([Transition(publish=(message,))]))
        assert answer.ok


def claim(backend: Backend, n: int = 1) -> list[Fence]:
    """Have the worker claim."""
    return [each.fence for each in step(backend.receive([Claim("default", n)], "w1", 60.0))]


def settle(backend: Backend, fence: Fence, how: Settle) -> None:
    """Settle an attempt."""
    (answer,) = step(backend.commit([Transition(fence=fence, settle=how)]))
    assert answer.ok


def asked(backend: Backend, job_id: str) -> Why:
    """Ask why a job is not running."""
    return why(step(gather(backend, step(see(backend, job_id)).record)))


def test_nobody_listens(backend: Backend) -> None:
    """Until somebody does, and then while the queue is paused."""
    send(backend, "01")
    assert asked(backend, "01").reason == "no_worker"
    listens(backend)
    assert asked(backend, "01").reason == "soon"
    step(pause(backend, "default", by="ann", why="late"))
    assert asked(backend, "01").says == "queue default is paused by ann, now: late"
    step(resume(backend, "default"))
    assert asked(backend, "01").reason == "soon"


def test_its_key_is_held(backend: Backend) -> None:
    """By the one before it, whether that waits, runs or is to be tried again; then by nobody."""
    listens(backend)
    send(backend, "01", "02", "03", key="ann")
    send(backend, "04", key="bob")
    assert asked(backend, "01").job is None
    assert asked(backend, "02").job == "01"
    assert asked(backend, "03").job == "01"
    assert asked(backend, "04").reason != "key"
    (fence, *_) = claim(backend)
    found = asked(backend, "02")
    assert (found.reason, found.job) == ("key", "01")
    assert "which is running on w1" in found.says
    settle(backend, fence, Release("failures", delay=3_600.0, error=Failure(type="E", message="")))
    assert "which is retrying, due in 59m" in asked(backend, "02").says
    step(backend.commit([Transition(cancel=(Cancel("01", 60.0),))]))
    assert asked(backend, "02").reason != "key"
    assert asked(backend, "03").job == "02"


def test_the_first_of_a_key_is_found_behind_many(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is looked at only so far; what was sent before it is searched as well."""
    monkeypatch.setattr("ropeway.why.gathering.LOOKED_AT", 3)
    listens(backend)
    send(backend, "01", key="ann", delay=3_600.0)
    send(backend, "02", key="ann")
    send(backend, "03", "04", "05", "06")
    found = asked(backend, "02")
    assert (found.reason, found.job) == ("key", "01")


def test_its_limit_is_used_up(backend: Backend) -> None:
    """As long as as many run as may."""
    listens(backend)
    info = Put("limit/api", msgspec.msgpack.encode(LimitInfo(name="api", in_flight=1)))
    step(backend.commit([Transition(put=(info,))]))
    step(backend.declare([Limit(name="api", in_flight=1)]))
    send(backend, "01", "02", limits=("api",))
    (fence,) = claim(backend, 2)
    assert asked(backend, "02").says == "limit api is used up: 1 run, of 1 at once"
    settle(backend, fence, Finish(State.SUCCEEDED))
    assert asked(backend, "02").reason == "soon"


def test_what_it_needs_is_in_use(backend: Backend) -> None:
    """Or is offered by nobody; and a pause holds those beside its queue too."""
    listens(backend)
    send(backend, "01", "02", queue="default[gpu=1]")
    assert asked(backend, "01").reason == "not_offered"
    listens(backend, offers={"gpu": 1})
    assert asked(backend, "01").reason == "soon"
    step(backend.receive([Claim("default[gpu=1]", 1)], "w1", 60.0))
    assert asked(backend, "02").says == "it needs gpu=1, and w1 has 0 of 1 gpu free"
    step(pause(backend, "default", by="ann", why="late"))
    assert asked(backend, "02").reason == "paused"


def test_others_go_first(backend: Backend) -> None:
    """Those of higher priority, and earlier ones of the same; a rate is told when there is one."""
    listens(backend)
    send(backend, "01", "02", "03", "04")
    send(backend, "05", band=9)
    send(backend, "06", band=0)
    send(backend, "07", band=9, delay=100.0)  # not yet
    assert asked(backend, "05").reason == "soon"
    assert "about 3 others go first in queue default" in asked(backend, "03").says
    assert "about 1 other goes first" in asked(backend, "01").says
    assert "about 5 others" in asked(backend, "06").says
    for fence in claim(backend, 3):
        settle(backend, fence, Finish(State.SUCCEEDED, value=b"1"))
    found = asked(backend, "04")
    assert "a second, as lately" in found.says
    assert found.until is not None


def test_a_long_line_is_counted_only_so_far(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told is true all the same."""
    monkeypatch.setattr("ropeway.why.gathering.LOOKED_AT", 3)
    listens(backend)
    send(backend, "01", "02", "03", "04", "05", "06")
    says = "about 3 or more go first in queue default, of 6 that are due"
    assert asked(backend, "06").says == says


def test_one_that_runs(backend: Backend) -> None:
    """Who runs it, whether it is to stop, and that its worker is gone."""
    send(backend, "01")
    claim(backend)
    assert asked(backend, "01").reason == "lost"
    listens(backend)
    assert asked(backend, "01").reason == "running"
    step(backend.commit([Transition(cancel=(Cancel("01", 60.0),))]))
    assert asked(backend, "01").reason == "cancelling"


def test_one_that_is_to_run_alone(backend: Backend) -> None:
    """Waits for a process of its own until it is on record that it has begun."""
    listens(backend)
    send(backend, "01")
    for _ in range(3):
        (delivery,) = step(backend.receive([Claim("default", 1)], "w1", 0.0))
    assert delivery.solo
    assert asked(backend, "01").reason == "alone"
    mark = Put(solo_key("01"), solo_mark(delivery.fence.attempt))
    step(backend.commit([Transition(put=(mark,))]))
    assert asked(backend, "01").reason == "running"


def test_one_that_has_ended(backend: Backend) -> None:
    """Nothing else is looked at."""
    send(backend, "01")
    (fence,) = claim(backend)
    settle(backend, fence, Finish(State.FAILED, error=Failure(type="E", message="")))
    assert asked(backend, "01").reason == "ended"
