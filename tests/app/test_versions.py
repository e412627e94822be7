"""Calls that were sent before their task changed: upgraded, or kept aside whole, never mangled."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway.errors import BadArguments, TaskFailed
from tests.conftest import Eventually
from tests.worker.rig import Rig

OLD = """
@app.task
def pay(amount: float) -> str:
    return f"{amount} francs"
"""

NEW = """
@app.task(version=3)
def pay(amount: float, currency: str) -> str:
    return f"{amount} {currency}"
"""

UPGRADE = """
@pay.upgrade
def _(arguments, version):
    if arguments["amount"] < 0:
        raise ValueError("no way back")
    return {**arguments, "currency": f"from version {version}"}
"""


def test_an_old_call_is_upgraded(rig: Rig) -> None:
    """Arguments of an older version pass the hook, and what it returns is checked."""
    old = rig.tasks(OLD).pay
    jobs = [old.send(5), old.send(-1)]
    new = rig.tasks(NEW + UPGRADE).pay
    rig.worker()
    assert new.send(7, "euro").result(10) == "7.0 euro"
    assert jobs[0].result(10) == "5.0 from version 1"
    with pytest.raises(TaskFailed, match="no way back"):
        jobs[1].result(10)
    assert jobs[1].status() == "quarantined"


def test_an_old_call_without_an_upgrade(rig: Rig) -> None:
    """It goes into quarantine as it is, also where its arguments would have fitted."""
    job = rig.tasks(OLD).pay.send(5)
    rig.tasks(OLD.replace("@app.task", "@app.task(version=2)"))
    rig.worker()
    with pytest.raises(TaskFailed, match="sent for version 1, this code has 2, and no upgrade"):
        job.result(10)
    assert rig.record(job).message.body == b'{"amount":5}'


def test_a_call_for_a_later_version_waits_for_its_worker(rig: Rig, eventually: Eventually) -> None:
    """In a rolling deploy an old worker gives back what is for new code, and that runs it."""
    rig.write(OLD)
    worker = rig.worker()
    job = rig.tasks(NEW).pay.send(5, "euro")
    eventually(lambda: rig.row(job).releases > 0)
    assert "version 3" in rig.row(job).error
    worker.stop()
    rig.worker()
    assert job.result(15) == "5.0 euro"


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.5])
def test_what_is_no_version(rig: Rig, version: Any) -> None:
    """A wrong version is refused where it is written."""
    with pytest.raises(BadArguments, match="version"):
        rig.tasks(OLD).app.task(version=version)
