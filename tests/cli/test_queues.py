"""`ropeway queues`: what waits where."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ropeway.broker import QueueStats
from ropeway.claims import Claim
from ropeway.cli.queueview import row
from ropeway.jobs import see
from ropeway.message import Message
from ropeway.operate.purge import _end, purge
from ropeway.operate.queue import summary
from ropeway.stepping import step
from tests.cli import support
from tests.cli.support import call, process


def test_ls(jobs: dict[str, str]) -> None:
    """A line for each queue that holds work."""
    found = call("queues", "ls")
    assert (found.exit_code, found.stderr) == (0, "")
    rows = [line.split("\t") for line in found.stdout.splitlines()]
    assert re.fullmatch(r"now|\d+s ago", rows[0].pop(4))
    assert rows == [
        ["queued", "1", "0", "0", "-"],
        ["retrying", "0", "1", "0", "in 59m", "-"],
        ["running", "0", "0", "1", "-", "-"],
        ["scheduled", "0", "1", "0", "in 59m", "-"],
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
        "paused": None,
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
    assert line.count("\t") == 5
    assert line.count("\n") == 1
    assert "\x1b" not in line and "\x9b" not in line


def test_counts_stop_at_the_cap() -> None:
    """And say so."""
    stats = QueueStats(queue="q", ready=100, delayed=99, leased=0, oldest_due=0.0)
    assert row(stats, None, 120.0, 100) == ["q", "100+", "99", "0", "2m ago", "-"]
    assert summary(stats, None, 100)["capped"] is True
    assert summary(stats, None, 101)["capped"] is False


# --- show, peek -----------------------------------------------------------------------------------


def test_show(jobs: dict[str, str]) -> None:
    """Counts in words, and whether it is paused."""
    found = call("queues", "show", "retrying")
    assert (found.exit_code, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[:4] == [
        "queue    retrying",
        "ready    0 due now",
        "delayed  1 due later",
        "leased   0 in the hands of a worker",
    ]
    assert lines[-1] == "paused   no"


def test_a_name_that_holds_nothing_is_questioned(jobs: dict[str, str]) -> None:
    """It may be a slip, and it may be right."""
    for words in ("show",), ("peek",), ("pause",), ("purge", "--yes"):
        found = call("queues", *words, "retryin")
        assert found.exit_code == 0
        assert "retryin holds no work; did you mean retrying?" in found.stderr


def test_peek(jobs: dict[str, str]) -> None:
    """What waits, as `jobs ls` shows it."""
    found = json.loads(call("queues", "peek", "queued", "--json").stdout)
    assert [job["id"] for job in found] == [jobs["queued"]]
    assert call("queues", "peek", "running", "--json").stdout == "[]\n"


def test_no_database_is_no_place_for_a_pause(here: Path) -> None:
    """And none is made."""
    found = call("queues", "pause", "mail")
    assert found.exit_code == 7
    assert "there is no database" in found.stderr and "--url" in found.stderr
    assert not (here / ".ropeway").exists()


# --- pause, resume, drain -------------------------------------------------------------------------


def test_pause_and_resume(jobs: dict[str, str]) -> None:
    """Whoever looks sees who paused it and why; lists have it though it holds nothing."""
    why = f"the server is down {support.ESCAPES}"
    assert call("queues", "pause", "mail", "--why", why).exit_code == 0
    shown = call("queues", "show", "mail").stdout
    assert re.search(r"^paused   by \S+@\S+, now: the server is down", shown, re.MULTILINE)
    assert "\x1b" not in shown
    kept = json.loads(call("queues", "show", "mail", "--json").stdout)["paused"]
    assert set(kept) == {"by", "since", "why"}
    rows = {row.split("\t")[0]: row.split("\t") for row in call("queues", "ls").stdout.splitlines()}
    assert rows["mail"][1:5] == ["0", "0", "0", "-"]
    assert rows["mail"][5].startswith("by ")
    assert "goes on" in call("queues", "resume", "mail").stderr
    assert "was not paused" in call("queues", "resume", "mail").stderr
    assert "mail" not in call("queues", "ls").stdout


def test_drain_waits_for_what_runs(jobs: dict[str, str]) -> None:
    """Its time can be over first; the queue stays paused."""
    found = call("queues", "drain", "running", "--timeout", "0.3")
    assert found.exit_code == 8
    assert "1 job of running still in hand" in found.stderr
    assert json.loads(call("queues", "show", "running", "--json").stdout)["paused"]["why"]


def test_drain(tasks: Path, eventually: support.Eventually) -> None:
    """Ends when the last job has, and what waits is still there."""
    with support.working(eventually):
        running = process("run", "sleep", "2.5").stdout.strip()
        show = ("jobs", "show", running, "--json")
        eventually(lambda: json.loads(call(*show).stdout)["state"] == "running")
        found = call("queues", "drain", "slow", "--json")
        assert json.loads(found.stdout) == {"queue": "slow", "waiting": 0}
        assert json.loads(call(*show).stdout)["state"] == "succeeded"
        later = process("run", "sleep", "0").stdout.strip()
        assert process("run", "add", "1", "--wait").stdout == "2\n"
        assert json.loads(call("jobs", "show", later, "--json").stdout)["attempt"] == 0


# --- purge ----------------------------------------------------------------------------------------


def queue_of(*states: str) -> list[str]:
    """Say in which state the jobs of those queues are."""
    found = json.loads(call("jobs", "ls", "--json").stdout)
    return [job["state"] for state in states for job in found if job["queue"] == state]


def test_purge_asks(jobs: dict[str, str]) -> None:
    """Where there is nobody to ask it does nothing."""
    found = call("queues", "purge", "queued")
    assert found.exit_code == 3
    assert "RW-003" in found.stderr and "--yes" in found.stderr
    assert call("queues", "purge", "queued", "--dry-run").stdout == "1\n"
    assert queue_of("queued") == ["queued"]


def test_purge_ends_what_waits_and_nothing_else(jobs: dict[str, str]) -> None:
    """Not what runs, and nothing of another queue."""
    with support.database() as backend:
        more = [Message(id=f"{n:036}", task="t", queue="running") for n in range(450)]
        support.send(backend, *more)
    assert call("queues", "purge", "running", "--yes").stdout == "450\n"
    assert queue_of("queued", "retrying") == ["queued", "queued"]
    left = json.loads(call("jobs", "show", jobs["running"], "--json").stdout)
    assert left["state"] == "running"
    ended = json.loads(call("jobs", "show", more[0].id, "--json").stdout)
    assert ended["state"] == "cancelled"
    assert call("queues", "purge", "retrying", "-y", "--json").exit_code == 0
    assert queue_of("retrying") == ["cancelled"]


def test_what_was_claimed_meanwhile_is_not_even_flagged(jobs: dict[str, str]) -> None:
    """A purge that meets a job which runs by now leaves it alone."""
    with support.database() as backend:
        running = step(see(backend, jobs["running"])).record
        (answer,) = step(backend.commit([_end(running, 60.0)]))
        assert answer.reason == "conflict"
        (delivery,) = step(backend.receive([Claim(queue="queued", n=1)], "holder", 60))
        assert step(purge(backend, "queued", 60.0)) == 0
        assert step(backend.extend([delivery.fence], 60)) == ["held"]
