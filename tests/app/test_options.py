"""What `using` and `@app.task` say of how a call is sent, run and kept."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ropeway import RetryPolicy, Ropeway
from ropeway.errors import BadArguments, BadTask, JobNotFound, ResultTimeout, TaskFailed
from ropeway.message import Terms
from ropeway.stepping import step
from tests.conftest import Eventually
from tests.worker.rig import Rig, results, until

TASKS = """
@app.task
def add(x: int, y: int = 0) -> int:
    return x + y

@app.task(key="only", limits={"db": 2}, expires="1h", tags=["a"], headers={"h": "1"})
def special() -> None: ...

@app.task(retries=RetryPolicy(base=0.01), retry_on=(LookupError,), dont_retry_on=(KeyError,))
def fail(kind: str) -> None:
    witness(kind)
    raise {"key": KeyError, "index": IndexError, "value": ValueError}[kind](kind)

@app.task
def mark(word: str) -> str:
    witness(word)
    hold()
    return word

@app.task
def nap(seconds: float) -> None:
    time.sleep(seconds)

@app.task
async def anap(seconds: float) -> None:
    await asyncio.sleep(seconds)

@app.task(ack="early")
def once(word: str) -> str:
    witness(word)
    if word == "raise":
        raise ValueError(word)
    hold()
    witness(word + "!")
    return word

@app.task(store=False)
def unkept(word: str) -> str:
    if word == "raise":
        raise Retry(word, after=0.01)
    return word
"""


def test_what_is_asked_for_travels(rig: Rig) -> None:
    """Each option of `using` is in the message, beside those of the task."""
    tasks = rig.tasks(TASKS)
    policy = RetryPolicy(retries=1, base=7)
    date = datetime(2040, 1, 1, tzinfo=UTC)
    job = tasks.special.using(
        key="k",
        limits=["api", "api"],
        expires=date,
        retries=policy,
        timeout="5m",
        keep=timedelta(days=2),
        ack="early",
        store=False,
        tags=["b", "a"],
        headers={"i": "2"},
    ).send()
    message = rig.record(job).message
    assert (message.key, message.limits) == ("k", ("api",))
    assert (message.expires, message.policy) == (date.timestamp(), policy)
    assert message.headers == {"h": "1", "i": "2"}
    assert message.terms == Terms(
        timeout=300, keep=172_800, early=True, store=False, tags=("a", "b")
    )
    plain = rig.record(tasks.special.send()).message
    assert (plain.key, plain.limits, plain.headers) == ("only", ("db",), {"h": "1"})
    assert plain.terms == Terms(expires=3600, tags=("a",))
    assert rig.record(tasks.add.using(queue=None).send(1)).message.terms is None


def test_a_number_of_retries_keeps_the_rest_of_the_policy(rig: Rig) -> None:
    """`using(retries=2)` changes the number alone."""
    tasks = rig.tasks(TASKS)
    job = tasks.fail.using(retries=2).send("index")
    asked = rig.record(job).message.policy
    assert asked is not None
    assert asked == RetryPolicy(
        retries=2,
        base=0.01,
        retryable=("builtins.LookupError",),
        non_retryable=("builtins.KeyError",),
    )


def test_which_errors_are_tried_again(rig: Rig) -> None:
    """Those that `retry_on` names, without those that `dont_retry_on` names, as often as asked."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    jobs = [tasks.fail.using(retries=2).send(kind) for kind in ("key", "index", "value")]
    for job in jobs:
        with pytest.raises(TaskFailed):
            job.result(10)
    assert sorted(rig.marks()) == ["index", "index", "index", "key", "value"]


def test_a_time_limit_for_one_call(rig: Rig) -> None:
    """`using(timeout=...)` stops this call, in a thread and on the loop, and no other."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    for task in (tasks.nap, tasks.anap):
        job = task.using(timeout=0.2, retries=0).send(0.6)
        with pytest.raises(TaskFailed, match=r"timeout of 0\.2 s"):
            job.result(10)
        assert task.send(0.3).result(10) is None


def test_expires_counts_from_the_due_time(rig: Rig, eventually: Eventually) -> None:
    """A call that has not started in time ends as expired, with or without a worker for it."""
    tasks = rig.tasks(TASKS)
    late = tasks.add.using(expires=0.01).send(1)
    dated = tasks.add.using(expires=datetime.now(UTC) - timedelta(seconds=1)).send(1)
    delayed = tasks.add.using(delay=0.5, expires=30).send(2)
    unserved = tasks.add.using(expires=0.01, queue="nobody").send(1)
    eventually(lambda: time.time() > rig.record(late).enqueued + 0.02)
    rig.worker("--queues", "default")
    assert delayed.result(10) == 2
    for job in (late, dated):
        with pytest.raises(TaskFailed, match="not started before"):
            job.result(10)
    eventually(lambda: unserved.status() == "expired")


def test_how_long_a_result_stays(rig: Rig) -> None:
    """`keep` is for this result alone; failures stay as long as the settings say."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    short, plain = tasks.add.using(keep=3).send(1), tasks.add.send(1)
    failed = tasks.fail.using(keep=3, retries=0).send("value")
    assert results([short, plain]) == [1, 1]
    with pytest.raises(TaskFailed):
        failed.result(10)
    kept = dict(rig.sql("select id, round(purge - finished) from job"))
    assert [kept[job.id] for job in (short, plain, failed)] == [3, 86_400, 604_800]


def test_no_record_after_success(rig: Rig, eventually: Eventually) -> None:
    """With `store=False` the row goes with the settle; whoever waits hears that nothing is kept."""
    rig.needs_record()
    tasks = rig.tasks(TASKS)
    jobs = tasks.app.send_many(tasks.unkept.call("word") for _ in range(20))
    failed = tasks.unkept.using(retries=1).send("raise")
    stored = tasks.unkept.using(store=True).send("word")
    rig.worker()
    for job in jobs:
        with pytest.raises(JobNotFound, match="store=False"):
            job.result(10)
    assert stored.result(10) == "word"
    with pytest.raises(TaskFailed, match="Retry"):
        failed.result(10)
    assert {row.id for row in rig.rows()} == {failed.id, stored.id}


def test_at_most_once(rig: Rig, eventually: Eventually) -> None:
    """A call with `ack="early"` is settled before it runs, and does not run again after a kill."""
    tasks = rig.tasks(TASKS)
    killed = tasks.once.send("killed")
    worker = rig.worker()
    eventually(lambda: rig.marks() == ["killed"])
    assert killed.status() == "succeeded"
    assert killed.result(0) is None
    worker.kill()
    rig.worker()
    rig.open_gate()
    second = tasks.once.send("second")
    eventually(lambda: "second!" in rig.marks())
    assert sorted(rig.marks()) == ["killed", "second", "second!"]
    assert rig.times_run()[second.id] == 2  # its two marks


def test_at_most_once_outlives_its_lease(rig: Rig, eventually: Eventually) -> None:
    """A settled call has no lease to lose: it is not stopped when it runs longer than one."""
    tasks = rig.tasks(TASKS)
    worker = rig.worker()
    tasks.once.send("long")
    eventually(lambda: rig.marks() == ["long"])
    start = time.monotonic()
    eventually(lambda: time.monotonic() - start > 1.5)
    rig.open_gate()
    eventually(lambda: rig.marks() == ["long", "long!"])
    assert "Traceback" not in worker.said()


def test_at_most_once_and_failures(rig: Rig, eventually: Eventually) -> None:
    """A failure is not tried again: the log alone tells of it."""
    tasks = rig.tasks(TASKS)
    worker = rig.worker()
    job = tasks.once.send("raise")
    eventually(lambda: "is not tried again" in worker.said())
    assert "ValueError" in worker.said()
    assert job.status() == "succeeded"
    assert rig.marks() == ["raise"]


def test_a_stop_loses_no_early_call_that_has_not_started(rig: Rig, eventually: Eventually) -> None:
    """What a stopping worker had not begun goes back, and runs once, elsewhere."""
    tasks = rig.tasks(TASKS)
    worker = rig.worker("--threads", "1")
    words = [f"w{i}" for i in range(20)]
    tasks.app.send_many(tasks.once.call(word) for word in words)
    eventually(lambda: len(rig.marks()) == 1)
    worker.signal(signal.SIGTERM)
    rig.open_gate()
    assert worker.wait() == 0
    rig.worker()
    eventually(lambda: len(rig.marks()) == 40)
    assert sorted(rig.marks()) == sorted([*words, *(f"{word}!" for word in words)])


def test_one_at_a_time_and_in_order(rig: Rig) -> None:
    """Calls of one key run one after the other, in the order of sending; other keys beside them."""
    tasks = rig.tasks(
        """
@app.task
def step(key: str, number: int) -> None:
    witness(f"+{key}")
    time.sleep(0.01)
    witness(f"-{key}{number}")
"""
    )
    calls = [tasks.step.using(key=key).call(key, n) for n in range(10) for key in "ab"]
    jobs = tasks.app.send_many(calls)
    rig.worker("--children", "2")
    results(jobs)
    for key in "ab":
        marks = [mark for mark in rig.marks() if key in mark]
        assert marks == [mark for n in range(10) for mark in (f"+{key}", f"-{key}{n}")]


def test_spread(rig: Rig) -> None:
    """The due times of `spread` are evenly spaced, after those that the calls have themselves."""
    tasks = rig.tasks(TASKS)
    calls = [tasks.add.using(delay=100).call(i) for i in range(5)]
    jobs = tasks.app.send_many(iter(calls), spread="10s")
    first, *others = rig.rows(jobs)
    assert first.due - first.enqueued == pytest.approx(100)
    assert [round(row.due - first.due) for row in others] == [2, 4, 6, 8]
    with pytest.raises(BadArguments):
        tasks.app.send_many(calls, spread=-1)
    dated = tasks.add.using(at=datetime(2040, 1, 1, tzinfo=UTC))
    rows = rig.rows(tasks.app.send_many([dated.call(1), dated.call(2)], spread=4))
    assert rows[1].due - rows[0].due == 2


# -- limits -------------------------------------------------------------------------------


LIMITED = """
app = Ropeway(limits={"db": 2, "api": (9, "20/s burst 3")})

@app.task(limits=["db"])
def use(n: int) -> int:
    witness("+")
    hold("first")
    time.sleep(0.01)
    witness("-")
    return n
"""


def most_at_once(marks: list[str]) -> int:
    """Return how many ran at once, of marks that say + and -."""
    now = most = 0
    for mark in marks:
        now += 1 if mark == "+" else -1
        most = max(most, now)
    return most


def test_a_limit_and_its_change_at_run_time(rig: Rig, eventually: Eventually) -> None:
    """No more run at once than a limit says, over workers; a change at run time holds at once."""
    tasks = rig.tasks(LIMITED)
    jobs = tasks.app.send_many(tasks.use.call(n) for n in range(20))
    workers = [rig.worker("--threads", "8"), rig.worker("--threads", "8")]
    eventually(lambda: len(rig.marks()) == 2)
    assert [(each.name, each.in_flight) for each in tasks.app.limits.ls()] == [
        ("api", 9),
        ("db", 2),
    ]
    tasks.app.limits.set("db", 4)
    eventually(lambda: len(rig.marks()) == 4)
    rig.worker()  # its code says 2, which does not undo the change
    tasks.app.limits.set("db", 3)
    rig.open_gate("first")
    assert results(jobs) == list(range(20))
    assert most_at_once(rig.marks()) == 4
    assert most_at_once(rig.marks()[8:]) <= 3
    (info,) = [each for each in tasks.app.limits.ls() if each.name == "db"]
    assert (info.in_flight, info.overridden) == (3, True)
    for worker in workers:
        worker.kill()
    rig.folder.joinpath("witness").unlink()
    tasks.app.limits.reset("db")
    assert results(tasks.app.send_many(tasks.use.call(n) for n in range(10))) == list(range(10))
    assert most_at_once(rig.marks()) <= 2


def test_a_rate(rig: Rig) -> None:
    """Calls that name a rate start no faster than it says, after a burst."""
    tasks = rig.tasks(LIMITED)
    rig.worker()
    rig.open_gate("first")
    jobs = tasks.app.send_many(tasks.use.using(limits=["api"]).call(n) for n in range(13))
    results(jobs)
    started = sorted(row[0] for row in rig.sql("select started from job"))
    assert started[-1] - started[0] >= (13 - 3) / 20 - 0.01


@pytest.mark.parametrize(
    "value", [-1, True, 1.5, "fast", "5", "1/0s", "0/s", "5/s burst 0", ("5/s", "6/s"), (1, 2)]
)
def test_limits_that_cannot_be(rig: Rig, value: Any) -> None:
    """What is no limit is refused where it is written, and at run time, by its name."""
    tasks = rig.tasks(TASKS)
    with pytest.raises(BadArguments, match="'odd'"):
        tasks.app.task(limits={"odd": value})(lambda: None)
    with pytest.raises(BadArguments, match="'odd'"):
        tasks.app.limits.set("odd", value)
    assert tasks.app.limits.ls() == []


def test_a_limit_declared_twice(rig: Rig) -> None:
    """Two tasks cannot mean different things by one name; a call cannot declare one."""
    tasks = rig.tasks(TASKS)
    with pytest.raises(BadTask, match="declared twice"):
        tasks.app.task(limits={"db": 3})
    tasks.app.task(limits={"db": 2})
    with pytest.raises(BadArguments, match="named here"):
        tasks.add.using(limits={"db": 3})


def test_a_job_that_is_not_there_yet(rig: Rig) -> None:
    """Nobody runs what a limit of 0 holds back; it is there, and says that it waits."""
    tasks = rig.tasks(LIMITED)
    tasks.app.limits.set("db", 0)
    rig.worker()
    job = tasks.use.send(1)
    with pytest.raises(ResultTimeout):
        job.result(0.5)
    tasks.app.limits.set("db", (1, "100/s"))
    rig.open_gate("first")
    assert job.result(10) == 1
    until(lambda: step(tasks.app.limits.als())[1].rate == 100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "lets nothing run"),
        ({"hard_timeout": 0}, "lets nothing run"),
        ({"timeout": "2s", "hard_timeout": "1s"}, "hard_timeout=1 s ends a process before"),
        ({"retries": RetryPolicy(retries=-1)}, "retries=-1"),
        ({"retries": RetryPolicy(max_losses=0)}, "max_losses=0"),
        ({"retries": RetryPolicy(base=-0.5)}, "base=-0.5"),
        ({"tags": [f"tag-{number}" for number in range(5_000)]}, "the tags take"),
    ],
)
def test_options_that_cannot_be(options: Any, said: str) -> None:
    """What would run nothing, or contradicts itself, is refused where it is written."""
    app = Ropeway("memory://")
    with pytest.raises(BadArguments, match=said):
        app.task(name="t", **options)(lambda: None)


def test_what_is_no_call_and_no_id() -> None:
    """It is said what to write; with `spread` too."""
    app = Ropeway("memory://")
    anything: Any = app
    for spread in (0, 10):
        with pytest.raises(BadArguments, match="no call of a task"):
            anything.send_many([1], spread=spread)
    with pytest.raises(BadArguments, match="no job's id"):
        anything.job(5)
