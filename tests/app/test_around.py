"""What is around sends and runs, what a process begins and ends with, and what tasks are given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from ropeway import Depends, Ropeway, TaskFailed, current
from ropeway.errors import BadArguments, BadTask
from ropeway.middleware import Sending
from ropeway.retry import RetryPolicy

ONCE = RetryPolicy(retries=0)


@pytest.fixture
def app() -> Ropeway:
    """Return an app without a database."""
    return Ropeway("memory://")


def test_the_first_is_the_outermost(app: Ropeway) -> None:
    """Around a run they open in the order of registration, and close in the other."""
    seen: list[str] = []

    @app.around_run
    def outer() -> Iterator[None]:
        seen.append("outer")
        yield
        seen.append("/outer")

    @app.around_run
    def inner() -> Iterator[None]:
        seen.append(f"inner {current.task}")
        yield
        seen.append("/inner")

    @app.task(name="plain")
    def plain() -> int:
        seen.append("run")
        return 7

    with app.testing():
        assert plain.send().result(timeout=1) == 7
    assert seen == ["outer", "inner plain", "run", "/inner", "/outer"]


def test_an_error_is_seen_and_not_hidden(app: Ropeway) -> None:
    """Whoever swallows what the task raised has not made it succeed."""
    seen: list[str] = []

    @app.around_run
    def swallow() -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            seen.append(str(error))

    @app.task(retries=ONCE)
    def plain() -> None:
        raise ValueError("plain")

    @app.task(retries=ONCE)
    async def coroutine() -> None:
        raise ValueError("coroutine")

    with app.testing():
        for task in (plain, coroutine):
            with pytest.raises(TaskFailed) as raised:
                task.send().result(timeout=1)
            assert raised.value.type == "ValueError"
    assert seen == ["plain", "coroutine"]


def test_what_goes_wrong_around_a_run_is_its_failure(app: Ropeway) -> None:
    """The worker lives, and the next run is tried as any other."""

    @app.around_run
    def refuse() -> Iterator[None]:
        if current.attempt == 1:
            raise RuntimeError("not yet")
        yield

    @app.task(retries=RetryPolicy(retries=1, jitter=False))
    def work() -> int:
        return 1

    with app.testing():
        job = work.send()
        assert job.result(timeout=60) == 1
        assert job.snapshot().failures == 1


def test_an_async_one_is_around_coroutine_functions(app: Ropeway) -> None:
    """A thread has no loop for it."""
    seen: list[str] = []

    @app.around_run
    async def count() -> AsyncIterator[None]:
        await asyncio.sleep(0)
        yield
        seen.append(current.task)

    @app.task(name="plain")
    def plain() -> None: ...

    @app.task(name="coroutine")
    async def coroutine() -> None: ...

    with app.testing():
        plain.send().result(timeout=1)
        coroutine.send().result(timeout=1)
    assert seen == ["coroutine"]


def test_around_a_send_headers_are_added(app: Ropeway) -> None:
    """All calls that are sent together are seen together; headers that were given stay."""
    batches: list[list[str]] = []

    @app.around_send
    def stamp(calls: Sequence[Sending]) -> Iterator[None]:
        for call in calls:
            call.headers["tenant"] = "t1"
        yield
        batches.append([call.task for call in calls])

    @app.task(name="work")
    def work() -> dict[str, str]:
        return dict(current.headers)

    with app.testing():
        job = work.using(headers={"a": "b"}).send()
        assert job.result(timeout=1) == {"a": "b", "tenant": "t1"}
        app.send_many([work.call(), work.call()])
    assert batches == [["work"], ["work", "work"]]


def test_around_a_send_it_can_be_refused(app: Ropeway) -> None:
    """Then nothing is sent, and the error is the sender's."""

    @app.around_send
    def refuse(calls: Sequence[Sending]) -> Iterator[None]:
        if calls[0].task == "work":
            raise PermissionError("work")
        yield

    @app.task(name="work")
    def work() -> None: ...

    with app.testing() as sandbox:
        with pytest.raises(PermissionError, match="work"):
            work.send()
        assert sandbox.run() == []


def test_a_dependency_lasts_for_a_run(app: Ropeway) -> None:
    """It is made once for a run, whoever asks, and hears how that ends."""
    seen: list[str] = []

    def connection() -> Iterator[list[str]]:
        log: list[str] = []
        try:
            yield log
        except ValueError:
            seen.append("rolled back")
        else:
            seen.append(f"committed {log}")

    def user(log: list[str] = Depends(connection)) -> str:
        log.append("user")
        return "ada"

    @app.task(retries=ONCE)
    def work(fail: bool, name: str = Depends(user), log: list[str] = Depends(connection)) -> str:
        log.append("work")
        if fail:
            raise ValueError
        return name

    with app.testing():
        assert work.send(False).result(timeout=1) == "ada"
        with pytest.raises(TaskFailed):
            work.send(True).result(timeout=1)
    assert seen == ["committed ['user', 'work']", "rolled back"]


def test_coroutine_functions_may_have_both_kinds(app: Ropeway) -> None:
    """Async and plain providers, and values for the whole process."""
    made: list[str] = []

    async def pool() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        made.append("pool")
        yield "pool"
        made.append("/pool")

    async def session(of: str = Depends(pool, scope="process")) -> str:
        await asyncio.sleep(0)
        return f"session of {of}"

    def plain() -> int:
        return 3

    @app.task
    async def work(*, s: str = Depends(session), n: int = Depends(plain)) -> str:
        return f"{s} {n}"

    with app.testing():
        jobs = [work.send() for _ in range(3)]
        assert {job.result(timeout=1) for job in jobs} == {"session of pool 3"}
        assert made == ["pool"]
    assert made == ["pool", "/pool"]


def test_threads_share_what_lasts_as_long_as_the_process(app: Ropeway) -> None:
    """It is made once, also when many ask in the same moment."""
    made: list[int] = []

    def pool() -> int:
        made.append(threading.get_ident())
        return 1

    @app.task
    def work(x: int, of: int = Depends(pool, scope="process")) -> int:
        return x + of

    with app.testing(concurrency=20):
        jobs = app.send_many(work.call(i) for i in range(50))
        assert [job.result(timeout=5) for job in jobs] == list(range(1, 51))
    assert len(made) == 1


def test_a_dependency_is_not_sent(app: Ropeway) -> None:
    """Nobody can send it, and it is no part of the signature that versions are told by."""

    def fixed() -> int:
        return 1

    @app.task(name="work")
    def work(x: int, y: int = Depends(fixed)) -> int:
        return x + y

    @app.task(name="same")
    def same(x: int) -> int:
        return x

    assert work.definition.signature.text == "(x: int) -> int"
    assert work.definition.signature.digest == same.definition.signature.digest
    with pytest.raises(BadArguments, match="too many positional"):
        work.call(1, 2)
    with pytest.raises(BadArguments, match="unexpected keyword argument 'y'"):
        work.call(1, y=2)


def test_what_cannot_be_provided_is_refused_at_once(app: Ropeway) -> None:
    """Before anything is sent: where it is registered."""

    async def later() -> int:
        return 1

    def between(of: int = Depends(later)) -> int:
        return of

    with pytest.raises(BadTask, match="needs an event loop"):

        @app.task
        def threaded(x: int = Depends(between)) -> None: ...

    with pytest.raises(BadTask, match="'b' comes after 'a'"):

        @app.task
        def muddled(a: int = Depends(lambda: 1), b: int = 2) -> None: ...

    with pytest.raises(BadTask, match="no generator function"):

        @app.around_run  # type: ignore[type-var]
        def wrong() -> int:
            return 1


def test_a_dependency_can_be_replaced_for_a_test(app: Ropeway) -> None:
    """Within a block, also where another provider depends on it."""

    def clock() -> str:
        return "real"

    def told(by: str = Depends(clock)) -> str:
        return f"told by {by}"

    @app.task
    def work(what: str = Depends(told)) -> str:
        return what

    with app.testing():
        with app.override(clock, lambda: "fake"):
            assert work.send().result(timeout=1) == "told by fake"
        assert work.send().result(timeout=1) == "told by real"


def test_a_process_begins_and_ends(app: Ropeway) -> None:
    """Before its first call and after its last, in reverse."""
    seen: list[str] = []

    @app.lifespan
    def plain() -> Iterator[None]:
        seen.append("plain")
        yield
        seen.append("/plain")

    @app.lifespan
    async def loop() -> AsyncIterator[None]:
        seen.append("loop")
        yield
        seen.append("/loop")

    @app.task
    def work() -> None:
        seen.append("run")

    with app.testing():
        work.send().result(timeout=1)
        work.send().result(timeout=1)
    assert seen == ["plain", "loop", "run", "run", "/loop", "/plain"]
