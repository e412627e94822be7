"""A worker that is started before its server waits for it; what a person has to change ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import AsyncEventually
from tests.servers.postgres import Postgres
from tests.servers.process import HOST, free_port
from tests.servers.proxy import Proxy
from tests.servers.valkey import Valkey
from tests.worker.rig import Rig

FINE = """
@app.task
def fine(x: int) -> int:
    witness()
    return x
"""


@pytest.mark.parametrize("kind", ["postgres", "redis", "pair"])
async def test_a_server_that_is_away_is_waited_for(
    kind: str,
    rig: Rig,
    request: pytest.FixtureRequest,
    aeventually: AsyncEventually,
) -> None:
    """One line says what is missing; when it is there the worker works, without a restart."""
    port, server = free_port(), _server(kind, request)
    if kind == "postgres":
        database = request.getfixturevalue("postgres_url").rpartition("/")[2]
        rig.set(url=f"postgresql://ropeway@{HOST}:{port}/{database}")
    else:
        rig.set(url=f"redis://{HOST}:{port}/0?namespace=waiting-{kind}")
    if kind == "pair":
        rig.set(broker=f"redis://{HOST}:{port}/0?namespace=waiting", url=_file(rig.folder))
    tasks = rig.tasks(FINE)
    worker = rig.worker(ready=False)
    await aeventually(lambda: "no jobs are fetched: " in worker.said())
    async with Proxy(server.port, own=port):
        await aeventually(lambda: "jobs are fetched again, after " in worker.said())
        job = await tasks.fine.asend(7)
        assert await job.aresult(timeout=20) == 7
        assert await asyncio.to_thread(worker.stop) == 0
    assert worker.said().count("no jobs are fetched") == 1


async def test_a_worker_that_waits_is_told_to_stop(rig: Rig, aeventually: AsyncEventually) -> None:
    """It ends at once, with exit code 0."""
    rig.set(url=f"redis://{HOST}:{free_port()}/0")
    rig.write(FINE)
    worker = rig.worker(ready=False)
    await aeventually(lambda: "no jobs are fetched: " in worker.said())
    assert await asyncio.to_thread(worker.stop) == 0


@pytest.mark.parametrize("wrong", ["database", "host", "password"])
def test_what_a_person_has_to_change_is_not_waited_for(
    wrong: str, rig: Rig, request: pytest.FixtureRequest
) -> None:
    """Exit code 7 within seconds, and what to do."""
    if wrong == "database":
        server = request.getfixturevalue("postgres")
        rig.set(url=f"postgresql://ropeway@{HOST}:{server.port}/not_there")
    elif wrong == "host":
        rig.set(url="postgresql://ropeway@nowhere.invalid/jobs")
    else:
        server = request.getfixturevalue("valkey")
        rig.set(url=f"redis://somebody:wrong@{HOST}:{server.port}/0")
    rig.write(FINE)
    worker = rig.worker(ready=False)
    assert worker.wait(15) == 7
    assert "RW-201" in worker.said()
    assert "no jobs are fetched" not in worker.said()


def _server(kind: str, request: pytest.FixtureRequest) -> Postgres | Valkey:
    server: Postgres | Valkey
    server = request.getfixturevalue("postgres" if kind == "postgres" else "valkey")
    return server


def _file(folder: Path) -> str:
    return f"sqlite:///{folder}/jobs.db"
