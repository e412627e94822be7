"""`ropeway prune`: what is over goes, what is old goes when asked for, and what is open stays."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ropeway.message import Message
from ropeway.states import State
from ropeway.transition import Finish
from tests.cli import support
from tests.cli.support import call

SETTLED = {"succeeded", "failed", "quarantined"}


def left() -> set[str]:
    """Return the queues of the jobs that are kept: each job's is named after its state."""
    return set(call("jobs", "ls", "--fields", "queue").stdout.split())


def test_what_is_over_goes(here: Path, eventually: support.Eventually) -> None:
    """By its own time; nobody is asked, since any worker would do the same."""
    with support.database() as backend:
        support.send(backend, Message(id="1", task="t"), Message(id="2", task="t"))
        support.settle(backend, "default", Finish(State.SUCCEEDED, keep=0.001))
        support.settle(backend, "default", Finish(State.SUCCEEDED, keep=3600.0))
    eventually(lambda: call("prune").stdout != "0\n" or not left())
    assert call("jobs", "ls", "--fields", "id").stdout == "2\n"


def test_what_is_old_goes_when_asked_for(jobs: dict[str, str]) -> None:
    """Settled jobs alone, and after a question."""
    everything = left()
    assert call("prune", "--older-than", "1h").exit_code == 3
    assert call("prune", "--older-than", "1h", "--dry-run").stdout == "3\n"
    assert left() == everything
    assert call("prune", "--older-than", "1h", "--state", "failed", "--yes").stdout == "1\n"
    assert left() == everything - {"failed"}
    found = json.loads(call("prune", "--older-than", "1h", "-y", "--json").stdout)
    assert found == {"removed": 2, "found": 2}
    assert left() == everything - SETTLED


def test_what_is_young_stays(jobs: dict[str, str]) -> None:
    """These were sent in 2024."""
    age = time.time() - 1_600_000_000
    assert call("prune", "--older-than", str(int(age)), "--yes").stdout == "0\n"
    assert left() >= SETTLED


@pytest.mark.parametrize("words", [["--state", "failed"], ["--dry-run"], ["--state", "queued"]])
def test_wrong_usage(jobs: dict[str, str], words: list[str]) -> None:
    """Nothing is removed."""
    assert call("prune", *words).exit_code == 2
    assert left() >= SETTLED
