"""Why a job is not running: every reason, from facts alone."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec.structs import replace

from ropeway.control import WorkerRecord
from ropeway.limiting import LimitInfo
from ropeway.message import Failure, JobRecord, Message
from ropeway.pauses import Pause
from ropeway.states import State
from ropeway.why import Facts, Reason, why
from ropeway.why.facts import Line, Use

NOW = 10_000.0
MESSAGE = Message(id="01", task="shop.pay", queue="mail", key="ann", limits=("api",))
MAIL = JobRecord(message=MESSAGE, state=State.QUEUED, enqueued=NOW - 60, due=NOW - 60)
RUNS = replace(MAIL, state=State.RUNNING, attempt=2, failures=1, started=NOW - 9, holder="w1-1-a")
PAUSE = Pause(queue="mail", by="ann", since=NOW - 120, why="the server is full")
UNKNOWN = Failure(type="UnknownTask", message="no task is called 'shop.pay'\nmore")
OTHER = Failure(type="UnknownTask", message="mine")
VERSION = Failure(type="UnknownVersion", message="sent for version 3; this worker has version 2")


def job(**more: Any) -> JobRecord:
    """Make a job that waits and is due."""
    return replace(MAIL, **more)


def worker(holder: str = "w1-1-a", **more: Any) -> WorkerRecord:
    """Make the record of a worker that has free slots and knows the task."""
    well: dict[str, Any] = {
        "holder": holder,
        "host": "w1",
        "pid": 1,
        "version": "1",
        "python": "3",
        "app": "shop",
        "code": "c0de",
        "started": NOW - 100,
        "heard": NOW - 1,
        "state": "consuming",
        "tasks": {"shop.pay": "d"},
        "slots": {"loop": 100, "threads": 8},
        "busy": {"loop": 0, "threads": 0},
    }
    return WorkerRecord(**(well | more))


FULL = worker(busy={"threads": 8, "loop": 0})
GPU = worker(offers={"gpu": 1})
IN_TWO = LimitInfo(name="api", in_flight=2)
WAITING = worker(state="waiting", why="nothing can be claimed for 9 s: the disk is full")

CASES: list[tuple[Reason, dict[str, Any], str]] = [
    ("later", {"job": job(due=NOW + 3_600)}, "it is due in 1h, at "),
    (
        "retrying",
        {"job": job(due=NOW + 90, failures=2, attempt=2, error=Failure(type="E", message="a\nb"))},
        "attempt 2 failed (E: a); attempt 3 is due in 1m, at ",
    ),
    (
        "given_back",
        {"job": job(due=NOW + 5, attempt=1, releases=1, unknown=1, error=UNKNOWN)},
        "a worker gave it back: UnknownTask: no task is called 'shop.pay'; attempt 2 is due in 5s",
    ),
    (
        "given_back",
        {"job": job(due=NOW + 5, attempt=1, releases=1, unknown=1, error=VERSION)},
        "UnknownVersion: sent for version 3; this worker has version 2",
    ),
    (
        "given_back",
        {"job": job(due=NOW + 5, attempt=1, releases=1)},
        "it was given back once; attempt 2 is due in 5s, at ",
    ),
    (
        "given_back",
        {"job": job(due=NOW + 5, attempt=2, losses=2)},
        "it was lost with its process 2 times; attempt 3",
    ),
    (
        "retrying",
        {"job": job(due=NOW + 5, attempt=4, failures=2, releases=1, error=OTHER)},
        "it has failed 2 times (last: UnknownTask: mine) and was given back once; attempt 5",
    ),
    ("later", {"job": job(due=NOW + 5, attempt=3)}, "it is due in 5s"),  # revived
    ("paused", {"pause": PAUSE}, "queue mail is paused by ann, 2m ago: the server is full"),
    ("no_worker", {"workers": ()}, "no worker on record listens to queue mail"),
    (
        "no_worker",
        {"workers": (worker(queues=("push", "m?il", "mail2")),)},
        "no worker on record listens to queue mail",
    ),
    (
        "resting",
        {"workers": (worker(state="quiet", why="it was told to"), worker("w2", queues=("push",)))},
        "the only worker on record of queue mail, w1-1-a, is quiet (it was told to)",
    ),
    (
        "resting",
        {"workers": (WAITING, WAITING, worker("w2", state="draining"))},
        "no worker of queue mail claims anything: 2 waiting, 1 draining (nothing can be claimed",
    ),
    (
        "silent",
        {"workers": (worker(heard=NOW - 25), worker("w2", heard=NOW - 20))},
        "the workers of queue mail have not been heard of for 20.0s",
    ),
    (
        "unknown_task",
        {"workers": (worker(tasks={"pay": "d", "shop.play": "d"}),)},
        "its only worker on record does not know task shop.pay; the closest name is shop.play (code c0de)",
    ),
    (
        "unknown_task",
        {"workers": (worker(tasks={"x": "d"}), worker("w2", tasks={}, code="beef"))},
        "none of its 2 workers knows task shop.pay (code c0de, beef)",
    ),
    (
        "not_offered",
        {"job": job(message=replace(MESSAGE, queue="mail[gpu=2]")), "workers": (GPU,)},
        "it needs gpu=2, which no worker of queue mail offers",
    ),
    (
        "no_worker",
        {"job": job(message=replace(MESSAGE, queue="mail[gpu=2]")), "workers": ()},
        "no worker on record listens to queue mail",
    ),
    (
        "in_use",
        {
            "job": job(message=replace(MESSAGE, queue="mail[gpu=1]")),
            "workers": (GPU, worker("w2")),
            "used": {"w1-1-a": {"gpu": 1}},
        },
        "it needs gpu=1, and w1-1-a has 0 of 1 gpu free",
    ),
    (
        "key",
        {"first": RUNS},
        "key 'ann' is held by job 01, which is running on w1-1-a",
    ),
    (
        "key",
        {"first": job(failures=1, due=NOW + 30)},
        "key 'ann' is held by job 01, which is retrying, due in 30s",
    ),
    ("limit", {"limits": (Use(IN_TWO, 2),)}, "limit api is used up: 2 run, of 2 at once"),
    (
        "limit",
        {"limits": (Use(LimitInfo(name="api", rate=0.5), 0),)},
        "limit api lets 30 a minute start, so it may wait for its turn",
    ),
    (
        "limit",
        {"limits": (Use(LimitInfo(name="api", rate=1 / 43_200), 0),)},
        "limit api lets 2 a day start",
    ),
    (
        "busy",
        {"workers": (FULL, replace(FULL, holder="w2", heard=NOW - 4))},
        "all 16 slots (threads) of 2 workers that can run it were taken 1.0s ago",
    ),
    (
        "busy",
        {"workers": (worker(slots={"threads": 1}, busy={"threads": 1}),)},
        "the only slot (threads) of the only worker that can run it was taken 1.0s ago",
    ),
    (
        "behind",
        {"line": Line(412, rate=2.0)},
        "about 412 others go first in queue mail; at 2 a second, as lately, that is 3m26s",
    ),
    (
        "behind",
        {"line": Line(800, whole=False, due=5_000, rate=2.0)},
        "about 800 or more go first in queue mail, of 5,000 that are due; at 2 a second, as lately, that is 6m40s or more",
    ),
    (
        "behind",
        {"line": Line(800, whole=False, due=100_000)},
        "about 800 or more go first in queue mail, of 100,000 or more that are due",
    ),
    ("soon", {"job": job(due=NOW - 0.5)}, "it has been due for 500ms: a worker is about to"),
    ("unexplained", {}, "it has been due for 1m00s, with 1 worker that listens, and nothing on"),
    ("running", {"job": RUNS}, "attempt 2, for 9.0s now, by w1-1-a"),
    (
        "cancelling",
        {"job": replace(RUNS, cancelling=True)},
        "it was asked to stop and has not done so yet",
    ),
    ("lost", {"job": RUNS, "workers": ()}, "by w1-1-a, of which there is no record; unless it"),
    (
        "silent",
        {"job": RUNS, "workers": (worker(heard=NOW - 20),)},
        "by w1-1-a, which has not been heard of for 20.0s; unless it runs on",
    ),
    (
        "alone",
        {"job": RUNS, "began_alone": False},
        "w1-1-a has it, and it waits there for a process of its own",
    ),
    *(
        ("ended", {"job": replace(RUNS, state=state, finished=NOW - 7)}, says)
        for state, says in [
            (State.SUCCEEDED, "in 2.0s, at attempt 2"),
            (State.FAILED, "at attempt 2; nothing runs it again by itself"),
            (State.CANCELLED, "nothing runs it again"),
            (State.EXPIRED, "its time was over before it could run"),
            (State.QUARANTINED, "kept aside, whole"),
        ]
    ),
]


def facts(**more: Any) -> Facts:
    """Make facts under which nothing is in the way."""
    well: dict[str, Any] = {"now": NOW, "job": MAIL, "workers": (worker(),)}
    return Facts(**(well | more))


@pytest.mark.parametrize(("reason", "more", "says"), CASES)
def test_the_reason(reason: Reason, more: dict[str, Any], says: str) -> None:
    """One for each set of facts, and nothing besides."""
    found = why(facts(**more))
    assert found.reason == reason
    assert says in found.says
    assert found.besides == ()


def test_every_reason_has_a_case() -> None:
    """So that a new one is not forgotten."""
    assert {reason for reason, _, _ in CASES} == set(get_args(Reason))


def test_what_goes_first_comes_first() -> None:
    """A job that is due later, in a paused queue without workers, is all of that."""
    found = why(facts(job=job(due=NOW + 9), pause=PAUSE, workers=(), first=RUNS))
    assert found.reason == "later"
    assert [each.reason for each in found.besides] == ["paused", "no_worker", "key"]
    assert found.until == NOW + 9


def test_one_free_worker_is_enough() -> None:
    """Others may be full, quiet, or without the task: the job waits for none of them."""
    others = (
        FULL,
        worker("w2", state="quiet"),
        worker("w3", tasks={}),
        worker("w4", heard=NOW - 99),
    )
    assert why(facts(workers=(*others, worker("w5")))).reason == "unexplained"


def test_free_slots_of_a_worker_that_does_not_know_the_task_are_none() -> None:
    """Nor are those of another kind."""
    assert why(facts(workers=(FULL, worker("w2", tasks={})))).reason == "busy"
    cpu = job(message=replace(MESSAGE, kind="cpu"))
    assert why(facts(job=cpu, workers=(FULL,))).reason == "unexplained"  # it may run elsewhere


def test_places_are_no_matter_before_it_is_due() -> None:
    """They may be free by then."""
    found = why(facts(job=job(due=NOW + 9), workers=(FULL,), line=Line(5)))
    assert found.besides == ()


def test_a_limit_with_room_is_none() -> None:
    """And a rate that may have room is not named for a job that was just due."""
    limits = (Use(IN_TWO, 1), Use(LimitInfo(name="r", rate=1.0), 0))
    found = why(facts(job=job(due=NOW - 1), limits=limits))
    assert found.reason == "soon"


def test_a_pattern_serves_a_queue() -> None:
    """As it does for the worker itself."""
    assert why(facts(workers=(worker(queues=("m*l",)),))).reason == "unexplained"


def test_a_command_can_be_pasted() -> None:
    """Whatever the queue is called."""
    odd = job(message=replace(MESSAGE, queue="a b; rm"))
    assert why(facts(job=odd, workers=())).command == "ropeway worker -Q 'a b; rm'"
    gpu = job(message=replace(MESSAGE, queue="a b[gpu=2]"))
    assert why(facts(job=gpu, workers=())).command == "ropeway worker -Q 'a b' --offer gpu=2"
    assert why(facts(job=odd, line=Line(3))).command == "ropeway queues peek 'a b; rm'"
