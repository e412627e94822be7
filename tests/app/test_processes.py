"""One app in several event loops, threads and processes: each sends, none disturbs another."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

from tests.conftest import Eventually
from tests.worker.rig import PRELUDE, Rig, results

TASKS = """
@app.task
def add(x: int, y: int = 0) -> int:
    return x + y
"""


def run(rig: Rig, program: str, *, expect: int = 0) -> str:
    """Run a program of a user's, beside `tasks.py`; returns what it printed."""
    path = rig.folder / "program.py"
    path.write_text(textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", str(path)],
        cwd=rig.folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def whole(rig: Rig) -> int:
    """Check that the database is whole, and return how many jobs it has, with those in a broker."""
    assert rig.sql("pragma integrity_check") == [("ok",)]
    return int(rig.sql("select count(*) from job")[0][0]) + rig.resting()


def open_files() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


# -- event loops --------------------------------------------------------------------------


def test_loops_one_after_the_other(rig: Rig) -> None:
    """An app may be used by one event loop after another, with or without a close between."""
    tasks = rig.tasks(TASKS)
    rig.worker()

    async def once(x: int, *, close: bool) -> int:
        value: int = await (await tasks.add.asend(x)).aresult(5)
        if close:
            await tasks.app.aclose()
        return value

    for x in range(6):
        assert asyncio.run(once(x, close=x % 2 == 0)) == x
        assert tasks.add.send(x, 1).result(5) == x + 1


def test_loops_leave_nothing_behind(rig: Rig) -> None:
    """A hundred loops, each used and gone, keep no threads and no descriptors."""
    tasks = rig.tasks(TASKS)
    rig.worker()

    async def once(x: int) -> int:
        value: int = await (await tasks.add.asend(x)).aresult(5)
        return value

    for x in range(5):
        asyncio.run(once(x))
    gc.collect()
    files, threads = open_files(), threading.active_count()
    for x in range(100):
        assert asyncio.run(once(x)) == x
    gc.collect()
    assert open_files() <= files + 5
    assert threading.active_count() <= threads + 3


def test_threads_leave_nothing_behind(rig: Rig, eventually: Eventually) -> None:
    """A hundred threads that waited for a result and ended keep no descriptors."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    found: list[int] = []

    def once(x: int) -> None:
        found.append(tasks.add.send(x).result(5))

    def use(numbers: range) -> None:
        for x in numbers:
            thread = threading.Thread(target=once, args=(x,))
            thread.start()
            thread.join(10)

    use(range(5))
    files = open_files()
    use(range(5, 105))
    assert found == list(range(105))
    gc.collect()
    assert open_files() <= files + 3


def test_two_loops_at_once(rig: Rig) -> None:
    """Two event loops in two threads send and wait at the same time."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    found: dict[int, list[int]] = {}

    async def many(start: int) -> None:
        jobs = await asyncio.gather(*(tasks.add.asend(start, i) for i in range(100)))
        found[start] = await asyncio.gather(*(job.aresult(10) for job in jobs))
        await tasks.app.aclose()

    threads = [
        threading.Thread(target=lambda start=start: asyncio.run(many(start)))
        for start in (1000, 2000)
    ]
    for thread in threads:
        thread.start()
    assert results([tasks.add.send(i) for i in range(50)]) == list(range(50))
    for thread in threads:
        thread.join(15)
    assert found == {start: [start + i for i in range(100)] for start in (1000, 2000)}
    assert whole(rig) == 250


async def test_both_verbs_on_a_loop(rig: Rig) -> None:
    """Code on a loop may use the sync verb between the async ones; both see the same jobs."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    jobs = []
    for i in range(20):
        jobs += [tasks.add.send(i), await tasks.add.asend(i)]
    assert [await job.aresult(5) for job in jobs] == [i for i in range(20) for _ in range(2)]
    await tasks.app.aclose()


# -- processes ----------------------------------------------------------------------------


def test_a_preloaded_app(rig: Rig, eventually: Eventually) -> None:
    """An app that was used before a fork is used by parent and children at once; nothing is lost.

    So does a web server that preloads.
    """
    rig.tasks(TASKS)
    rig.worker()
    run(
        rig,
        """
        import os, tasks
        assert tasks.add.send(0).result(5) == 0
        children = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                try:
                    for i in range(50):
                        assert tasks.add.send(i).result(10) == i
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(pid)
        for i in range(50):
            assert tasks.add.send(i).result(10) == i
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        assert tasks.add.send(1).result(5) == 1
        """,
    )
    eventually(rig.settled)
    assert whole(rig) == 202


def test_a_child_outlives_its_parent(rig: Rig, eventually: Eventually) -> None:
    """What a forked child sends is kept, also when the parent and every other user is gone."""
    rig.tasks(TASKS)
    run(
        rig,
        """
        import os, subprocess, sys, tasks
        for i in range(20):
            tasks.add.send(i)
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            os.close(writing)
            tasks.add.send(100)
            if os.fork() == 0:
                os.read(reading, 1)  # until the parent is gone
                for i in range(50):
                    tasks.add.send(i)
                    if i % 10 == 0:  # comes, uses the database, and is the last to close it
                        subprocess.run([sys.executable, "-c",
                            "import tasks; from ropeway.stepping import step; tasks.add.send(1);"
                            "step(tasks.app.connection.blocking().close())"], check=True)
                os.close(os.open("done", os.O_CREAT))
            os._exit(0)
        os.waitpid(middle, 0)
        os._exit(0)
        """,
    )
    eventually(lambda: rig.folder.joinpath("done").exists(), 15)
    assert whole(rig) == 20 + 1 + 50 + 5


def test_a_fork_in_the_middle_of_sending(rig: Rig) -> None:
    """Children that are forked while other threads send can send themselves, and end."""
    rig.tasks(TASKS)
    run(
        rig,
        """
        import os, threading, tasks
        over = threading.Event()
        counts = [0] * 4
        def send(me):
            while not over.is_set():
                tasks.add.send(me)
                counts[me] += 1
        threads = [threading.Thread(target=send, args=(me,)) for me in range(4)]
        for thread in threads: thread.start()
        children = []
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                try:
                    for i in range(5): tasks.add.send(i)
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(pid)
        ends = [os.waitpid(pid, 0)[1] for pid in children]
        over.set()
        for thread in threads: thread.join()
        assert ends == [0] * 20, ends
        with open("sent", "w") as file:
            file.write(str(sum(counts) + 100))
        """,
    )
    assert whole(rig) == int(rig.folder.joinpath("sent").read_text())


def test_fork_by_multiprocessing(rig: Rig) -> None:
    """A pool of forked processes sends for its parent."""
    rig.tasks(TASKS)
    run(
        rig,
        """
        import multiprocessing, tasks
        def send(x):
            return tasks.add.send(x).id
        if __name__ == "__main__":
            tasks.add.send(0)
            with multiprocessing.get_context("fork").Pool(4) as pool:
                ids = pool.map(send, range(100))
            assert len(set(ids)) == 100
            tasks.add.send(0)
        """,
    )
    assert whole(rig) == 102


def test_a_fork_on_a_loop(rig: Rig) -> None:
    """A child forked from a coroutine can use the app on a loop of its own."""
    rig.tasks(TASKS)
    run(
        rig,
        """
        import asyncio, os, threading, tasks
        async def main():
            await tasks.add.asend(1)
            pid = os.fork()
            if pid == 0:
                def child():
                    asyncio.run(tasks.add.asend(2))
                    tasks.add.send(3)
                try:
                    thread = threading.Thread(target=child); thread.start(); thread.join(10)
                    os._exit(0 if not thread.is_alive() else 2)
                finally:
                    os._exit(1)
            assert os.waitpid(pid, 0)[1] == 0
            await tasks.add.asend(4)
            await tasks.app.aclose()
        asyncio.run(main())
        """,
    )
    assert whole(rig) == 4


def test_a_send_at_exit(rig: Rig) -> None:
    """What a program sends as its last act, at exit, is sent."""
    rig.tasks(TASKS)
    run(
        rig,
        """
        import atexit, threading, tasks
        atexit.register(lambda: tasks.add.send(1))
        tasks.add.send(2)
        atexit.register(lambda: tasks.app.send_many(tasks.add.call(i) for i in range(10)))
        threading._register_atexit(lambda: tasks.add.send(3))
        """,
    )
    assert whole(rig) == 13


def test_a_program_that_ends_on_its_own(rig: Rig) -> None:
    """Programs that have sent, waited or used a loop end by themselves, at once, with code 0."""
    rig.tasks(TASKS)
    rig.worker()
    for program in (
        "import tasks; tasks.add.send(1)",
        "import tasks; tasks.add.send(1).result(5)",
        "import asyncio, tasks; asyncio.run(tasks.add.asend(1))",
        """
        import asyncio, tasks
        async def main():
            await (await tasks.add.asend(1)).aresult(5)
        asyncio.run(main())
        """,
    ):
        run(rig, program)
    assert whole(rig) == 4


def test_ctrl_c_while_waiting(rig: Rig, eventually: Eventually) -> None:
    """Ctrl-C ends a wait for a result; the job stays, and the app can be used further."""
    tasks = rig.tasks(TASKS)
    path = Path(rig.folder / "program.py")
    path.write_text(
        "import tasks\n"
        "try:\n"
        "    tasks.add.send(1).result()\n"
        "except KeyboardInterrupt:\n"
        "    tasks.add.send(2)\n"
        "    raise SystemExit(5)\n"
    )
    waiting = subprocess.Popen([sys.executable, str(path)], cwd=rig.folder)
    hints = rig.folder / "jobs.db-hints"
    eventually(lambda: hints.exists() and list(hints.iterdir()))
    waiting.send_signal(2)
    assert waiting.wait(5) == 5
    assert whole(rig) == 2
    assert tasks.add.send(3).status() == "queued"


def test_two_apps_on_one_database(rig: Rig) -> None:
    """Two apps in one process may use one database; each sees the other's jobs."""
    tasks = rig.tasks(TASKS)
    namespace: dict[str, object] = {"__name__": "tasks"}
    exec(PRELUDE + TASKS, namespace)
    other = namespace["app"]
    rig.worker()
    job = tasks.add.send(4)
    assert other.job(job.id).result(5) == 4  # type: ignore[attr-defined]  # an app it is
    assert whole(rig) == 1
