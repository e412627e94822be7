"""Whatever a task does, it fails alone: its neighbours, its child and the worker are well."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ropeway import TaskFailed
from ropeway.results import Job
from tests.conftest import Eventually
from tests.worker.rig import Rig, alive, results

BODIES = """
class NoText(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

class NoName(type):
    def __getattribute__(cls, name):
        if name in ("__qualname__", "__module__"):
            raise RuntimeError("no name")
        return type.__getattribute__(cls, name)

class Nameless(Exception, metaclass=NoName):
    pass

class HalfPair(Exception):
    pass

HalfPair.__qualname__ = "Half\\ud800Pair"

class Base(BaseException):
    pass

class Endless(Exception):
    def __str__(self):
        return str(self)
    __repr__ = __str__

class Unpicklable(Exception):
    def __init__(self):
        super().__init__(threading.Lock())

    def __reduce__(self):
        raise RuntimeError("not me")

def cycle():
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__ = two, one
    one.__context__ = one
    raise one

def shadow():
    exec("def f():\\n raise ValueError('odd')", scope := {"__name__": object()})
    scope["f"]()

class Cause(Exception):
    @property
    def __cause__(self):
        raise RuntimeError("no cause")

import datetime

class Nowhere(datetime.tzinfo):
    def utcoffset(self, when):
        raise LookupError("trap")

def deep():
    value = None
    for _ in range(5000):
        value = [value]
    return value

def loop():
    value = []
    value.append(value)
    return value

def generator():
    yield 1

def recursion():
    return recursion()

def cancel():
    raise asyncio.CancelledError("by itself")

def big():
    raise ValueError("x" * 10_000_000)

def nested():
    error = ValueError("start")
    for _ in range(3000):
        try:
            raise ValueError("next") from error
        except ValueError as next_:
            error = next_
    raise error

BODY = {
    "no text": lambda: throw(NoText()),
    "no name": lambda: throw(Nameless("x")),
    "half a pair in the name": lambda: throw(HalfPair("x")),
    "half a pair in the text": lambda: throw(ValueError("\\ud800")),
    "ten megabytes of text": big,
    "thousands of causes": nested,
    "text without end": lambda: throw(Endless()),
    "not to be pickled": lambda: throw(Unpicklable()),
    "a cycle of causes": cycle,
    "a module without a name": shadow,
    "no cause": lambda: throw(Cause("x")),
    "exit": lambda: sys.exit(3),
    "exit well": lambda: sys.exit(0),
    "interrupt": lambda: throw(KeyboardInterrupt()),
    "generator exit": lambda: throw(GeneratorExit()),
    "stop": lambda: throw(StopIteration(5)),
    "async stop": lambda: throw(StopAsyncIteration(5)),
    "base": lambda: throw(Base("x")),
    "group": lambda: throw(BaseExceptionGroup("many", [SystemExit(1), ValueError("y")])),
    "cancelled": cancel,
    "recursion": recursion,
    "an object": lambda: object(),
    "a lock": threading.Lock,
    "a generator": generator,
    "a coroutine": lambda: coroutine(),
    "a trap": lambda: datetime.datetime(2030, 1, 1, tzinfo=Nowhere()),
    "a loop": loop,
    "deep": deep,
    "deep with null": lambda: [deep(), None],
    "not a number": lambda: [1.0, float("nan")],
    "a huge number": lambda: 10**10_000,
    "half a pair": lambda: "\\ud800",
    "two megabytes": lambda: "x" * 2_000_000,
    "bytes as keys": lambda: {b"\\xff": 1},
}

class coroutine:
    def __await__(self):
        yield

def throw(error):
    raise error

@app.task(retries=0)
def plain(name: str):
    witness(name.replace(" ", "-"))
    return BODY[name]()

@app.task(retries=0)
async def coro(name: str):
    witness(name.replace(" ", "-"))
    return BODY[name]()

@app.task
def neighbour(x: int) -> int:
    return x

@app.task
async def aneighbour(x: int) -> int:
    hold() if x < 0 else await ahold()
    return x
"""
SUCCEED = {"bytes as keys", "deep", "deep with null"}  # may: what can be written is written


@pytest.mark.parametrize("kind", ["plain", "coro"])
def test_every_end_is_a_failure(rig: Rig, eventually: Eventually, kind: str) -> None:
    """Odd exceptions and odd results fail their own job, once, with a bounded description."""
    rig.set(max_blob=1_500_000)
    tasks = rig.tasks(BODIES)
    worker = rig.worker("--threads", "4")
    (child,) = worker.children
    waiting = [tasks.aneighbour.send(i) for i in range(5)]
    jobs = {name: getattr(tasks, kind).send(name) for name in tasks.BODY}
    eventually(lambda: all(rig.states()[x] == 0 for x in ("queued",)), 8)
    assert results([tasks.neighbour.send(i) for i in range(20)]) == list(range(20))
    rig.open_gate()
    assert results(waiting) == list(range(5))
    eventually(rig.settled, 5)
    for name, job in jobs.items():
        record = rig.record(job)
        # What had not started while the machine was busy may have been given back: that is free.
        assert (record.attempt - record.releases, record.losses) == (1, 0), name
        if record.state == "succeeded":
            assert name in SUCCEED, name
            continue
        assert (record.state, record.failures) == ("failed", 1), name
        assert record.error is not None
        assert record.error.type, name
        assert len(record.error.message) < 5000, name
        assert len(record.error.traceback) < 25_000, name
        assert len(record.error.fingerprint) == 12, name
    assert worker.children == [child]


def test_what_failures_say(rig: Rig) -> None:
    """The error of a failed job names the exception, its text and where it was raised."""
    rig.set(max_blob=1_500_000)
    tasks = rig.tasks(BODIES)
    rig.worker()
    said = {name: _error(tasks.plain.send(name)) for name in ("exit", "a lock", "two megabytes")}
    said["cancelled"] = _error(tasks.coro.send("cancelled"))
    assert said["exit"].type == "SystemExit"
    assert said["cancelled"].type.endswith("CancelledError")
    assert "in cancel" in said["cancelled"].traceback
    assert "lock" in str(said["a lock"])
    assert "max_blob" in str(said["two megabytes"])


def _error(job: Job[Any]) -> TaskFailed:
    with pytest.raises(TaskFailed) as caught:
        job.result(10)
    return caught.value


def test_a_task_that_cancels_itself_fails(rig: Rig, eventually: Eventually) -> None:
    """A coroutine that has itself cancelled is a failure with its retries, not run for ever."""
    tasks = rig.tasks("""
        @app.task(retries=RetryPolicy(retries=1, base=0.01))
        async def cancel() -> None:
            witness()
            asyncio.current_task().cancel()
            await asyncio.sleep(60)

        @app.task(retries=RetryPolicy(retries=1, base=0.01))
        async def group() -> None:
            witness()
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(60))
                group._parent_task.cancel()
                await asyncio.sleep(60)
    """)
    rig.worker()
    jobs = [tasks.cancel.send(), tasks.group.send()]
    eventually(rig.settled)
    for row in rig.rows(jobs):
        assert (row.state, row.failures, row.releases) == ("failed", 2, 0)
    assert len(rig.executions()) == 4


def test_a_task_that_closes_everything(rig: Rig, eventually: Eventually) -> None:
    """A task that closes every file descriptor of its child or stops its loop, is put away."""
    tasks = rig.tasks("""
        once = RetryPolicy(retries=0, max_losses=1)

        @app.task(retries=once)
        async def close() -> None:
            os.closerange(0, 4096)

        @app.task(retries=once)
        def close_in_thread() -> None:
            os.closerange(0, 4096)
            time.sleep(60)

        @app.task(retries=once)
        async def stop() -> None:
            asyncio.get_running_loop().stop()
            await asyncio.sleep(60)

        @app.task
        def fine(x: int) -> int:
            return x
    """)
    rig.worker()
    for task in (tasks.close, tasks.close_in_thread, tasks.stop):
        bad = task.send()
        eventually(rig.settled, 12)
        row = rig.row(bad)
        assert (row.state, row.losses) == ("quarantined", 1), row
    assert results([tasks.fine.send(i) for i in range(10)]) == list(range(10))


def test_a_fork_that_lives_on(rig: Rig, eventually: Eventually) -> None:
    """A process that a task forked and left behind holds up neither results, losses nor a stop."""
    tasks = rig.tasks("""
        @app.task
        def fork() -> int:
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)
                time.sleep(60)
                os._exit(0)
            return pid

        @app.task
        def die() -> None:
            witness()
            if current.attempt == 1:
                os._exit(1)
    """)
    worker = rig.worker()
    pids = [tasks.fork.send().result(5) for _ in range(3)]
    try:
        dead = tasks.die.send()
        assert dead.result(5) is None
        assert rig.row(dead).losses == 1
        pids.append(tasks.fork.send().result(5))
        assert worker.stop(4) == 0
        assert all(map(alive, pids))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def test_what_a_task_changes_of_its_process(rig: Rig, eventually: Eventually) -> None:
    """A changed directory, a changed mask, much output and closed output harm nobody."""
    tasks = rig.tasks("""
        @app.task
        def move() -> None:
            os.chdir("/")
            os.umask(0o777)

        @app.task
        def shout() -> None:
            for _ in range(20_000):
                print("x" * 99)
                print("y" * 99, file=sys.stderr)

        @app.task
        def close() -> None:
            os.close(1)
            os.close(2)
            os.close(0)

        @app.task
        async def handlers() -> None:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

        @app.task
        async def swallow() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda *_: 1 / 0)
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)

        @app.task
        def send_on(x: int) -> str:
            return fine.send(x).id

        @app.task
        def fine(x: int) -> int:
            return x
    """)
    worker = rig.worker()
    for task in (tasks.move, tasks.shout, tasks.close, tasks.handlers, tasks.swallow):
        assert task.send().result(8) is None
        assert tasks.fine.send(1).result(5) == 1
        assert tasks.app.job(tasks.send_on.send(2).result(5)).result(5) == 2
    assert len(worker.children) == 1
    assert worker.stop() == 0


def test_tasks_left_behind_do_not_outlive_their_call(rig: Rig) -> None:
    """A coroutine may leave tasks and threads behind; the worker still stops at once."""
    tasks = rig.tasks("""
        keep = []

        @app.task
        async def leave() -> None:
            keep.append(asyncio.create_task(asyncio.sleep(60)))
            threading.Thread(target=time.sleep, args=(60,)).start()

        @app.task
        async def shielded() -> None:
            keep.append(asyncio.ensure_future(asyncio.shield(asyncio.sleep(60))))

        @app.task
        def pool() -> None:
            import concurrent.futures
            pool = concurrent.futures.ThreadPoolExecutor(1)
            keep.append(pool.submit(time.sleep, 60))
    """)
    worker = rig.worker()
    assert results([tasks.leave.send(), tasks.shielded.send(), tasks.pool.send()]) == [None] * 3
    assert worker.stop(3) == 0


def test_a_hundred_megabytes_of_error(rig: Rig, eventually: Eventually) -> None:
    """A text of any length is cut where it was made; the supervisor never sees it."""
    tasks = rig.tasks("""
        class Long(Exception):
            def __str__(self):
                return "x" * 100_000_000
            __repr__ = __str__

        @app.task(retries=0)
        def shout() -> None:
            raise Long

        @app.task
        def fine(x: int) -> int:
            return x
    """)
    worker = rig.worker()
    jobs = [tasks.shout.send() for _ in range(3)]
    eventually(rig.settled, 20)
    assert {rig.record(job).state for job in jobs} == {"failed"}
    assert all(len(row.error) < 50_000 for row in rig.rows(jobs))
    assert peak(worker.pid) < 150
    assert tasks.fine.send(1).result(5) == 1


def peak(pid: int) -> int:
    """Return the largest memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def test_one_cause_is_one_fingerprint(rig: Rig, eventually: Eventually) -> None:
    """Failures that differ in their texts alone have one cause; another place is another one."""
    tasks = rig.tasks("""
        def check(x: int) -> None:
            if x % 2:
                raise ValueError(f"odd: {x} at {time.time()}")

        @app.task(retries=0)
        def one(x: int) -> None:
            check(x)
            raise ValueError("even")

        @app.task(retries=0)
        async def other(x: int) -> None:
            check(x)
    """)
    rig.worker()
    odd = [tasks.one.send(x) for x in (1, 3, 5)]
    rest = [tasks.one.send(2), tasks.other.send(1)]
    eventually(rig.settled)
    causes = [getattr(rig.record(job).error, "fingerprint", None) for job in (*odd, *rest)]
    assert len(set(causes[:3])) == 1
    assert len(set(causes)) == 3
    groups = tasks.app.quarantine.of("failed").groups()
    assert sorted(group.number for group in groups) == [1, 1, 3]
