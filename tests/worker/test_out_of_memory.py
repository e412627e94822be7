"""The kernel ends a process for lack of memory: the call that took it is named, and put away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Eventually, wait_until
from tests.worker.rig import Rig

LIMIT = 400 * 2**20
_VERSION_1, _VERSION_2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@pytest.fixture
def group() -> Iterator[Path]:
    """Return a control group whose processes may take so much memory in all; needs root."""
    base, setting = _VERSION_1, "memory.limit_in_bytes"
    if not base.is_dir():
        base, setting = _VERSION_2, "memory.max"
    made = base / f"ropeway-test-{os.getpid()}"
    try:
        made.mkdir()
        (made / setting).write_text(str(LIMIT))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield made
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not (made / "cgroup.procs").read_text())
    made.rmdir()


def test_a_call_that_takes_all_memory_is_put_away(
    rig: Rig, group: Path, eventually: Eventually
) -> None:
    """Its process dies three times, and the record says of what; all others succeed."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        async def hog() -> int:
            witness("hog")
            taken = []
            while True:
                taken.append(b"x" * 10_000_000)

        @app.task(retries=0)
        async def good(x: int) -> int:
            await asyncio.sleep(0.02)
            return x
    """)
    worker = rig.worker("--children", "2")
    for pid in worker.tree:
        (group / "cgroup.procs").write_text(str(pid))
    calls = [tasks.good.call(i) for i in range(200)]
    jobs = tasks.app.send_many(calls[:100])
    bad = tasks.hog.send()
    jobs += tasks.app.send_many(calls[100:])
    assert [job.result(timeout=30) for job in jobs] == list(range(200))
    eventually(lambda: rig.row(bad).state == "quarantined", 30)
    assert rig.row(bad).losses == 3
    assert "out of memory" in rig.row(bad).error
    assert {(row.state, row.losses) for row in rig.rows(jobs)} == {("succeeded", 0)}
    assert worker.stop() == 0
