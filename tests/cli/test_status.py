"""`ropeway status`: what needs attention, why, and what to type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import QueueStats
from ropeway.cli.commands.status import lines
from ropeway.control import WorkerRecord
from ropeway.message import Failure, JobRecord, Message
from ropeway.operate.attention import remarks
from ropeway.operate.facts import Facts
from ropeway.pauses import Pause
from ropeway.states import State
from ropeway.store import Cause
from tests.cli import support
from tests.cli.support import call, process

NOW = 10_000.0
MAIL = QueueStats(queue="mail", ready=412, oldest_due=NOW - 30)


def worker(**more: Any) -> WorkerRecord:
    """Make the record of a worker that is well."""
    well: dict[str, Any] = {
        "holder": "web1-1-ab",
        "host": "web1",
        "pid": 1,
        "version": "1",
        "python": "3",
        "app": "a",
        "code": "c",
        "started": NOW - 100,
        "heard": NOW,
        "state": "consuming",
        "slots": {"loop": 100, "threads": 8},
        "busy": {"threads": 8},
    }
    return WorkerRecord(**(well | more))


def facts(**more: Any) -> Facts:
    """Make facts of a moment at which all is well."""
    well: dict[str, Any] = {"now": NOW, "cap": 1000, "workers": [worker()]}
    return Facts(**(well | more))


def cause(state: State, number: int = 3, error: Failure | None = None) -> Cause:
    """Make a group of jobs that ended for one cause."""
    record = JobRecord(message=Message(id="01", task="tasks.pay"), state=state, error=error)
    return Cause(newest=record, number=number, oldest_id="00")


@pytest.mark.parametrize(
    ("told", "says", "command"),
    [
        (
            {"queues": [MAIL], "workers": []},
            "412 jobs wait for 30.0s; no worker on record listens to queue mail",
            "-Q mail",
        ),
        (
            {"queues": [MAIL], "workers": [worker(queues=("push",))]},
            "no worker on record listens to queue mail",
            "ropeway worker -Q mail",
        ),
        (
            {
                "queues": [MAIL],
                "pauses": {"mail": Pause(queue="mail", by="ann", since=NOW - 60, why="it is late")},
            },
            "queue mail is paused by ann, 1m ago: it is late",
            "ropeway queues resume mail",
        ),
        (
            {"queues": [QueueStats(queue="a b", ready=1, oldest_due=NOW - 90)]},
            "1 job waits for 1m30s; 8 of 108 slots of its workers are busy",
            "ropeway queues peek 'a b'",
        ),
        (
            {"queues": [QueueStats(queue="q", ready=1000, oldest_due=NOW - 90)], "workers": []},
            "1,000+ jobs wait",
            "ropeway worker -Q q",
        ),
        (
            {"workers": [worker(state="waiting", why="the store is away")]},
            "web1-1-ab: the store is away",
            "ropeway workers ls",
        ),
        (
            {
                "failed": [
                    cause(State.FAILED, 12, Failure(type="E", message="a\nb", fingerprint="f"))
                ]
            },
            "12 jobs of tasks.pay failed of those sent in the last hour: E: a",
            "ropeway jobs ls state:failed error:f",
        ),
        (
            {"quarantined": [cause(State.QUARANTINED, 1)]},
            "1 job of tasks.pay in quarantine",
            "ropeway jobs show 01",
        ),
    ],
)
def test_what_needs_attention(told: dict[str, Any], says: str, command: str) -> None:
    """A sentence with the reason, and a command."""
    (remark,) = remarks(facts(**told))
    assert says in remark.says
    assert remark.command.endswith(command)
    assert lines("u", facts(**told), [remark])[0] == "1 thing needs attention"


@pytest.mark.parametrize(
    "queues",
    [
        [],
        [MAIL],
        [QueueStats(queue="later", delayed=5, oldest_due=NOW + 5)],
        [QueueStats(queue="runs", leased=5)],
    ],
)
def test_what_needs_none(queues: list[QueueStats]) -> None:
    """Workers are at it, or there is nothing to do yet."""
    assert remarks(facts(queues=queues)) == []
    assert lines("u", facts(queues=queues), [])[0] == "healthy"


def test_a_job_that_was_just_sent_needs_none() -> None:
    """A worker may be about to take it."""
    new = QueueStats(queue="mail", ready=1, oldest_due=NOW - 0.5)
    assert remarks(facts(queues=[new], workers=[])) == []


def test_of_a_database(jobs: dict[str, str]) -> None:
    """Every number is there for programs too."""
    found = json.loads(call("status", "--json").stdout)
    assert found["healthy"] is False
    assert {queue["queue"] for queue in found["queues"]} >= {"queued", "running"}
    assert found["quarantined"] == 1
    said = call("status").stdout
    assert "queues    1 ready, 2 delayed, 1 running in 4 queues" in said
    assert "1 job of tasks.quarantined in quarantine: unknown_task: no task is called t" in said
    assert "\x1b" not in said


def test_with_a_worker(tasks: Path, eventually: support.Eventually) -> None:
    """Healthy, until something is not."""
    with support.working(eventually):
        eventually(lambda: "1 consuming; 0 of" in call("status").stdout)
        assert process("run", "add", "1", "--wait").stdout == "2\n"
        assert call("status").stdout.startswith("healthy\n")
        assert process("run", "boom", "bad", "--wait").returncode == 5
        found = json.loads(call("status", "--json").stdout)
        assert found["failed_lately"] == 1
        (remark,) = found["remarks"]
        listed = call(*remark["command"].split()[1:], "--fields", "task")
        assert listed.stdout == "tasks.boom\n"


def test_no_database(here: Path) -> None:
    """Nothing is wrong with that, and none is made."""
    found = call("status")
    assert found.exit_code == 0
    assert found.stdout.startswith("healthy\n")
    assert "no database" in found.stderr
    assert not (here / ".ropeway").exists()


def test_secrets_are_masked(here: Path) -> None:
    """The screen is meant to be shown."""
    assert "geheim" not in call("status", "-u", "sqlite:///no.db?token=geheim").stdout
