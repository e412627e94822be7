"""`ropeway jobs logs`: the lines of one job, out of the logs of workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ropeway.cli import main
from ropeway.cli.commands.logs import FIELDS
from tests.cli import support
from tests.cli.support import call, process

ONE, OTHER = f"{1:036}", f"{2:036}"


def line(message: str, job: str | None = ONE, **more: object) -> str:
    """A line as a worker writes it."""
    fields = {"time": "2030-01-31T09:00:00Z", "level": "info", "logger": "stdout"}
    who = {} if job is None else {"job": job, "task": "tasks.add", "attempt": 1}
    return json.dumps({**fields, "message": message, **who, **more})


LOG = "\n".join(
    [
        line("worker begins", job=None),
        line("resized"),
        line("not ours", OTHER),
        "no JSON at all, from a library",
        "worker-1  | " + line("behind a prefix", logger="shop", level="warning"),
        '{"message": 5, "job": 7}',
        "{" * 100_000,
        line("failed", attempt=2, exception="Traceback\n  ValueError: no"),
    ]
)


def piped(text: str, *words: str) -> Result:
    """Give the command a log on standard input."""
    return CliRunner().invoke(main, ["jobs", "logs", *words], input=text)


def test_the_lines_of_a_job(here: Path) -> None:
    """And no others, whatever else is in the log; no database is needed."""
    found = piped(LOG, ONE)
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout.splitlines() == [
        "2030-01-31T09:00:00Z\t1\tinfo\tstdout\tresized",
        "2030-01-31T09:00:00Z\t1\twarning\tshop\tbehind a prefix",
        "2030-01-31T09:00:00Z\t2\tinfo\tstdout\tfailed",
        "  Traceback",
        "    ValueError: no",
    ]
    assert not (here / ".ropeway").exists()


def test_files(here: Path) -> None:
    """One or several, in the order in which they are named."""
    (here / "a.log").write_text(line("first") + "\n")
    (here / "b.log").write_bytes(line("second").encode() + b"\n\xff\xfe\n")
    found = call("jobs", "logs", ONE, "a.log", "b.log", "-o", "jsonl", "--fields", "message")
    assert found.stdout == '{"message": "first"}\n{"message": "second"}\n'
    assert call("jobs", "logs", ONE, "nothing.log").exit_code == 2


def test_for_programs() -> None:
    """As every list."""
    assert tuple(json.loads(piped(LOG, ONE, "--json").stdout)[0]) == FIELDS
    assert len(piped(LOG, ONE, "-o", "jsonl").stdout.splitlines()) == 3
    assert piped(LOG, ONE, "-o", "csv", "--fields", "attempt,message").stdout.splitlines() == [
        "attempt,message",
        "1,resized",
        "1,behind a prefix",
        "2,failed",
    ]
    assert piped(LOG, ONE, "--fields", "mesage").exit_code == 2


def test_what_is_not_found_is_said() -> None:
    """With the reason, where it can be told; nothing is a success."""
    nothing = piped(LOG, f"{3:036}")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert f"no line is of job {3:036}, of 8" in nothing.stderr
    assert "--log-format json" in piped("09:00:00 pretty\n", ONE).stderr
    assert piped("", ONE, "--json").stdout == "[]\n"


def test_the_start_of_an_id() -> None:
    """Is enough while it is of one job."""
    assert len(piped(LOG, ONE[:-1] + "1").stdout.splitlines()) == 5
    several = piped(LOG, ONE[:-1])
    assert several.exit_code == 2
    assert ONE in several.stderr and OTHER in several.stderr


def test_lines_command_no_terminal() -> None:
    """What a task printed is shown, and does nothing."""
    said = piped(line(support.ESCAPES, exception=support.ESCAPES), ONE).stdout
    assert "\x1b" not in said and "\x9b" not in said


def test_a_log_that_grows_is_followed(here: Path) -> None:
    """A line is printed when it comes."""
    command = [sys.executable, "-m", "ropeway", "jobs", "logs", ONE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None and reader.stdout is not None
        for text in ("one", "two"):
            reader.stdin.write(line(text) + "\n")
            reader.stdin.flush()
            assert reader.stdout.readline().endswith(f"\t{text}\n")
        reader.stdin.close()
    assert reader.returncode == 0


def test_a_worker_writes_what_is_read(tasks: Path, eventually: support.Eventually) -> None:
    """From the worker's own log: how its job failed."""
    with support.working(eventually) as worker:
        job = process("run", "boom", "ouch").stdout.strip()
        eventually(lambda: "ouch" in worker.said())
    found = call("jobs", "logs", job, str(worker.log))
    assert "ValueError: ouch" in found.stdout
    other = process("run", "boom", "again").stdout.strip()
    assert call("jobs", "logs", other, str(worker.log)).stdout == ""


@pytest.mark.parametrize("kind", ["pretty", "logfmt"])
def test_other_formats_are_named(tasks: Path, eventually: support.Eventually, kind: str) -> None:
    """Where a worker was told to write otherwise."""
    with support.working(eventually, "--log-format", kind) as worker:
        pass
    assert "--log-format json" in call("jobs", "logs", ONE, str(worker.log)).stderr
