"""One app on Redis in several loops, threads and processes: each sends, none disturbs another."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ropeway.connect import Connection
from ropeway.stepping import step
from tests.conftest import Eventually
from tests.servers.valkey import Valkey
from tests.servers.valkeys import said

TASKS = """
    import asyncio, os, sys, threading
    from ropeway import Ropeway
    app = Ropeway()

    @app.task
    def add(x: int, y: int = 0) -> int:
        return x + y

    @app.task
    async def later(x: int) -> int:
        return x
"""


class Programs:
    """Runs programs of users' against one empty server, and counts what they sent."""

    def __init__(self, folder: Path, valkey: Valkey) -> None:
        self.folder, self.valkey = folder, valkey
        (folder / "tasks.py").write_text(textwrap.dedent(TASKS))

    def run(self, program: str) -> str:
        """Run a program to its end, with every warning an error; returns what it printed."""
        path = self.folder / "program.py"
        path.write_text("from tasks import *\n" + textwrap.dedent(program))
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", str(path)],
            cwd=self.folder,
            env={**os.environ, "ROPEWAY_URL": self.valkey.url},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr and "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def sent(self) -> int:
        """How many jobs wait."""
        backend = Connection(self.valkey.url).blocking()
        try:
            return sum(stats.ready for stats in step(backend.stats(cap=10_000)))
        finally:
            step(backend.close())


@pytest.fixture
def programs(tmp_path: Path, valkey: Valkey) -> Programs:
    """Return what runs programs."""
    said(valkey.port, "FLUSHALL")
    return Programs(tmp_path, valkey)


def test_a_preloaded_app(programs: Programs) -> None:
    """A server that imports, sends and then forks, as gunicorn does with --preload.

    Broken: children write into their parent's connection, and each reads the other's replies.
    """
    out = programs.run("""
        add.send(0).status()  # the parent has a connection
        try:
            add.send(0).result(0.1)  # and one that hears hints
        except TimeoutError:
            pass
        children = []
        for n in range(4):
            if (child := os.fork()) == 0:
                jobs = [add.send(n, i) for i in range(50)]
                assert all(job.status() == "queued" for job in jobs)
                try:
                    jobs[0].result(0.1)
                except TimeoutError:
                    pass
                os._exit(0)
            children.append(child)
        for i in range(50):
            add.send(9, i)
        print([os.waitpid(child, 0)[1] for child in children])
    """)
    assert out == "[0, 0, 0, 0]\n"
    assert programs.sent() == 2 + 5 * 50


def test_a_fork_in_the_middle_of_sending(programs: Programs) -> None:
    """Threads send while the process forks again and again."""
    out = programs.run("""
        over = threading.Event()
        counts = [0] * 4

        def send(n):
            while not over.is_set():
                add.send(n)
                counts[n] += 1

        threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(20):
            if (child := os.fork()) == 0:
                add.send(100)
                os._exit(0)
            codes.append(os.waitpid(child, 0)[1])
        over.set()
        for thread in threads:
            thread.join()
        assert codes == [0] * 20, codes
        print(sum(counts) + 20)
    """)
    assert programs.sent() == int(out)


def test_a_fork_on_a_loop(programs: Programs) -> None:
    """A coroutine forks while its loop has a connection; the child has a loop of its own."""
    out = programs.run("""
        async def many(n):
            await asyncio.gather(*(later.asend(n) for _ in range(20)))

        async def main():
            await many(0)
            if (child := os.fork()) == 0:
                add.send(5)
                os._exit(0)
            await many(1)
            return os.waitpid(child, 0)[1]

        print(asyncio.run(main()))
        if (child := os.fork()) == 0:
            asyncio.run(many(2))
            os._exit(0)
        print(os.waitpid(child, 0)[1])
    """)
    assert out == "0\n0\n"
    assert programs.sent() == 20 + 1 + 20 + 20


def test_loops_leave_nothing_behind(programs: Programs, eventually: Eventually) -> None:
    """Fifty loops one after the other, with and without a close, and two at once."""
    out = programs.run("""
        async def once(x, close):
            job = await later.asend(x)
            assert await job.astatus() == "queued"
            if close:
                await app.aclose()

        def loops(n):
            for x in range(n):
                asyncio.run(once(x, close=x % 2 == 0))

        loops(2)
        before = len(os.listdir("/proc/self/fd"))
        loops(46)
        print(len(os.listdir("/proc/self/fd")) - before)
        threads = [threading.Thread(target=loops, args=(1,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """)
    assert int(out) <= 0
    assert programs.sent() == 50
    eventually(lambda: "name=ropeway" not in said(programs.valkey.port, "CLIENT LIST"))


def test_threads_leave_few_connections(programs: Programs) -> None:
    """A hundred threads that have sent are no hundred connections afterwards."""
    out = programs.run("""
        def send():
            add.send(1)

        for _ in range(10):
            threads = [threading.Thread(target=send) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        print(len([n for n in os.listdir("/proc/self/fd")]))
    """)
    assert int(out) < 25
    assert programs.sent() == 100


def test_a_send_at_exit(programs: Programs) -> None:
    """What is sent by a function for the end of the program arrives, and nothing is left open."""
    programs.run("""
        import atexit
        atexit.register(lambda: add.send(2))
        add.send(1)
        asyncio.run(later.asend(3))
    """)
    assert programs.sent() == 3


def test_ctrl_c_leaves_a_connection_that_can_be_used(programs: Programs) -> None:
    """Between a command and its reply; the next call gets its own reply, and not that one.

    Broken: after an interrupt every answer is that of the call before.
    """
    programs.run("""
        import signal, time
        add.send(0)
        pid, caught = os.getpid(), threading.Event()  # caught: an interrupt would be, now

        def interrupt():
            for _ in range(100):
                caught.wait()
                caught.clear()
                time.sleep(0.003)
                os.kill(pid, signal.SIGINT)

        killer = threading.Thread(target=interrupt)
        killer.start()
        interrupted, over = 0, False
        while not over:
            try:
                while killer.is_alive():
                    caught.set()
                    job = add.send(1)
                    assert job.status() == "queued"
                    assert add.send(2).id != job.id
                over = True
            except KeyboardInterrupt:
                interrupted += 1
        try:
            killer.join()
            time.sleep(0.1)
        except KeyboardInterrupt:
            pass
        assert interrupted > 10, interrupted
        assert add.send(3).status() == "queued"
    """)


def test_a_worker_holds_two_connections_and_outlives_its_server(
    programs: Programs, eventually: Eventually
) -> None:
    """However many children it has; and it goes on by itself when the server is back."""

    def ours() -> int:
        return said(programs.valkey.port, "CLIENT LIST").count("name=ropeway")

    command = [sys.executable, "-m", "ropeway", "worker", "-A", "tasks.py", "--children", "2"]
    worker = subprocess.Popen(
        command,
        cwd=programs.folder,
        env={**os.environ, "ROPEWAY_URL": programs.valkey.url},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert programs.run("print(add.send(2, 3).result(20))") == "5\n"
        eventually(lambda: ours() == 2)
        programs.valkey.server.kill()
        programs.valkey.start()
        assert programs.run("print(add.send(3, 4).result(20))") == "7\n"
        eventually(lambda: ours() == 2)
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
