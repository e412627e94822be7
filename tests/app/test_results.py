"""Results: the value that was returned, in the type that was promised, or an error that says why."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from ropeway import Ropeway
from ropeway.errors import (
    BlockingCall,
    JobNotFound,
    ResultMismatch,
    ResultTimeout,
    TaskFailed,
)
from ropeway.ids import new_id
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

TASKS = """
@app.task
def add(x: int, y: int = 0) -> int:
    return x + y

@app.task(retries=0)
def fail(text: str) -> None:
    raise LookupError(text)

@app.task
def wait() -> str:
    witness()
    hold()
    return "done"
"""


def test_states_on_the_way(rig: Rig, eventually: Eventually) -> None:
    """A job is queued, then running, then succeeded; its result can be asked for again."""
    tasks = rig.tasks(TASKS)
    job = tasks.wait.send()
    assert job.status() == "queued"
    rig.worker()
    eventually(lambda: job.status() == "running")
    rig.open_gate()
    assert job.result(5) == "done"
    assert job.status() == "succeeded"
    assert [job.result(), tasks.app.job(job.id).result(0)] == ["done", "done"]


@pytest.mark.parametrize("timeout", [0, 0.2])
def test_a_result_that_does_not_come(rig: Rig, timeout: float) -> None:
    """Without a worker the wait ends at its time, not before and not much later."""
    tasks = rig.tasks(TASKS)
    job = tasks.add.send(1)
    start = time.monotonic()
    with pytest.raises(ResultTimeout, match="queued") as caught:
        job.result(timeout)
    assert timeout <= time.monotonic() - start < timeout + 0.3
    assert isinstance(caught.value, TimeoutError)
    assert job.status() == "queued"


def test_a_job_that_failed(rig: Rig) -> None:
    """The error has the type, the text and the traceback of what the task raised."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    job = tasks.fail.send("no such key: ü")
    for _ in range(2):
        with pytest.raises(TaskFailed) as caught:
            job.result(5)
        assert caught.value.type == "LookupError"
        assert "no such key: ü" in str(caught.value)
        assert job.id in str(caught.value)
        assert "raise LookupError(text)" in caught.value.traceback
        assert "executors" not in caught.value.traceback
    assert job.status() == "failed"


def test_a_job_that_never_was(rig: Rig) -> None:
    """An id that nothing is known of is an error, not a wait."""
    rig.needs_record()
    tasks = rig.tasks(TASKS)
    job = tasks.app.job(new_id())
    for ask in (job.status, lambda: job.result(5), job.result):
        with pytest.raises(JobNotFound, match=job.id):
            ask()
    odd = tasks.app.job("'; drop table job; --")
    with pytest.raises(JobNotFound):
        odd.status()


async def test_a_blocking_wait_on_a_loop(rig: Rig) -> None:
    """A wait that would stop the event loop is refused by an error that names the other verb."""
    tasks = rig.tasks(TASKS)
    job = tasks.add.send(1)
    with pytest.raises(BlockingCall, match=r"await job\.aresult"):
        job.result(1)
    assert await job.astatus() == job.status() == "queued"
    with pytest.raises(ResultTimeout):
        await job.aresult(0.05)
    await tasks.app.aclose()


async def test_many_wait_on_one_loop(rig: Rig) -> None:
    """A hundred waits for results on one loop, for a hundred jobs and for one, all end."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    one = await tasks.wait.asend()
    jobs = await asyncio.gather(*(tasks.add.asend(i) for i in range(100)))
    waits = [asyncio.create_task(one.aresult(10)) for _ in range(100)]
    assert await asyncio.gather(*(job.aresult(10) for job in jobs)) == list(range(100))
    rig.open_gate()
    assert await asyncio.gather(*waits) == ["done"] * 100
    await tasks.app.aclose()


def test_many_threads_wait(rig: Rig, eventually: Eventually) -> None:
    """Twenty threads that wait for one job, and for their own, all hear of it."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    one = tasks.wait.send()
    heard: list[Any] = []

    def wait(i: int) -> None:
        heard.append((tasks.add.send(i).result(10), one.result(10)))

    threads = [threading.Thread(target=wait, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    eventually(lambda: rig.states()["succeeded"] == 20)
    rig.open_gate()
    for thread in threads:
        thread.join(10)
    assert sorted(heard) == [(i, "done") for i in range(20)]


TYPES = """
import dataclasses, decimal, enum, typing, uuid
from datetime import UTC, date, datetime, timedelta
import msgspec

@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    tags: set[str] = dataclasses.field(default_factory=set)

class Colour(enum.Enum):
    RED = "red"

class Box(msgspec.Struct):
    points: dict[str, Point]
    inner: "Box | None" = None

class Named(typing.NamedTuple):
    a: int
    b: str

class Table(typing.TypedDict):
    rows: list[tuple[int, ...]]

T = typing.TypeVar("T")
P = Point(1, 2.5, {"a", "b"})
ID = uuid.UUID("01890000-0000-7000-8000-000000000001")
NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, UTC)

@app.task
def point() -> Point: return P
@app.task
async def apoint() -> Point: return P
@app.task
def a_set() -> set[int]: return {1, 2}
@app.task
def frozen() -> frozenset[str]: return frozenset("ab")
@app.task
def pair() -> tuple[int, str]: return 1, "x"
@app.task
def many() -> tuple[int, ...]: return 1, 2, 3
@app.task
def when() -> datetime: return NOW
@app.task
def day() -> date: return NOW.date()
@app.task
def span() -> timedelta: return timedelta(hours=1, microseconds=5)
@app.task
def nothing() -> None: return None
@app.task
def maybe(x: int) -> int | None: return x or None
@app.task
def ident() -> uuid.UUID: return ID
@app.task
def money() -> decimal.Decimal: return decimal.Decimal("0.10")
@app.task
def colour() -> Colour: return Colour.RED
@app.task
def named() -> Named: return Named(1, "x")
@app.task
def nested() -> dict[str, list[tuple[int, Point | None]]]: return {"k": [(1, P), (2, None)]}
@app.task
def box() -> Box: return Box({"p": P}, Box({}))
@app.task
def table() -> Table: return {"rows": [(1, 2)]}
@app.task
def raw() -> bytes: return b"\\x00\\xff"
@app.task
def large() -> int: return 2**70
@app.task
def floats() -> list[float]: return [1e300, -0.0, 1.0]
@app.task
def text() -> str: return "\\0 ü \\U0001f600 \\u2028"
@app.task
def numbered() -> dict[int, str]: return {1: "a", -2: "b"}
@app.task
def literal() -> typing.Literal["a", "b"]: return "a"
@app.task
def annotated() -> typing.Annotated[int, msgspec.Meta(ge=0)]: return 3
@app.task
def untyped(): return {"a": [1, None, 2.5]}
@app.task
def variable(x: T) -> T: return x
@app.task
def optional() -> typing.Optional["Box"]: return None

WANTED = {
    "point": P, "apoint": P, "a_set": {1, 2}, "frozen": frozenset("ab"), "pair": (1, "x"),
    "many": (1, 2, 3), "when": NOW, "day": NOW.date(), "span": timedelta(hours=1, microseconds=5),
    "nothing": None, "ident": ID, "money": decimal.Decimal("0.10"), "colour": Colour.RED,
    "named": Named(1, "x"), "nested": {"k": [(1, P), (2, None)]}, "box": Box({"p": P}, Box({})),
    "table": {"rows": [(1, 2)]}, "raw": b"\\x00\\xff", "large": 2**70,
    "floats": [1e300, -0.0, 1.0], "text": "\\0 ü \\U0001f600 \\u2028",
    "numbered": {1: "a", -2: "b"}, "literal": "a", "annotated": 3,
    "untyped": {"a": [1, None, 2.5]}, "optional": None,
}
"""


def test_typed_results(rig: Rig) -> None:
    """What a task returns comes back equal and of the annotated type, whatever travels between."""
    tasks = rig.tasks(TYPES)
    rig.worker()
    jobs = {name: getattr(tasks, name).send() for name in tasks.WANTED}
    for name, wanted in tasks.WANTED.items():
        found = jobs[name].result(8)
        assert found == wanted, name
        assert type(found) is type(wanted), name
    assert results([tasks.maybe.send(0), tasks.maybe.send(3)]) == [None, 3]
    assert tasks.variable.send([1, "x"]).result(5) == [1, "x"]


async def test_typed_results_on_a_loop(rig: Rig) -> None:
    """The async verbs give the same types."""
    tasks = rig.tasks(TYPES)
    rig.worker()
    jobs = {name: await getattr(tasks, name).asend() for name in tasks.WANTED}
    for name, wanted in tasks.WANTED.items():
        found = await jobs[name].aresult(8)
        assert (type(found), found) == (type(wanted), wanted), name
    await tasks.app.aclose()


def test_a_result_that_breaks_its_promise(rig: Rig) -> None:
    """A value that is not what the annotation says is an error of its own, not a wrong value."""
    tasks = rig.tasks("""
        @app.task
        def liar() -> int:
            return "no number"

        class Own: ...

        @app.task
        def own() -> Own:
            return 5
    """)
    rig.worker()
    with pytest.raises(ResultMismatch, match="not a"):
        tasks.liar.send().result(5)
    with pytest.raises((ResultMismatch, TaskFailed)):
        tasks.own.send().result(5)
    # By its id alone it is the same; an app that does not know the task has no promise of it.
    job = tasks.liar.send()
    with pytest.raises(ResultMismatch, match="not a"):
        tasks.app.job(job.id).result(5)
    assert Ropeway().job(job.id).result(5) == "no number"


def test_arguments_of_every_kind(rig: Rig) -> None:
    """Arguments arrive as they would by a call: defaults, stars, names and typed values."""
    tasks = rig.tasks("""
        import dataclasses, datetime

        @dataclasses.dataclass
        class Point:
            x: int

        DAY = datetime.date(2030, 1, 2)

        @app.task
        def defaults(a, b=2, c=None) -> str:
            return repr((a, b, c))

        @app.task
        def stars(a: int, /, b: int = 2, *rest: str, c: float = 1.5, **more: int) -> str:
            return repr((a, b, rest, c, sorted(more.items())))

        @app.task
        async def only(*, x: int, y: int = 3) -> str:
            return repr((x, y))

        @app.task
        async def positional(x: int, y: int = 7, /) -> str:
            return repr((x, y))

        @app.task
        def none() -> str:
            return repr(())

        @app.task
        def same_name(a: int, /, **more: int) -> str:
            return repr((a, more))

        @app.task
        def everything(*args, **kwargs) -> str:
            return repr((args, kwargs))

        @app.task
        def typed(p: Point, days: set[datetime.date], pair: tuple[int, str] = (0, "")) -> str:
            return repr((p.x, sorted(days), pair, type(days).__name__))

        @app.task
        def odd_names(args: int, kwargs: int, cls_: int, type: int, json: int) -> str:
            return repr((args, kwargs, cls_, type, json))
    """)
    rig.worker()
    day, point = tasks.DAY, tasks.Point(4)
    calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (tasks.defaults, (1,), {}),
        (tasks.defaults, (1, 5), {"c": [None]}),
        (tasks.defaults, (), {"a": "x", "c": {"y": 1}}),
        (tasks.stars, (1,), {}),
        (tasks.stars, (1, 3, "x", "y"), {"c": 2.5, "z": 1, "a": 9}),
        (tasks.only, (), {"x": 1}),
        (tasks.only, (), {"y": 1, "x": 2}),
        (tasks.positional, (1,), {}),
        (tasks.positional, (1, 2), {}),
        (tasks.none, (), {}),
        (tasks.same_name, (1,), {"a": 2, "more": 3}),
        (tasks.everything, (), {}),
        (tasks.everything, (1, "x"), {"args": 1, "kwargs": 2, "self": 3}),
        (tasks.typed, (point, {day}), {}),
        (tasks.typed, (point, {day}), {"pair": (1, "x")}),
        (tasks.odd_names, (1, 2, 3, 4, 5), {}),
    ]
    for task, args, kwargs in calls:
        wanted = task.__wrapped__(*args, **kwargs)
        if asyncio.iscoroutine(wanted):
            wanted = asyncio.run(wanted)
        assert task.send(*args, **kwargs).result(5) == wanted, (task, args, kwargs)
