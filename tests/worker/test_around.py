"""In real children: what a process begins and ends with, and what goes wrong there."""

from __future__ import annotations

from tests.conftest import Eventually
from tests.worker.rig import Rig


def test_each_child_begins_before_its_first_call(rig: Rig, eventually: Eventually) -> None:
    """And ends after its last, when the worker is stopped; a pool is shared by the calls of one."""
    tasks = rig.tasks("""
        from collections.abc import AsyncIterator
        from ropeway import Depends

        def note(word):
            with open(os.path.join(os.environ["RIG"], "notes"), "a") as file:
                file.write(f"{os.getpid()} {word}\\n")

        @app.lifespan
        async def life() -> AsyncIterator[None]:
            note("begin")
            yield
            note("end")

        def pool():
            note("pool")
            yield os.getpid()
            note("/pool")

        @app.task
        async def work(of: int = Depends(pool, scope="process")) -> int:
            note("run")
            return of
    """)
    jobs = tasks.app.send_many(tasks.work.call() for _ in range(20))
    worker = rig.worker("--children", "1")
    assert len({job.result(timeout=10) for job in jobs}) == 1
    assert worker.stop() == 0
    words = [line.split()[1] for line in (rig.folder / "notes").read_text().splitlines()]
    assert words == ["begin", "pool", *["run"] * 20, "/pool", "end"]


def test_a_begin_that_fails_ends_the_worker(rig: Rig) -> None:
    """As an app that cannot be imported does: with the traceback, and a status."""
    rig.tasks("""
        @app.lifespan
        def life():
            raise RuntimeError("no licence")
            yield

        @app.task
        def work() -> None: ...
    """)
    worker = rig.worker(ready=False)
    assert worker.wait(15) != 0
    assert "RuntimeError: no licence" in worker.said()


def test_an_end_that_hangs_holds_up_nobody(rig: Rig, eventually: Eventually) -> None:
    """It is given some seconds."""
    tasks = rig.tasks("""
        @app.lifespan
        async def life():
            yield
            await asyncio.sleep(60)

        @app.task
        def work() -> int:
            return 1
    """)
    job = tasks.work.send()
    worker = rig.worker("--children", "1")
    assert job.result(timeout=10) == 1
    assert worker.stop(timeout=15) == 0
