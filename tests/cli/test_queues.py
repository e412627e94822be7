"""`ropeway queues`: what waits where."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ropeway.broker import QueueStats
from ropeway.cli.commands.queues import row, summary
from ropeway.message import Message
from tests.cli import support
from tests.cli.support import call


def test_ls(jobs: dict[str, str]) -> None:
    """A line for each queue that holds work."""
    found = call("queues", "ls")
    assert (found.exit_code, found.stderr) == (0, "")
    rows = [line.split("\t") for line in found.stdout.splitlines()]
    assert re.fullmatch(r"now|\d+s ago", rows[0].pop())
    assert rows == [
        ["queued", "1", "0", "0"],
        ["retrying", "0", "1", "0", "in 59m"],
        ["running", "0", "0", "1", "-"],
        ["scheduled", "0", "1", "0", "in 59m"],
    ]


def test_ls_json(jobs: dict[str, str]) -> None:
    """Counts as numbers, the oldest due time as a date."""
    found = json.loads(call("queues", "ls", "--json").stdout)
    assert [queue["queue"] for queue in found] == ["queued", "retrying", "running", "scheduled"]
    assert found[2] == {
        "queue": "running",
        "ready": 0,
        "delayed": 0,
        "leased": 1,
        "capped": False,
        "oldest_due": None,
    }
    assert found[0]["oldest_due"].endswith("Z")


def test_nothing_waits(here: Path) -> None:
    """Is a success."""
    with support.database():
        pass
    found = call("queues", "ls")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "no queue holds work\n")
    assert call("queues", "ls", "--json").stdout == "[]\n"


def test_names_are_harmless(here: Path) -> None:
    """A queue may have any name."""
    with support.database() as backend:
        support.send(backend, Message(id="1", task="t", queue=support.ESCAPES + "\t\n"))
    line = call("queues", "ls").stdout
    assert line.count("\t") == 4
    assert line.count("\n") == 1
    assert "\x1b" not in line and "\x9b" not in line


def test_counts_stop_at_the_cap() -> None:
    """And say so."""
    stats = QueueStats(queue="q", ready=100, delayed=99, leased=0, oldest_due=0.0)
    assert row(stats, 120.0, 100) == ["q", "100+", "99", "0", "2m ago"]
    assert summary(stats, 100)["capped"] is True
    assert summary(stats, 101)["capped"] is False
