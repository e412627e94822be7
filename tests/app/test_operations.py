"""Changes of many jobs: stopped, cut off, killed, taken over; and no job is changed twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway import Ropeway
from ropeway.bulk import Done, change
from ropeway.claims import Claim
from ropeway.config import load
from ropeway.errors import OperationNotFound, Refused
from ropeway.message import Failure
from ropeway.operate import operations as module
from ropeway.operate.audit import entries
from ropeway.operate.operations import (
    Operation,
    begin,
    carry,
    operation,
    operations,
    stop,
    take_over,
)
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend, Filter
from ropeway.transition import Finish, Transition
from tests.servers.valkey import Valkey

SETTINGS = load({"url": "memory://"})
JOBS = 40

Hook = Callable[[int], Awaitable[object]]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change five jobs at a time."""
    monkeypatch.setattr(module, "STEP", 5)


def an_app(url: str, jobs: int = JOBS) -> Ropeway:
    """Return an app with jobs that have failed, and some that wait."""
    app = Ropeway(url)

    @app.task(name="t")
    def noop() -> None: ...

    app.send_many(noop.call() for _ in range(jobs))
    fail(app)
    app.send_many(noop.using(queue="other").call() for _ in range(3))
    return app


def fail(app: Ropeway) -> int:
    """Have every job that is due fail, as a worker would; returns how many."""
    store, failed = app.connection.blocking(), 0
    error = Failure(type="E", message="m", traceback="", fingerprint="0123456789ab")
    while found := step(store.receive([Claim(queue="default", n=50)], "w", 600.0)):
        how = Finish(State.FAILED, error=error)
        step(store.commit([Transition(fence=each.fence, settle=how) for each in found]))
        failed += len(found)
    return failed


async def begun(store: Backend, search: str = "state:failed", **more: Any) -> Operation:
    """Begin to retry what a search finds."""
    given: dict[str, Any] = {"by": "kim", "via": "web", "why": "fixed", "expected": JOBS} | more
    return await begin(
        store, given.pop("verb", "retry"), search, most=given.pop("most", 10**9), **given
    )


async def states(store: Backend) -> dict[State, int]:
    """Count the jobs in the queue of interest, by state."""
    found = (await store.search(Filter(queue="default"), None, 500)).jobs
    return {state: [job.state for job in found].count(state) for state in {j.state for j in found}}


def after(batches: int, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something when so many batches were changed, before that is on record."""
    calls = 0

    async def changed(*args: Any, **kwargs: Any) -> Done:
        nonlocal calls
        calls += 1
        done = await change(*args, **kwargs)
        if calls == batches:
            await hook(calls)
        return done

    monkeypatch.setattr(module, "change", changed)


async def test_all_of_a_search_is_changed(tmp_path: Path) -> None:
    """And nothing else; it is on record with how many, and in the audit log."""
    store = an_app(f"sqlite:///{tmp_path}/j.db").connection.blocking()
    mine = await begun(store)
    done = await carry(store, SETTINGS, mine, lambda: False)
    assert (done.status, done.found, done.done, done.skipped) == ("done", JOBS, JOBS, {})
    assert await operations(store) == [done]
    assert await states(store) == {State.QUEUED: JOBS}
    (entry,) = (await entries(store)).entries
    assert (entry.action, entry.by, entry.why, entry.outcome) == (
        "jobs.retry",
        "kim",
        "fixed",
        "done",
    )
    assert entry.told == "40 of 40"
    with pytest.raises(Refused, match="is done"):
        await stop(store, mine.id, by="ann", via="cli")
    with pytest.raises(OperationNotFound):
        await operation(store, "none")


@pytest.mark.parametrize("where", ["memory", "sqlite", "postgres_url", "valkey"])
async def test_it_is_stopped_and_resumed(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """After the batch that it is at; whoever resumes it gets the rest, and each job once."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/j.db"}
    there = urls.get(where) or request.getfixturevalue(where)
    app = an_app(f"{there.url}?namespace=operations" if isinstance(there, Valkey) else there)
    store = app.connection.blocking()
    mine = await begun(store)
    after(3, lambda _: stop(store, mine.id, by="ann", via="cli"), monkeypatch)
    stopped = await carry(store, SETTINGS, mine, lambda: False)
    assert (stopped.status, stopped.stopped_by, stopped.done) == ("stopped", "ann", 15)
    assert await states(store) == {State.QUEUED: 15, State.FAILED: JOBS - 15}
    log = {(each.action, each.by): each.told for each in (await entries(store)).entries}
    assert log["jobs.retry", "kim"] == "15 of 15; stopped by ann"
    assert log["operations.stop", "ann"] == ""
    assert fail(app) == 15  # meanwhile they have failed again
    mine = await take_over(store, mine.id, by="bob", via="web")
    done = await carry(store, SETTINGS, mine, lambda: False)
    assert (done.status, done.done) == ("done", JOBS)
    assert await states(store) == {State.QUEUED: JOBS - 15, State.FAILED: 15}


async def test_a_dashboard_that_ends_leaves_it_to_be_resumed() -> None:
    """It says so, and how far it came; a cap is kept over all."""
    store = an_app("memory://").connection.blocking()
    looks = iter([False, False, True])
    mine = await begun(store, most=22)
    left = await carry(store, SETTINGS, mine, lambda: next(looks))
    assert (left.status, left.done) == ("interrupted", 10)
    mine = await take_over(store, left.id, by="bob", via="web")
    done = await carry(store, SETTINGS, mine, lambda: False)
    assert (done.status, done.done) == ("done", 22)
    assert (await states(store))[State.QUEUED] == 22


CHILD = """
import sys, time
from ropeway import Ropeway
from ropeway.bulk import change
from ropeway.config import load
from ropeway.operate import operations as module
from ropeway.stepping import step

module.STEP, calls = 5, 0

async def stuck(*args, **kwargs):
    global calls
    done, calls = await change(*args, **kwargs), calls + 1
    if calls == 3:
        print("changed", flush=True)
        time.sleep(600)
    return done

module.change = stuck
store = Ropeway(sys.argv[1]).connection.blocking()
mine = step(module.begin(store, "retry", "state:failed", by="kim", via="web", why="", expected=40, most=99))
step(module.carry(store, load({"url": sys.argv[1]}), mine, lambda: False))
"""


def killed_in_the_middle(url: str) -> None:
    """Have a process begin, and kill it when it has changed a third batch."""
    with subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"changed\n"
        os.kill(child.pid, signal.SIGKILL)


async def test_its_process_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a batch and the record of it, which is the worst: no job is retried a second time."""
    url = f"sqlite:///{tmp_path}/j.db"
    app = an_app(url)
    store = app.connection.blocking()
    killed_in_the_middle(url)
    (left,) = await operations(store)
    assert (left.view(left.heard + 1), left.done) == ("running", 10)
    with pytest.raises(Refused, match="is running"):
        await take_over(store, left.id, by="bob", via="web")
    assert await states(store) == {State.QUEUED: 15, State.FAILED: JOBS - 15}
    assert fail(app) == 15
    monkeypatch.setattr(module, "SILENT", -1.0)
    assert left.view(left.heard) == "silent"
    done = await carry(
        store, SETTINGS, await take_over(store, left.id, by="bob", via="web"), lambda: False
    )
    assert done.status == "done"
    assert await states(store) == {State.QUEUED: JOBS - 15, State.FAILED: 15}
    begun_and_resumed = [each.outcome for each in (await entries(store)).entries]
    assert sorted(begun_and_resumed) == ["begun", "done", "done", "refused"]


async def test_one_that_was_taken_over_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was only slow sees that another has it, writes nothing more, and changes no more."""
    store = an_app("memory://").connection.blocking()
    mine = await begun(store)

    async def took(_: int) -> None:
        monkeypatch.setattr(module, "SILENT", -1.0)
        await take_over(store, mine.id, by="bob", via="web")

    after(2, took, monkeypatch)
    assert (await carry(store, SETTINGS, mine, lambda: False)).status == "interrupted"
    now = await operation(store, mine.id)
    assert (now.status, now.done) == ("running", 5)
    assert now.holder != mine.holder
    done = await carry(store, SETTINGS, now, lambda: False)
    assert done.done + 5 == JOBS  # the batch that was not told is done, and not counted
    assert await states(store) == {State.QUEUED: JOBS}


async def test_one_that_is_silent_is_stopped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to see the wish."""
    store = an_app("memory://").connection.blocking()
    mine = await begun(store)
    monkeypatch.setattr(module, "SILENT", -1.0)
    assert (await stop(store, mine.id, by="ann", via="web")).status == "stopped"
