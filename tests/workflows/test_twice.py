"""Each message is handed out twice, both attempts alive, and each settle arrives twice: nothing doubles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ropeway import RetryPolicy, Ropeway, current
from ropeway.connect import Connection
from ropeway.store import Backend
from tests.workflows.test_deaths import layered
from tests.workflows.twice import Attempts, Twice

ITEMS = 30


@pytest.fixture(params=["memory", "sqlite", "postgres", "valkey"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where the jobs are kept."""
    match request.param:
        case "postgres":
            return str(request.getfixturevalue("postgres_url"))
        case "valkey":
            return f"{request.getfixturevalue('valkey').url}?namespace=twice{os.getpid()}"
        case "sqlite":
            return f"sqlite:///{tmp_path}/jobs.db"
    return "memory://"


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    """Return what notes all attempts of workers inside this process."""
    attempts, looped = Attempts(), Connection.looped

    def twice(self: Connection, *, own: bool = False) -> Backend:
        return Twice(looped(self, own=own), attempts)

    monkeypatch.setattr(Connection, "looped", twice)
    return attempts


async def test_every_message_comes_twice(url: str, attempts: Attempts) -> None:
    """Of two attempts one settles, with all that follows from it; the other changes nothing.

    Broken: an edge fires for each attempt, an item counts twice, or a node that failed in one
    attempt and succeeded in the other is followed by both of what would follow.
    """
    app = Ropeway(url, lease=30.0)
    ran: dict[str, list[str]] = {}
    once = RetryPolicy(retries=0)

    def note() -> None:
        ran.setdefault(current.node or "", []).append(f"{current.attempt}")

    @app.task(retries=once)
    async def plus(before: list[int]) -> int:
        note()
        return sum(before) % 1_000_003 + 1

    @app.task(retries=once)
    def double(x: int) -> int:
        note()
        return 2 * x

    @app.task(retries=once)
    async def fickle(bad: int) -> int:
        note()
        if current.attempt == bad:
            raise ValueError(f"attempt {bad} fails")
        return current.attempt

    wf, wanted = layered(app, plus, layers=3, width=5)
    wf.add(plus.call(wf.map(double, list(range(ITEMS)))))
    for bad in (1, 2):
        risky = wf.add(fickle.call(bad), name=f"fails-{bad}")
        wf.add(plus.call([]), name=f"good-{bad}", after=risky)
        wf.on_failure(plus.call([]), of=risky, name=f"bad-{bad}")
    run = await wf.asend()
    async with app.worker(), app.worker():
        while await run.astatus() == "running":
            await app.store.wait([f"runs/{run.id}"], 0.2)
    nodes: dict[str, Any] = {each.name: each for each in (await run.agraph()).nodes}
    states = {name: each.state for name, each in nodes.items()}
    failed = 0
    for bad in (1, 2):
        told = ", ".join(states[f"{name}-{bad}"] for name in ("fails", "good", "bad"))
        assert told in {"succeeded, succeeded, skipped", "failed, cancelled, succeeded"}
        well = told.startswith("succeeded")
        assert [f"{name}-{bad}" in ran for name in ("good", "bad")] == [well, not well]
        failed += not well
    assert await run.astatus() == ("failed" if failed else "succeeded")
    done = [each for each in nodes.values() if each.state == "succeeded" and "plus" in each.task]
    results = [await app.job(each.job_id).aresult(5) for each in done]
    assert wanted in results
    assert 2 * sum(range(ITEMS)) + 1 in results
    # Two attempts of each were alive when the first was settled, which never counts. An expansion
    # that was taken over by its own worker is given back, and comes once more.
    calls = [each.job_id for each in nodes.values() if each.state != "waiting"]
    assert {attempts.handed[each] for each in calls} == {2}
    assert min(attempts.handed.values()) == 2
    assert attempts.refused >= len(attempts.handed)
    assert attempts.overtaken == 0
    assert set(attempts.settled.values()) == {1}
    assert set(attempts.fired.values()) == {1}
