"""`ropeway operations`: what goes on in a dashboard is seen, stopped and resumed at the command line."""

from __future__ import annotations

import json

import pytest

from ropeway import Ropeway
from ropeway.operate import operations as module
from ropeway.operate.operations import begin
from ropeway.stepping import step
from tests.cli.support import call


def test_operations(jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is begun and lost is stopped, and resumed here to its end."""
    assert call("operations", "ls").stdout == ""
    assert call("operations", "show", "none").exit_code == 6
    store = Ropeway().connection.blocking()
    begun = begin(store, "retry", "state:failed", by="kim", via="web", why="", expected=1, most=9)
    made = step(begun)
    (listed,) = json.loads(call("operations", "ls", "--json").stdout)
    assert (listed["id"], listed["state"], listed["action"]) == (made.id, "running", "jobs.retry")
    assert call("operations", "resume", made.id).exit_code == 9
    assert call("operations", "stop", made.id).exit_code == 0
    monkeypatch.setattr(module, "SILENT", -1.0)
    assert made.id in call("operations", "ls").stdout
    assert call("operations", "stop", made.id).exit_code == 0
    assert call("operations", "stop", made.id).exit_code == 9
    assert call("operations", "show", made.id).stdout.startswith(
        "stopped: jobs.retry of state:failed"
    )
    done = call("operations", "resume", made.id)
    assert (done.exit_code, done.stdout.splitlines()[1]) == (0, "1 job of 1")
    assert call("operations", "resume", made.id).exit_code == 9
    assert json.loads(call("jobs", "show", jobs["failed"], "--json").stdout)["state"] == "queued"
