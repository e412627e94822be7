"""Rows that no ropeway has written: one of them stops neither the workers nor those who look."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Filter
from tests.conftest import Eventually
from tests.worker.rig import Rig

WORK = """
@app.task(retries=0)
def add(x: int, y: int = 0) -> int:
    witness()
    return x + y
"""
NO_TEXT = "cast(x'ff80' as text)"


@pytest.mark.parametrize("column", ["id", "task", "queue", "key", "holder"])
def test_bytes_that_are_no_text(rig: Rig, eventually: Eventually, column: str) -> None:
    """The row goes into quarantine with its bytes, and all others run; it is shown and removed."""
    tasks = rig.tasks(WORK)
    bad = tasks.add.send(1)
    rig.sql(f"update job set {column} = {NO_TEXT} where id = ?", bad.id)
    good = [tasks.add.send(i, 1) for i in range(20)]
    worker = rig.worker()
    assert [job.result(8) for job in good] == list(range(1, 21))
    if column == "holder":  # nobody reads it before it is overwritten
        assert bad.result(5) == 1
        return
    found = step(rig.module.app.connection.blocking().search(Filter(state=State.QUARANTINED))).jobs
    assert [job.error.type for job in found if job.error] == ["undecodable"]
    assert f"{column} ff80" in str(found[0].error)
    assert worker.process.poll() is None
    assert "are in quarantine" in worker.said()
    tasks.app.job(found[0].message.id).remove()
    assert rig.states() == {"succeeded": 20}


def test_the_next_of_its_key_is_free(rig: Rig) -> None:
    """A row that held others of its key back holds them back no more."""
    tasks = rig.tasks(WORK)
    bad = tasks.add.using(key="k").send(1)
    after = tasks.add.using(key="k").send(2)
    rig.sql(f"update job set task = {NO_TEXT} where id = ?", bad.id)
    rig.worker()
    assert after.result(8) == 2


@pytest.mark.parametrize("column", ["head", "body", "limited_by", "error", "value"])
def test_other_bytes_that_cannot_be_read(rig: Rig, column: str) -> None:
    """Whatever else of a row is damaged, the others run, and all are listed."""
    tasks = rig.tasks(WORK)
    bad = tasks.add.send(1)
    damaged = NO_TEXT if column == "limited_by" else "x'ff80'"
    rig.sql(f"update job set {column} = {damaged} where id = ?", bad.id)
    good = tasks.add.send(1, 1)
    rig.worker()
    assert good.result(8) == 2
    command = [sys.executable, "-m", "ropeway", "jobs", "ls", "--json", "--url"]
    done = subprocess.run(
        [*command, f"sqlite:///{rig.database}"], capture_output=True, check=True, timeout=20
    )
    assert {each["id"] for each in json.loads(done.stdout)} == {bad.id, good.id}
