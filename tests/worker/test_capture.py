"""What tasks print and log comes out whole, at once, and with the id of the job that did it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, results, until

TASKS = """
import logging
log = logging.getLogger("shop")
print("imported")

@app.task
def say(text: str) -> None:
    print(text)
    sys.stderr.write(text + " (err)\\n")
    log.warning("%s (log)", text)
    log.debug("%s (debug)", text)

@app.task
async def asay(text: str) -> None:
    print(text, end="")
    await asyncio.sleep(0.01)
    print(" and more")
    await asyncio.to_thread(print, text, "from a thread")

@app.task
def raw() -> None:
    os.write(1, b"raw bytes\\n")
    sys.stdout.buffer.write(b"buffered bytes\\n")
    print("\\x1b[31mred\\x1b[0m")

@app.task(retries=0)
def die() -> None:
    print("last words")
    print("without an end", end="", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

@app.task(retries=0)
def fail() -> None:
    raise ValueError("no")
"""


class Output:
    """A worker that runs with its standard output in a file of its own."""

    def __init__(self, rig: Rig, *options: str) -> None:
        self.path, self.log = rig.folder / "out", rig.folder / "err"
        command = [sys.executable, "-m", "ropeway", "worker", "tasks:app", "--children", "1"]
        with self.path.open("wb") as out, self.log.open("wb") as err:
            self.process = subprocess.Popen(
                [*command, *options], cwd=rig.folder, stdout=out, stderr=err
            )
        until(lambda: "child" in self.err or self.process.poll() is not None)
        assert self.process.poll() is None, self.err

    @property
    def out(self) -> str:
        """What came on standard output."""
        return self.path.read_text()

    @property
    def err(self) -> str:
        """What came on standard error."""
        return self.log.read_text()

    def records(self) -> list[dict[str, Any]]:
        """Return the lines of both, as JSON."""
        return [json.loads(line) for line in (self.out + self.err).splitlines() if line[:1] == "{"]

    def about(self, job_id: str) -> dict[str, str]:
        """Return what was printed and logged for a job: the message, and by which way it came."""
        return {
            each["message"]: each["logger"] for each in self.records() if each.get("job") == job_id
        }


@contextmanager
def running(rig: Rig, *options: str) -> Iterator[Output]:
    """Run a worker for the block, and stop it."""
    output = Output(rig, *options)
    try:
        yield output
        output.process.send_signal(signal.SIGTERM)
        assert output.process.wait(10) == 0
    finally:
        if output.process.poll() is None:
            output.process.kill()
            output.process.wait()


def test_json_lines_have_the_job(rig: Rig) -> None:
    """Prints of threads and coroutines, and of threads of coroutines; logging with the worker's level."""
    tasks = rig.tasks(TASKS)
    with running(rig) as output:
        plain = tasks.say.send("hello\nworld")
        many = [tasks.asay.send(f"n{i}") for i in range(20)]
        results([plain, *many])
    said = [
        (each["logger"], each["message"])
        for each in output.records()
        if each.get("job") == plain.id
    ]
    assert sorted(said) == [
        ("shop", "hello\nworld (log)"),
        ("stderr", "hello"),
        ("stderr", "world (err)"),
        ("stdout", "hello"),
        ("stdout", "world"),
    ]
    for i, job in enumerate(many):
        assert set(output.about(job.id)) == {f"n{i} and more", f"n{i} from a thread"}
    (line,) = [each for each in output.records() if each["message"] == "n7 and more"]
    assert (line["task"], line["attempt"], line["level"]) == ("tasks.asay", 1, "info")
    (line,) = [each for each in output.records() if each["message"] == "imported"]
    assert "job" not in line
    assert all(line[:1] == "{" for line in output.out.splitlines())


def test_pretty_lines(rig: Rig) -> None:
    """For people: the job in front, and what is nobody's as it is; escapes cannot do harm."""
    tasks = rig.tasks(TASKS)
    with running(rig, "--log-format", "pretty", "--log-level", "debug") as output:
        job, red, failing = tasks.say.send("hello"), tasks.raw.send(), tasks.fail.send()
        results([job, red])
        until(lambda: "failed: ValueError: no" in output.err)
    assert output.out.startswith("imported\n")
    assert re.search(rf"^\d\d:\d\d:\d\d \[tasks.say {job.id} 1\] hello$", output.out, re.MULTILINE)
    assert f"debug: [tasks.say {job.id} 1] hello (debug)" in output.err
    assert f"✓ debug: job {job.id} succeeded" in output.err
    assert f"✕ error: job {failing.id} failed: ValueError: no" in output.err
    assert "\nraw bytes\n" in output.out
    assert "\nbuffered bytes\n" in output.out
    assert f"[tasks.raw {red.id} 1] \\x1b[31mred\\x1b[0m\n" in output.out


def test_logfmt(rig: Rig) -> None:
    """Pairs on one line, quoted where they must be."""
    tasks = rig.tasks(TASKS)
    with running(rig, "--log-format", "logfmt") as output:
        job = tasks.say.send('a "b"=c')
        results([job])
    line = f'message="a \\"b\\"=c" job={job.id} task=tasks.say attempt=1\n'
    assert line in output.out
    assert "level=info logger=ropeway.worker message=" in output.err


def test_the_last_words_of_a_dying_child(rig: Rig, eventually: Eventually) -> None:
    """What was printed right before SIGKILL is there, every time, with the id of the job."""
    tasks = rig.tasks(TASKS)
    with running(rig) as output:
        job = tasks.die.send()
        eventually(lambda: rig.row(job).state in {"quarantined", "failed"}, 20)
        row = rig.row(job)
    said = [each["message"] for each in output.records() if each.get("job") == job.id]
    ran = row.attempt - row.releases  # what is given back has not begun
    assert said.count("last words") == said.count("without an end") == ran >= 1


def test_an_app_that_logs_by_itself_is_left_alone(rig: Rig) -> None:
    """Its handlers and levels stay; its lines have the job's id as those that are printed have."""
    tasks = rig.tasks(
        "import logging\n"
        "logging.basicConfig(level='ERROR', format='mine: %(message)s')\n" + textwrap.dedent(TASKS)
    )
    with running(rig) as output:
        job = tasks.say.send("x")
        results([job])
    assert "x (log)" not in output.err
    assert set(output.about(job.id)) == {"x", "x (err)"}


def test_a_reader_that_has_left_fails_no_task(rig: Rig) -> None:
    """When nobody reads standard output any more, what is printed is gone, and nothing else."""
    tasks = rig.tasks(TASKS)
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "ropeway", "worker", "tasks:app", "--children", "1"]
    log = rig.folder / "err"
    with log.open("wb") as err:
        process = subprocess.Popen(command, cwd=rig.folder, stdout=writing, stderr=err)
    os.close(writing)
    try:
        results([tasks.say.send("x")])
        os.close(reading)
        results([tasks.say.send("y") for _ in range(5)])
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("size", [5_000, 1_000_000])
def test_long_lines_come_whole(rig: Rig, size: int) -> None:
    """Longer than a pipe takes at once, and longer than what may wait for its end."""
    tasks = rig.tasks(TASKS)
    with running(rig) as output:
        job = tasks.say.send("x" * size)
        results([job])
    assert "x" * size in output.about(job.id)
    assert Path(output.path).stat().st_size > size
