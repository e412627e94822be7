"""`ropeway dev`: the newest code that can be imported runs, and no job pays for a change."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.cli.dev.watch import Watch
from ropeway.ids import new_id
from ropeway.message import Message
from tests.cli import support
from tests.cli.support import Eventually, call, process

CODE = """
import time
from pathlib import Path
from ropeway import Ropeway

app = Ropeway()


@app.task
def version() -> int:
    return 1


@app.task
def hold() -> int:
    Path("started").touch()
    while not Path("gate").exists():
        time.sleep(0.01)
    return 1
"""


class Dev:
    """`ropeway dev` in a process of its own."""

    def __init__(self, log: Path, *options: str) -> None:
        self._log = log
        command = [sys.executable, "-m", "ropeway", "dev", *options]
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
            )

    def said(self) -> str:
        """Return all that it and its workers have said."""
        return self._log.read_text(errors="replace")

    def ready(self) -> int:
        """How many times a worker was ready."""
        return self.said().count("Ready in")

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


@contextlib.contextmanager
def developing(here: Path, *options: str) -> Iterator[Dev]:
    """Run `ropeway dev` for the block."""
    dev = Dev(here / "dev.log", *options)
    try:
        yield dev
    finally:
        if dev.process.poll() is None:
            dev.process.terminate()
            try:
                dev.process.wait(10)
            finally:
                dev.process.kill()
        print(dev.said())


@pytest.fixture
def code(here: Path) -> Callable[[str], None]:
    """Return what saves a new version of the code; the first is there."""
    path = here / "tasks.py"
    path.write_text(CODE)

    saved = itertools.count()

    def save(text: str) -> None:
        new = here / "tasks.tmp"
        # Each of another size: what Python has compiled it knows by that and by the second.
        new.write_text(text + "#" * next(saved))
        new.replace(path)

    return save


def version() -> str:
    """Return what the running code says of itself, whatever the file says by now."""
    message = Message(id=new_id(), task="tasks.version", body=b"{}")
    with support.database() as backend:
        support.send(backend, message)
    found = call("jobs", "result", message.id, "--wait", "--timeout", "10")
    assert found.exit_code == 0, found.stderr
    return found.stdout.strip()


def job(job_id: str) -> dict[str, object]:
    """Return what is kept of a job."""
    found: dict[str, object] = json.loads(call("jobs", "show", job_id, "--json").stdout)
    return found


def test_new_code_runs_and_what_the_old_began_it_ends(
    here: Path, code: Callable[[str], None], eventually: Eventually
) -> None:
    """A change counts as no failure of any job, and none waits for another."""
    with developing(here) as dev:
        eventually(lambda: dev.ready() == 1)
        assert version() == "1"
        running = process("run", "hold").stdout.strip()
        eventually((here / "started").exists)
        code(CODE.replace("return 1", "return 2"))
        eventually(lambda: dev.ready() == 2)
        assert "tasks.py changed" in dev.said()
        eventually(lambda: "stopping:" in dev.said())
        # What the old worker was about to be handed as it was told to stop it still runs.
        eventually(lambda: version() == "2")
        assert job(running)["state"] == "running"
        (here / "gate").touch()
        eventually(lambda: job(running)["state"] == "succeeded")
        told = job(running)
        assert (told["result"], told["attempt"], told["failures"], told["losses"]) == (1, 1, 0, 0)
        assert dev.end() == 0


def test_what_cannot_be_imported_is_shown_and_the_old_code_goes_on(
    here: Path, code: Callable[[str], None], eventually: Eventually
) -> None:
    """Until it is mended."""
    with developing(here) as dev:
        eventually(lambda: dev.ready() == 1)
        code(CODE + "\nthis is no python\n")
        eventually(lambda: "the worker of before goes on" in dev.said())
        assert "this is no python" in dev.said()
        assert "SyntaxError" in dev.said()
        assert version() == "1"
        code(CODE.replace("return 1", "return 3"))
        eventually(lambda: dev.ready() == 2)
        eventually(lambda: "stopping:" in dev.said())  # until then either may take a job
        eventually(lambda: version() == "3")


def test_it_waits_for_code_that_can_be_imported_at_all(
    here: Path, code: Callable[[str], None], eventually: Eventually
) -> None:
    """Nothing runs before; an import that hangs is given up when the file is saved again."""
    code(CODE + "\ntime.sleep(1000)\n")
    with developing(here) as dev:
        eventually(lambda: "app tasks.py" in dev.said())
        code(CODE + "\n1 / 0\n")
        eventually(lambda: "no worker runs" in dev.said())
        assert "ZeroDivisionError" in dev.said()
        code(CODE)
        eventually(lambda: dev.ready() == 1)
        assert version() == "1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_while_the_app_is_imported(
    here: Path, code: Callable[[str], None], eventually: Eventually, number: signal.Signals
) -> None:
    """And leaves no process behind."""
    code(CODE + "\nPath('started').touch()\ntime.sleep(1000)\n")
    with developing(here) as dev:
        eventually((here / "started").exists)
        assert dev.end(number) == 0


def test_a_second_request_gives_running_jobs_back(
    here: Path, code: Callable[[str], None], eventually: Eventually
) -> None:
    """Whatever version runs them; they are not failures."""
    with developing(here) as dev:
        eventually(lambda: dev.ready() == 1)
        running = process("run", "hold").stdout.strip()
        eventually((here / "started").exists)
        code(CODE + "\n# changed\n")
        eventually(lambda: dev.ready() == 2)
        dev.process.send_signal(signal.SIGINT)
        eventually(lambda: "once more gives" in dev.said())
        dev.end()
        told = job(running)
        assert (told["state"], told["failures"], told["losses"]) == ("queued", 0, 0)


def test_killed_it_takes_its_worker_along(
    here: Path, code: Callable[[str], None], eventually: Eventually
) -> None:
    """No worker of old code goes on unseen; the fixture of all tests sees that none is left."""
    with developing(here) as dev:
        eventually(lambda: dev.ready() == 1)
        dev.process.kill()
        dev.process.wait()
        eventually(lambda: "stopped:" in dev.said())


def test_a_worker_that_dies_is_missed(
    here: Path, code: Callable[[str], None], eventually: Eventually
) -> None:
    """And there is another after the next change."""
    with developing(here) as dev:
        eventually(lambda: dev.ready() == 1)
        pids = Path(f"/proc/{dev.process.pid}/task/{dev.process.pid}/children").read_text().split()
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)
        eventually(lambda: "the worker ended with status -9; waiting for a change" in dev.said())
        code(CODE + "\n# again\n")
        eventually(lambda: dev.ready() == 2)
        assert version() == "1"


def test_without_reloading(here: Path, code: Callable[[str], None]) -> None:
    """An app that cannot be imported is the end."""
    code(CODE + "\n1 / 0\n")
    with developing(here, "--no-reload") as dev:
        assert dev.process.wait(20) == 1
        assert "ZeroDivisionError" in dev.said()


def test_the_watch(tmp_path: Path) -> None:
    """Sees files that are new, changed and gone; not those of environments, nor other kinds."""
    for name in ("a.py", "package/b.py", ".venv/c.py", "package/__pycache__/d.py", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    watch = Watch([tmp_path])
    assert watch.changed() == []
    for name in (".venv/c.py", "package/__pycache__/d.py", "notes.txt"):
        (tmp_path / name).write_text("22")
    assert watch.changed() == []
    (tmp_path / "package/b.py").write_text("2")
    os.utime(tmp_path / "package/b.py", ns=(1, 1))
    (tmp_path / "new").mkdir()
    (tmp_path / "new/e.py").touch()
    (tmp_path / "a.py").unlink()
    assert watch.changed() == [tmp_path / name for name in ("a.py", "new/e.py", "package/b.py")]
    assert watch.changed() == []


def test_a_watch_over_what_cannot_be_read(tmp_path: Path) -> None:
    """Sees the rest."""
    (tmp_path / "link.py").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert Watch([tmp_path, tmp_path / "gone"]).changed() == []


def test_the_dashboard_beside(
    here: Path, code: Callable[[str], None], eventually: Eventually
) -> None:
    """It is served when the worker is ready, over the same jobs, and ends also when all is killed."""
    with developing(here, "--dashboard", "--port", "0", "--no-reload") as dev:
        eventually(lambda: "dashboard http" in dev.said(), 40)
        link = re.search(r"dashboard (http\S+)\?token=(\S+)", dev.said())
        assert link is not None
        sent = process("run", "version").stdout.strip()
        request = urllib.request.Request(
            f"{link[1]}api/v1/jobs", headers={"authorization": f"Bearer {link[2]}"}
        )
        with urllib.request.urlopen(request) as answer:
            assert [each["id"] for each in json.load(answer)["jobs"]] == [sent]
        dev.process.kill()

        def gone() -> bool:
            try:
                urllib.request.urlopen(request).close()
            except OSError:
                return True
            return False

        eventually(gone)
