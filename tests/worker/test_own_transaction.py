"""`current.transaction()`: what a task writes and the end of its job are one, under kill -9 too."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway import Ropeway, current
from ropeway.backends.postgres import own
from ropeway.connect import own_transaction
from ropeway.errors import TaskFailed
from ropeway.worker import owned
from tests.conftest import Eventually
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.worker.rig import Rig, results

TASKS = """
import ropeway.worker.owned as owned

DIE = os.environ.get("DIE")


def once(point):
    if DIE == point and current.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    # Kills its process before and after the commit.
    def __init__(self, own):
        self._own = own

    async def begin(self):
        return await self._own.begin()

    async def commit(self, transition):
        once("before the commit")
        answer = await self._own.commit(transition)
        once("after the commit")
        return answer

    async def rollback(self):
        await self._own.rollback()


_open = owned.own_transaction
owned.own_transaction = lambda url, *, blocking: Deadly(_open(url, blocking=blocking))


@app.task(retries=2, retry_on=(OSError,))
async def pay(n: int) -> int:
    witness("pay")
    async with current.transaction() as connection:
        once("before the write")
        await connection.execute("insert into public.paid values ($1)", n)
        once("after the write")
    once("after the block")
    return n + 1


@app.task(retries=2, retry_on=(OSError,))
def pay_plainly(n: int) -> int:
    witness("pay")
    with current.transaction() as connection:
        once("before the write")
        connection.execute("insert into public.paid values (%s)", (n,))
        once("after the write")
    once("after the block")
    return n + 1


@app.task(retries=1)
async def late(n: int) -> int:
    async with current.transaction() as connection:
        await connection.execute("insert into public.paid values ($1)", n)
        witness("late")
        await ahold(f"late{current.attempt}")
    return current.attempt


@app.task(retries=1)
async def fails(n: int) -> int:
    async with current.transaction() as connection:
        await connection.execute("insert into public.paid values ($1)", n)
        if current.attempt == 1:
            raise OSError("mine")
    if current.attempt == 2 and n == 2:
        raise OSError("after the block")
    return n


@app.task
async def caught(n: int) -> str:
    try:
        async with current.transaction() as connection:
            await connection.execute("insert into public.paid values ($1)", n)
            raise OSError("mine")
    except OSError:
        return "went on without it"


@app.task
async def unfit(n: int) -> object:
    async with current.transaction() as connection:
        await connection.execute("insert into public.paid values ($1)", n)
    return object()


@app.task
async def large(n: int) -> str:
    async with current.transaction() as connection:
        await connection.execute("insert into public.paid values ($1)", n)
        return "x" * n
"""


@pytest.fixture(autouse=True)
def undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tasks above change of ropeway holds in workers: this process forgets it again."""
    monkeypatch.setattr(owned, "own_transaction", own_transaction)


@pytest.fixture
def paid(rig: Rig, postgres: Postgres, postgres_url: str) -> Paid:
    """Return the user's table, in the database of the jobs."""
    rig.set(url=postgres_url, lease=1, grace=10)
    return Paid(postgres, postgres_url.rpartition("/")[2])


class Paid:
    """The table that tasks write to."""

    def __init__(self, postgres: Postgres, database: str) -> None:
        self._postgres, self._database = postgres, database
        postgres.sql("create table public.paid (n int)", database)

    def rows(self) -> list[int]:
        """What is in it."""
        return [*map(int, self.ask("select n from public.paid order by n").split())]

    def ask(self, statement: str) -> str:
        """Run a statement in the database."""
        return self._postgres.sql(statement, self._database)


@pytest.mark.parametrize("task", ["pay", "pay_plainly"])
@pytest.mark.parametrize(
    "point",
    ["before the write", "after the write", "after the block", "before the commit"],
)
def test_killed_before_the_commit_it_runs_again_and_writes_once(
    rig: Rig, paid: Paid, monkeypatch: pytest.MonkeyPatch, task: str, point: str
) -> None:
    """What the killed attempt had written is not there; that of the next one is, with its result."""
    monkeypatch.setenv("DIE", point)
    tasks = rig.tasks(TASKS)
    job = getattr(tasks, task).send(1)
    rig.worker()
    assert job.result(timeout=30) == 2
    assert len(rig.executions()) == 2
    assert paid.rows() == [1]


@pytest.mark.parametrize("task", ["pay", "pay_plainly"])
def test_killed_after_the_commit_it_does_not_run_again(
    rig: Rig, paid: Paid, monkeypatch: pytest.MonkeyPatch, eventually: Eventually, task: str
) -> None:
    """Nobody had heard of its end, and it is settled all the same, with its result."""
    monkeypatch.setenv("DIE", "after the commit")
    tasks = rig.tasks(TASKS)
    job = getattr(tasks, task).send(1)
    worker = rig.worker()
    assert job.result(timeout=30) == 2
    eventually(lambda: "was not settled" in worker.said())
    monkeypatch.delenv("DIE")
    following = getattr(tasks, task).using(priority=0).send(5)
    assert following.result(timeout=30) == 6
    assert paid.rows() == [1, 5]
    assert [each.job for each in rig.executions()].count(job.id) == 1


@pytest.mark.parametrize("task", ["pay", "pay_plainly"])
@pytest.mark.parametrize(
    "options", [{}, {"key": "k"}, {"limits": ["api"]}, {"unique": "5m"}, {"store": False}]
)
def test_whatever_the_call_is_sent_with(
    rig: Rig, paid: Paid, task: str, options: dict[str, object]
) -> None:
    """Keys, limits and purposes are freed as by any other settle."""
    tasks = rig.tasks(TASKS)
    tasks.app.limits.declare({"api": 1})
    sender = getattr(tasks, task).using(**options)
    jobs = [sender.send(n) for n in range(1, 4)]
    worker = rig.worker()
    if "store" not in options:
        assert results(jobs, 30) == [2, 3, 4]
    tasks.pay.using(priority=0).send(9).result(timeout=30)
    assert worker.stop() == 0
    assert paid.rows() == [1, 2, 3, 9]
    assert paid.ask("select count(*) from ropeway.job") == "0"
    if "unique" in options:
        assert sender.send(1) == jobs[0]


async def test_a_commit_without_an_answer_is_not_done_again(
    paid: Paid, postgres_url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut while it is committed: the job is settled, whatever the task hears."""
    async with Proxy(postgres.port) as proxy:
        commit = own._commit

        async def cut(committing: Any, address: Any) -> None:
            proxy.cut_answers()
            try:
                await commit(committing, address)
            finally:
                proxy.pass_on()

        monkeypatch.setattr(own, "_commit", cut)
        app = Ropeway(proxy.url(postgres_url))
        runs = 0

        async def pay(n: int) -> int:
            nonlocal runs
            runs += 1
            async with current.transaction() as connection:
                await connection.execute("insert into public.paid values ($1)", n)
            return n + 1

        job = await app.task(name="pay")(pay).asend(1)
        async with app.worker():
            assert await job.aresult(timeout=30) == 2
        assert (paid.rows(), runs) == ([1], 1)
        await app.aclose()


def test_who_lost_the_lease_commits_nothing(rig: Rig, paid: Paid, eventually: Eventually) -> None:
    """A worker that was frozen beyond its lease wakes, and what it wrote is undone."""
    tasks = rig.tasks(TASKS)
    job = tasks.late.send(1)
    frozen = rig.worker()
    eventually(lambda: len(rig.executions()) == 1)
    frozen.freeze()
    rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    (rig.folder / "late2").touch()
    assert job.result(timeout=30) == 2
    (rig.folder / "late1").touch()
    frozen.thaw()
    assert frozen.stop() == 0
    assert paid.rows() == [1]
    assert job.result(timeout=5) == 2


def test_what_raises_undoes_it(rig: Rig, paid: Paid) -> None:
    """In the block and after it; and who catches it goes on without a transaction."""
    tasks = rig.tasks(TASKS)
    once, twice, caught = tasks.fails.send(1), tasks.fails.send(2), tasks.caught.send(3)
    unfit = tasks.unfit.send(4)
    rig.worker()
    assert once.result(timeout=30) == 1
    with pytest.raises(TaskFailed, match="after the block"):
        twice.result(timeout=30)
    assert caught.result(timeout=30) == "went on without it"
    with pytest.raises(TaskFailed, match="the result of"):
        unfit.result(timeout=30)
    assert paid.rows() == [1]


def test_a_large_result_is_kept_apart(rig: Rig, paid: Paid) -> None:
    """As that of any other call."""
    tasks = rig.tasks(TASKS)
    rig.set(max_message=2000, max_blob=100_000)
    job = tasks.large.send(50_000)
    rig.worker()
    assert job.result(timeout=30) == "x" * 50_000
    assert paid.rows() == [50_000]


def test_on_another_backend_it_is_refused(rig: Rig) -> None:
    """With the reason, and what would have it."""
    tasks = rig.tasks(TASKS)
    job = tasks.pay.using(retries=0).send(1)
    rig.worker()
    with pytest.raises(TaskFailed, match="postgresql://"):
        job.result(timeout=30)
