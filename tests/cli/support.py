"""What the tests of the command line share: an app, ways to call commands, jobs in every state."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ropeway.claims import Claim
from ropeway.cli import main
from ropeway.connect import Connection
from ropeway.message import Failure, Message
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.transition import Finish, Reject, Release, Settle, Transition

Eventually = Callable[..., Any]

APP = """
import asyncio
import os
from ropeway import Ropeway

app = Ropeway()
print("the app was imported")


@app.task
def add(x: int, y: int = 1) -> int:
    return x + y


@app.task
def echo(text: str | None, *more: float, **named: object) -> dict[str, object]:
    return {"text": text, "more": list(more), **named}


@app.task(retries=0)
async def boom(text: str) -> None:
    raise ValueError(text)


@app.task(queue="slow")
async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


@app.task
def pid() -> int:
    return os.getppid()
"""

ESCAPES = "red\x1b[31m bell\x07 csi\x9b2J rtl\u202e end"
"""What an attacker might put into an argument or an error."""


def call(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, list(arguments))


def process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "ropeway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, **more)


class Worker:
    """A worker in a process of its own."""

    def __init__(self, arguments: tuple[str, ...], log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "ropeway", "worker", *arguments]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def said(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@contextlib.contextmanager
def working(eventually: Eventually, *arguments: str, log: str = "worker.log") -> Iterator[Worker]:
    """Run a worker that is ready, and see that it ends with the block."""
    worker = Worker(("--children", "1", *arguments), Path(log))
    try:
        eventually(lambda: "loop slots" in worker.said() or worker.process.poll(), 20)
        yield worker
        worker.stop()
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


@contextlib.contextmanager
def database() -> Iterator[Backend]:
    """Open the database of the working directory, and make it if need be."""
    backend = Connection(url()).blocking()
    step(backend.open())
    try:
        yield backend
    finally:
        step(backend.close())


def url() -> str:
    """The URL of the database of the working directory."""
    return f"sqlite:///{os.getcwd()}/.ropeway/ropeway.db"


def send(backend: Backend, *messages: Message) -> None:
    """Publish messages."""
    answers = step(backend.commit([Transition(publish=(message,)) for message in messages]))
    assert all(answer.ok for answer in answers)


def settle(backend: Backend, queue: str, how: Settle) -> None:
    """Claim the next job of a queue and settle it."""
    (delivery,) = step(backend.receive([Claim(queue=queue, n=1)], "holder", 60))
    (answer,) = step(backend.commit([Transition(fence=delivery.fence, settle=how)]))
    assert answer.ok


IDS = {
    name: f"018f0000-0000-7000-8000-{number:012x}"
    for number, name in enumerate(
        ("succeeded", "failed", "quarantined", "retrying", "running", "scheduled", "queued")
    )
}
"""The ids of the jobs that `every_state` makes, oldest first."""


def every_state() -> None:
    """Fill the database with a job in each state and view, each in the queue of that name."""
    error = Failure(type="ValueError", message=f"first\n{ESCAPES}", traceback=f"Trace\n{ESCAPES}")
    endings: dict[str, Settle] = {
        "succeeded": Finish(State.SUCCEEDED, value=b'{"found":[1,2.5,null]}'),
        "failed": Finish(State.FAILED, error=error, counts="failures"),
        "quarantined": Reject("unknown_task", "no task is called t"),
        "retrying": Release("failures", delay=3600.0, error=error),
    }
    with database() as backend:
        for name, job_id in IDS.items():
            message = Message(
                id=job_id,
                task=f"tasks.{name}",
                body=b'{"x":1,"text":"\xc2\x9b2J"}',
                queue=name,
                delay=3600.0 if name == "scheduled" else 0.0,
            )
            send(backend, message)
            if name in endings:
                settle(backend, name, endings[name])
        step(backend.receive([Claim(queue="running", n=1)], "some-worker", 60))
