"""PostgreSQL from every kind of caller: threads, loops, forked processes, and the last breath of one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ropeway import Ropeway
from tests.servers.postgres import Postgres


def _app(url: str) -> Ropeway:
    app = Ropeway(url)
    app.task(name="note")(note)
    return app


def note(n: int) -> int:
    return n


class Sent:
    """What has come to a database."""

    def __init__(self, postgres: Postgres, url: str) -> None:
        self._postgres, self._database = postgres, url.rpartition("/")[2]

    def bodies(self) -> list[int]:
        """The numbers that were sent, in order."""
        asked = (
            "select (convert_from(body, 'utf8')::json->'n')::text::int from ropeway.job order by 1"
        )
        return [*map(int, self._postgres.sql(asked, self._database).split())]

    def connections(self) -> int:
        """How many connections ropeway has there."""
        asked = "select count(*) from pg_stat_activity where application_name = 'ropeway'"
        return int(self._postgres.sql(f"{asked} and datname = '{self._database}'", self._database))


@pytest.fixture
def sent(postgres: Postgres, postgres_url: str) -> Sent:
    return Sent(postgres, postgres_url)


def test_threads_share_one_thread_of_ropeway(postgres_url: str, sent: Sent) -> None:
    """Many senders, few connections."""
    app = _app(postgres_url)

    def send(part: int) -> None:
        for n in range(part, 160, 16):
            app.tasks["note"].send(n)

    threads = [threading.Thread(target=send, args=(part,)) for part in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sent.bodies() == [*range(160)]
    assert 1 <= sent.connections() <= 5


def test_a_server_that_forks_after_loading_the_app(postgres_url: str, sent: Sent) -> None:
    """As gunicorn does with `--preload`: the parent has sent, then children and parent do."""
    app = _app(postgres_url)
    app.tasks["note"].send(0)
    children = []
    for number in range(1, 4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for n in range(10):
                    app.tasks["note"].send(100 * number + n)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for n in range(1, 10):
        app.tasks["note"].send(n)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    app.tasks["note"].send(10)
    hundreds = [100 * number + n for number in range(1, 4) for n in range(10)]
    assert sent.bodies() == [*range(11), *hundreds]


async def test_a_running_loop_and_the_sync_verb_beside_it(postgres_url: str, sent: Sent) -> None:
    """Each has its own way to the server."""
    app = _app(postgres_url)
    await app.tasks["note"].asend(1)
    app.tasks["note"].send(2)
    await asyncio.to_thread(app.tasks["note"].send, 3)
    await asyncio.gather(*(app.tasks["note"].asend(n) for n in range(4, 54)))
    assert sent.bodies() == [*range(1, 54)]
    await app.aclose()


def test_loops_one_after_another_and_side_by_side(postgres_url: str, sent: Sent) -> None:
    """Each has its own connections, which end with it."""
    app = _app(postgres_url)

    async def some(first: int) -> None:
        await asyncio.gather(*(app.tasks["note"].asend(n) for n in range(first, first + 5)))
        await app.aclose()

    for first in (0, 5):
        asyncio.run(some(first))
    threads = [threading.Thread(target=asyncio.run, args=(some(n),)) for n in (10, 15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sent.bodies() == [*range(20)]


_SCRIPT = """
import asyncio, atexit, threading
from ropeway import Ropeway

app = Ropeway()

@app.task
def note(n: int) -> int:
    return n
"""

_ENDINGS = {
    "a loop that ends without a word": """
async def main():
    job = await note.asend(1)
    await asyncio.wait_for(app.store.wait(["job/x"], 0.1), 5)

asyncio.run(main())
""",
    "a send from an exit handler": """
atexit.register(lambda: note.send(1))
note.call(0)
""",
    "a send from an exit handler, after others": """
atexit.register(lambda: note.send(1))
note.send(1)
""",
    "a send from a thread that outlives the main one": """
threading.Thread(target=lambda: note.send(1)).start()
""",
    "a send as the last line": """
note.send(1)
""",
}


@pytest.mark.parametrize("name", _ENDINGS)
def test_the_end_of_a_process(name: str, postgres_url: str, sent: Sent, tmp_path: Path) -> None:
    """What was sent is there, and nothing is complained of, even where Python is told to be strict."""
    path = tmp_path / "script.py"
    path.write_text(_SCRIPT + _ENDINGS[name])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(path)],
        env={**os.environ, "ROPEWAY_URL": postgres_url},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert set(sent.bodies()) == {1}
