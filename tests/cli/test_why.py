"""`ropeway jobs show` says why a job is not running, with real workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ropeway.message import Message
from tests.cli import support
from tests.cli.support import call


def why(job: str) -> dict[str, Any]:
    """Ask for it as a program does."""
    found: dict[str, Any] = json.loads(call("jobs", "show", job, "--json").stdout)["why"]
    return found


def sent(*arguments: str) -> str:
    """Send a call, and return its id."""
    return support.process("run", *arguments).stdout.strip()


def test_without_a_worker_and_with_one(tasks: Path, eventually: support.Eventually) -> None:
    """Nobody listens; a worker listens to another queue; its queue is paused; and then it runs."""
    job = sent("add", "2", "3")
    assert why(job)["reason"] == "no_worker"
    shown = call("jobs", "show", job).stdout
    assert "state     queued: no worker on record listens to queue default\n" in shown
    assert "next      ropeway worker -Q default\n" in shown
    with support.working(eventually, "-Q", "slow"):
        eventually(lambda: "consuming" in call("workers", "ls").stdout)
        assert why(job)["reason"] == "no_worker"
        slow = sent("sleep", "0")
        eventually(lambda: why(slow)["reason"] == "ended")
    assert call("queues", "pause", "default", "--why", "a test").exit_code == 0
    with support.working(eventually):
        eventually(lambda: why(job)["reason"] == "paused" and not why(job)["besides"])
        assert why(job)["says"].endswith(": a test")
        assert call(*why(job)["command"].split()[1:]).exit_code == 0
        eventually(lambda: why(job)["reason"] == "ended")


def test_a_worker_that_cannot(tasks: Path, eventually: support.Eventually) -> None:
    """Its name is not known there, or the worker is quiet: the command that is named mends it."""
    with support.working(eventually):
        eventually(lambda: "consuming" in call("workers", "ls").stdout)
        with support.database() as backend:
            message = Message(id="01", task="tasks.ad", queue="default")
            support.send(backend, message)
        eventually(lambda: why("01")["reason"] == "given_back")
        assert "no task is called 'tasks.ad'" in why("01")["says"]
        assert [each["reason"] for each in why("01")["besides"]] == ["unknown_task"]
        assert "the closest name is tasks.add" in why("01")["besides"][0]["says"]
        (worker,) = json.loads(call("workers", "ls", "--json").stdout)
        assert call("workers", "quiet", worker["worker"]).exit_code == 0
        job = sent("add", "2", "3")
        assert why(job)["reason"] == "resting"
        assert call(*why(job)["command"].split()[1:]).exit_code == 0
        eventually(lambda: why(job)["reason"] == "ended")


def test_following_a_job(tasks: Path, eventually: support.Eventually) -> None:
    """Its states are told on the way, its result at the end; without --wait no time is accepted."""
    job = sent("sleep", "0.5")
    assert call("jobs", "result", job, "--timeout", "1").exit_code == 2
    over = call("jobs", "result", job, "--follow", "--timeout", "100ms")
    assert (over.exit_code, over.stderr.split()[0]) == (8, "queued")
    with support.working(eventually):
        done = call("jobs", "result", job, "--follow", "--timeout", "20s")
    assert (done.exit_code, done.stdout) == (0, "null\n")
    assert done.stderr.split()[-1] == "succeeded"
