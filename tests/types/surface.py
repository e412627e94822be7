"""What a type checker sees of the public surface, as a user would write it."""

from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, assert_type

from ropeway import (
    Call,
    Depends,
    Job,
    Ropeway,
    Run,
    State,
    Unique,
    Workflow,
    current,
    group,
)
from ropeway.calls import Chain
from ropeway.middleware import Sending

app = Ropeway("memory://")


@app.task
def add(x: int, y: int = 1) -> int:
    return x + y


@app.task(retries=5, timeout="30s", queue="images", priority=7, dont_retry_on=(ValueError,))
async def resize(path: str, *, width: int = 320) -> str:
    return f"{path}@{width}"


@app.task(name="tidy")
def tidy(*names: str) -> None: ...


assert_type(add(2, 3), int)
assert_type(add.send(2, y=3), Job[int])
assert_type(add.send(2).result(timeout=1), int)
assert_type(add.send(2).status(), State)
assert_type(add.call(2), Call[int])
made = resize("a.png", width=3)
same = assert_type(made, Coroutine[Any, Any, str])
same.close()
assert_type(resize.using(queue="q", delay="5s", priority=9).send("a.png"), Job[str])
assert_type(app.send_many(add.call(i) for i in range(3)), list[Job[int]])
assert_type(app.send_many([add.call(1)], spread="10m"), list[Job[int]])
asked = add.using(key="k", limits=["db"], expires="1h", unique=Unique(conflict="refuse"), retries=2)
assert_type(asked.using(timeout=1, keep="2d", ack="early", store=False).send(1, y=2), Job[int])
assert_type(add.using(tags=["a"], headers={"a": "b"}, unique=True).call(1), Call[int])
assert_type(app.limits.ls()[0].in_flight, int | None)


@app.task(retry_on=(OSError,), limits={"db": 2, "api": "30/m"}, unique="10m", key="all")
def limited(x: int) -> int:
    return x


assert_type(limited.send(1), Job[int])


@app.schedule("*/10 * * * *", timezone="Asia/Shanghai", overlap="queue_one")
@app.task
def nightly(day: str = "today") -> str:
    return day


@app.schedule(every="90s", name="beat", jitter="5s")
@app.task
async def beat() -> int:
    return 1


assert_type(nightly.send("monday"), Job[str])
assert_type(nightly(), str)
assert_type(beat.send(), Job[int])
app.schedules.add("once", add.call(1), at=datetime(2030, 1, 1, tzinfo=UTC), max_runs=1)
assert_type(app.schedules.edit("once", cron="0 2 * * *").runs, int)
assert_type(app.schedules.run_now("once"), Job[Any])
assert_type([each.note for each in app.schedules.next("once")], list[str])
assert_type([each.state for each in app.schedules.history("once")], list[State | None])
assert_type([each.state for each in limited.send(1).watch(timeout=1)], list[State])
shown = limited.send(1).snapshot()
assert_type(shown.progress.fraction if shown.progress else None, float | None)
current.progress(3, of=10, note="half way")
assert_type(current.tags, tuple[str, ...])
assert_type(tidy.send("a", "b"), Job[None])


async def work() -> None:
    async with app.testing() as sandbox:
        assert_type(await sandbox.aadvance("1h"), list[Job[Any]])
    async with app.worker(queues=["images"]) as worker:
        worker.stop(now=True)


async def main() -> None:
    job = await resize.asend("a.png", width=10)
    assert_type(await job.aresult(timeout=1), str)
    assert_type(await app.asend_many([add.call(1)]), list[Job[int]])
    assert_type(await job.acancel(), Literal["cancelled", "asked", "ended"])
    done = await app.quarantine.aretry(task="add", since="2h", rate="10/s", limit=5, dry_run=True)
    assert_type(done.skipped, dict[str, int])
    await app.quarantine.aedit(job.id, arguments={"x": 1}, queue="q")
    text = await resize("a.png")
    assert_type(text, str)


with app.testing(start=datetime(2030, 1, 1, tzinfo=UTC), concurrency=2) as sandbox:
    assert_type(sandbox.run(), list[Job[Any]])
    assert_type(sandbox.run_one(), Job[Any] | None)
    assert_type(sandbox.sent(add)[0].job, Job[int])
    assert_type(sandbox.sent()[0].job, Job[Any])
    assert_type(sandbox.assert_sent(add, 2, y=3).job.result(), int)
    assert_type(sandbox.history(add.send(1))[0].state, State)
    sandbox.inject("killed", into=resize, times=2)

add.send("two")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
add.send()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
add.send(2, z=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
add.using(prio=9)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
add.using(ack="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
asked.send("two")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
resize.send("a.png", wide=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
app.quarantine.retry(tusk="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
app.quarantine.edit("id", queue=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@app.task(version=2)
def paid(amount: int, currency: str) -> int:
    return amount


@paid.upgrade
def _(arguments: dict[str, Any], version: int) -> dict[str, Any]:
    return {**arguments, "currency": "CHF"}


assert_type(paid.send(1, "EUR"), Job[int])


def plain() -> int:
    return 1


def given() -> Iterator[str]:
    yield "text"


async def awaited() -> float:
    return 1.0


async def streamed() -> AsyncIterator[bytes]:
    yield b""


assert_type(Depends(plain), int)
assert_type(Depends(given), str)
assert_type(Depends(awaited), float)
assert_type(Depends(streamed, scope="process"), bytes)


@app.task(needs={"gpu": 1})
async def dependent(x: int, *, text: str = Depends(given), data: bytes = Depends(streamed)) -> str:
    return text


assert_type(dependent.send(1), Job[str])


@app.around_run
def around() -> Iterator[None]:
    yield


@app.around_send
def stamp(calls: Sequence[Sending]) -> Iterator[None]:
    calls[0].headers["a"] = "b"
    yield


@app.lifespan
async def life() -> AsyncIterator[None]:
    yield


@app.lifespan  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
def no_generator() -> int:
    return 1


Depends(plain, scope="child")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]

# --- workflows: what stands for a result has its type ---------------------------------------------


@app.task
def lines(day: str) -> list[str]:
    return [day]


@app.task
async def count(line: str, *, least: int = 1) -> int:
    return len(line)


@app.task
def joined(texts: list[str]) -> str:
    return "".join(texts)


@app.task
def summed(parts: list[int]) -> float:
    return float(sum(parts))


with app.workflow("typed", keep="1d") as wf:
    assert_type(wf, Workflow)
    found = wf.add(lines.call("today"))
    assert_type(found, list[str])
    parts = wf.map(count, found, after="lines")
    assert_type(parts, list[int])
    assert_type(wf.map(count.using(priority=9), found), list[int])
    assert_type(wf.add(summed.call(parts), when=found), float)
    assert_type(wf.signal("approved", bool, timeout="1h"), bool)
    assert_type(wf.either(1, 2), int)
    assert_type(wf.add(lines.call("a") | joined), str)
    assert_type(wf.add(group(count.call("a"), count.call("b"))), list[int])
    assert_type(wf.on_failure(count.call("x"), of=[wf.node(parts)]), int)

assert_type(wf.send(), Run[Any])
assert_type(lines.call("a") | joined | count, Chain[int])
assert_type((group(count.call("a"), count.call("b")) | summed).send(), Run[float])
assert_type((lines.call("a") | joined).send().result(), str)
