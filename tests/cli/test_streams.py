"""Whatever a command's streams are: closed, full, of another encoding. It says so, or goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.support import call, process

MAIN = f"{sys.executable} -m ropeway"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of a shell, in which $R is ropeway."""
    return subprocess.run(
        ["sh", "-c", command.replace("$R", MAIN)],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leads_nowhere(jobs: dict[str, str], closed: str) -> None:
    """The command does its work, and what it would say is lost."""
    done = shell(f"$R jobs cancel {jobs['queued']} {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(call("jobs", "show", jobs["queued"], "--json").stdout)["state"] == "cancelled"
    done = shell(f"$R jobs ls {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == (
        0 if ">&- " in closed or closed == ">&-" else len(jobs)
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
@pytest.mark.parametrize(
    "words", ["jobs ls", "queues ls --json", "status", "explain RW-001", "--help"]
)
def test_a_full_disk_under_the_output(jobs: dict[str, str], words: str) -> None:
    """One line that says it, and a failure: what was read is not all there was."""
    done = shell(f"$R {words} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "cannot write to standard output: No space left on device\n"


def test_a_reader_that_leaves(jobs: dict[str, str]) -> None:
    """Is no reason for a word."""
    done = shell("$R jobs ls | true")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_encoding_that_lacks_characters(tasks: Path) -> None:
    """They are written as numbers."""
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    environment = {**os.environ, **ascii_only}
    done = process("run", "nothing", env=environment)
    assert done.returncode == 6
    assert r"\u2192" in done.stderr and "Traceback" not in done.stderr
    job = process("run", "echo", "→").stdout.strip()
    done = process("jobs", "show", job, env=environment)
    assert done.returncode == 0
    assert r"\u2192" in done.stdout
